"""A measured training run of transformers: `Trainer` on `DiaForConditionalGeneration`, fixed clips a batch.

Codes are computed in advance, as for Dia. The collator pads and labels as `DiaProcessor` does with
`output_labels=True`: codes are left-padded with BOS, end with EOS and are delayed; PAD and BOS have no label.
"""

import random
import tempfile
import time
from typing import Any

import datasets
import torch
import transformers
from torch import Tensor
from torch.nn.functional import pad
from transformers.models.dia.processing_dia import DiaProcessor

from dia.benchmark.networks import transformers_model
from dia.benchmark.training_job import (
    BETAS,
    CLIP_NORM,
    LEARNING_RATE,
    SEED,
    TRANSFORMERS,
    TRANSFORMERS_BY_LENGTH,
    WEIGHT_DECAY,
    TrainingJob,
    TrainingMeasurement,
)
from dia.network import DiaConfig, DiaNetwork

IGNORED = -100


class DiaCollator:
    """Collate rows to model inputs, and record the content of each batch."""

    def __init__(self, config: DiaConfig, measurement: TrainingMeasurement) -> None:
        self.config, self.measurement = config, measurement

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return text ids and masks, delayed codes and masks, labels."""
        flat = [clip for row in rows for clip in row["clips"]]
        self.measurement.frames.append(sum(len(clip["codes"]) for clip in flat))
        self.measurement.clips.append(len(flat))
        texts = [torch.tensor(clip["text"]) for clip in flat]
        text_BS = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        sizes_B = torch.tensor([len(text) for text in texts])
        codes, masks = self._audio([torch.tensor(clip["codes"]) for clip in flat])
        inputs, labels = delay_and_label(codes, self.config)
        return {
            "input_ids": text_BS,
            "attention_mask": (torch.arange(text_BS.shape[1]) < sizes_B[:, None]).long(),
            "decoder_input_ids": inputs,
            "decoder_attention_mask": masks[:, :-1],
            "labels": labels,
        }

    def _audio(self, clips: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return codes between BOS and EOS, left-padded with BOS (B, T, C), and their mask after delay."""
        ids, longest = self.config.decoder, max(map(len, clips))
        rows = []
        for codes_TC in clips:
            ended = pad(codes_TC, (0, 0, 0, 1), value=ids.eos)
            rows.append(pad(ended, (0, 0, longest - len(codes_TC) + 1, 0), value=ids.bos))
        steps = longest + 2 + max(self.config.delays)
        starts_B = torch.tensor([longest - len(codes_TC) for codes_TC in clips])
        return torch.stack(rows), (torch.arange(steps) >= starts_B[:, None]).long()


def delay_and_label(codes_BTC: Tensor, config: DiaConfig) -> tuple[Tensor, Tensor]:
    """Return decoder inputs (B, T, C) and labels (B x C, T) of padded codes, as `DiaProcessor` does."""
    ids, batch, steps = config.decoder, codes_BTC.shape[0], codes_BTC.shape[1] + max(config.delays)
    canvas_BTC = torch.full((batch, steps, config.channels), ids.pad)
    canvas_BTC[:, : codes_BTC.shape[1]] = codes_BTC
    indices = DiaProcessor.build_indices(batch, steps, config.channels, list(config.delays))
    delayed_BTC = DiaProcessor.apply_audio_delay(canvas_BTC, ids.pad, ids.bos, indices)
    labels_BTC = delayed_BTC[:, 1:].clone()
    labels_BTC[(labels_BTC == ids.pad) | (labels_BTC == ids.bos)] = IGNORED
    return delayed_BTC[:, :-1], labels_BTC.transpose(1, 2).reshape(batch * config.channels, -1).long()


class StepTimer(transformers.TrainerCallback):
    """Record the end time of each step."""

    def __init__(self, measurement: TrainingMeasurement) -> None:
        self.measurement = measurement

    def on_step_end(self, args: Any, state: Any, control: Any, **extra: Any) -> None:
        """Record the time."""
        self.measurement.ends.append(time.perf_counter())


class LossRecordingTrainer(transformers.Trainer):
    """Record each loss unrounded, which the log does not."""

    losses: list[float]

    def compute_loss(self, *arguments: Any, **extra: Any) -> Any:
        """Return the loss."""
        loss: Any = super().compute_loss(*arguments, **extra)
        self.losses.append(float(loss.detach()))
        return loss


def train_transformers(job: TrainingJob) -> TrainingMeasurement:
    """Train, and return the measurement."""
    torch.manual_seed(SEED)
    model = transformers_model(DiaNetwork(job.config)).train()
    measurement = TrainingMeasurement()
    with tempfile.TemporaryDirectory(prefix="dia-bench-") as folder:
        trainer = (LossRecordingTrainer if job.equal else transformers.Trainer)(
            model=model,
            args=_arguments(job, folder),
            train_dataset=_rows(job),
            data_collator=DiaCollator(job.config, measurement),
            callbacks=[StepTimer(measurement)],
        )
        if isinstance(trainer, LossRecordingTrainer):
            trainer.losses = measurement.losses
        trainer.train()
    steps = len(measurement.ends)  # one more batch may have been collated
    measurement.frames, measurement.clips = measurement.frames[:steps], measurement.clips[:steps]
    return measurement


def _rows(job: TrainingJob) -> datasets.Dataset:
    """Return one row for each clip, or for each batch of ``job.equal``."""
    clips, rng = job.clips, random.Random()
    batches = job.equal_batches if job.equal else [[index] for index in range(len(clips))]
    examples = [[clips.examples(index, rng)[0] for index in batch] for batch in batches]
    rows = [
        {
            "clips": [{"text": clip.text_S.tolist(), "codes": clip.codes_TC.tolist()} for clip in batch],
            "length": max(len(clip.codes_TC) for clip in batch),
        }
        for batch in examples
    ]
    return datasets.Dataset.from_list(rows)


def _arguments(job: TrainingJob, folder: str) -> transformers.TrainingArguments:
    order = (
        "sequential"
        if job.equal
        else {TRANSFORMERS: "random", TRANSFORMERS_BY_LENGTH: "group_by_length"}[job.implementation]
    )
    return transformers.TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=1 if job.equal else job.per_step,
        max_steps=job.steps,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        adam_beta1=BETAS[0],
        adam_beta2=BETAS[1],
        weight_decay=0.0 if job.equal else WEIGHT_DECAY,
        max_grad_norm=CLIP_NORM,
        bf16=job.precision == "bf16-mixed",
        train_sampling_strategy=order,
        remove_unused_columns=False,
        save_strategy="no",
        report_to=[],
        seed=SEED,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=10,
    )
