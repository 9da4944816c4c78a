"""A training run of transformers, as its users do it: `Trainer` on `DiaForConditionalGeneration`, batches of
so many clips.

Codes are encoded beforehand, as for ours. The collator pads and labels as `DiaProcessor` does with
`output_labels=True`: codes are left-padded with BOS, end with EOS, are delayed, and PAD and BOS ask for
nothing.
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

from dia.benchmark.networks import theirs
from dia.benchmark.training_job import (
    BETAS,
    CLIP_NORM,
    LEARNING_RATE,
    SEED,
    THEIRS,
    THEIRS_BY_LENGTH,
    WEIGHT_DECAY,
    Trained,
    TrainingJob,
)
from dia.network import DiaConfig, DiaNetwork

IGNORED = -100


class Collator:
    """From rows to what the model takes; notes what each batch held."""

    def __init__(self, config: DiaConfig, found: Trained) -> None:
        self.config, self.found = config, found

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return text ids and masks, delayed codes and masks, labels."""
        flat = [clip for row in rows for clip in row["clips"]]
        self.found.frames.append(sum(len(clip["codes"]) for clip in flat))
        self.found.clips.append(len(flat))
        texts = [torch.tensor(clip["text"]) for clip in flat]
        text_BS = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        sizes_B = torch.tensor([len(text) for text in texts])
        codes, masks = self._audio([torch.tensor(clip["codes"]) for clip in flat])
        inputs, labels = delayed_and_labelled(codes, self.config)
        return {
            "input_ids": text_BS,
            "attention_mask": (torch.arange(text_BS.shape[1]) < sizes_B[:, None]).long(),
            "decoder_input_ids": inputs,
            "decoder_attention_mask": masks[:, :-1],
            "labels": labels,
        }

    def _audio(self, clips: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Codes with BOS before and EOS behind them, left-padded with BOS (B, T, C), and the mask that the
        delay makes longer.
        """
        ids, longest = self.config.decoder, max(map(len, clips))
        rows = []
        for codes_TC in clips:
            ended = pad(codes_TC, (0, 0, 0, 1), value=ids.eos)
            rows.append(pad(ended, (0, 0, longest - len(codes_TC) + 1, 0), value=ids.bos))
        steps = longest + 2 + max(self.config.delays)
        starts_B = torch.tensor([longest - len(codes_TC) for codes_TC in clips])
        return torch.stack(rows), (torch.arange(steps) >= starts_B[:, None]).long()


def delayed_and_labelled(codes_BTC: Tensor, config: DiaConfig) -> tuple[Tensor, Tensor]:
    """Return what `DiaProcessor` makes of padded codes: decoder inputs (B, T, C) and labels (B x C, T)."""
    ids, batch, steps = config.decoder, codes_BTC.shape[0], codes_BTC.shape[1] + max(config.delays)
    canvas_BTC = torch.full((batch, steps, config.channels), ids.pad)
    canvas_BTC[:, : codes_BTC.shape[1]] = codes_BTC
    places = DiaProcessor.build_indices(batch, steps, config.channels, list(config.delays))
    delayed_BTC = DiaProcessor.apply_audio_delay(canvas_BTC, ids.pad, ids.bos, places)
    labels_BTC = delayed_BTC[:, 1:].clone()
    labels_BTC[(labels_BTC == ids.pad) | (labels_BTC == ids.bos)] = IGNORED
    return delayed_BTC[:, :-1], labels_BTC.transpose(1, 2).reshape(batch * config.channels, -1).long()


class Watch(transformers.TrainerCallback):
    """Writes down when each step ended."""

    def __init__(self, found: Trained) -> None:
        self.found = found

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Take the time."""
        self.found.ends.append(time.perf_counter())


class WatchedTrainer(transformers.Trainer):
    """Tells each loss as it is; the log rounds it."""

    losses: list[float]

    def compute_loss(self, *arguments: Any, **more: Any) -> Any:
        """Return the loss."""
        loss: Any = super().compute_loss(*arguments, **more)
        self.losses.append(float(loss.detach()))
        return loss


def train_theirs(job: TrainingJob) -> Trained:
    """Train, and return what was found."""
    torch.manual_seed(SEED)
    model = theirs(DiaNetwork(job.config)).train()
    found = Trained()
    with tempfile.TemporaryDirectory(prefix="dia-bench-") as folder:
        trainer = (WatchedTrainer if job.equal else transformers.Trainer)(
            model=model, args=_arguments(job, folder), train_dataset=_rows(job), data_collator=Collator(job.config, found),
            callbacks=[Watch(found)],
        )  # fmt: skip
        if isinstance(trainer, WatchedTrainer):
            trainer.losses = found.losses
        trainer.train()
    steps = len(found.ends)  # a batch ahead may have been made
    found.frames, found.clips = found.frames[:steps], found.clips[:steps]
    return found


def _rows(job: TrainingJob) -> datasets.Dataset:
    """The clips, one a row, or those of a batch where batches are the same."""
    clips, rng = job.clips, random.Random()
    batches = job.equal_batches if job.equal else [[index] for index in range(len(clips))]
    examples = [[clips.example(index, rng) for index in batch] for batch in batches]
    made = [
        {
            "clips": [{"text": found.text_S.tolist(), "codes": found.codes_TC.tolist()} for found in batch],
            "length": max(len(found.codes_TC) for found in batch),
        }
        for batch in examples
    ]
    return datasets.Dataset.from_list(made)


def _arguments(job: TrainingJob, folder: str) -> transformers.TrainingArguments:
    order = "sequential" if job.equal else {THEIRS: "random", THEIRS_BY_LENGTH: "group_by_length"}[job.who]
    return transformers.TrainingArguments(
        output_dir=folder, per_device_train_batch_size=1 if job.equal else job.per_step, max_steps=job.steps,
        learning_rate=LEARNING_RATE, lr_scheduler_type="constant", adam_beta1=BETAS[0], adam_beta2=BETAS[1],
        weight_decay=0.0 if job.equal else WEIGHT_DECAY, max_grad_norm=CLIP_NORM, bf16=job.precision == "bf16-mixed",
        train_sampling_strategy=order, remove_unused_columns=False, save_strategy="no", report_to=[], seed=SEED,
        use_cpu=not torch.cuda.is_available(), logging_steps=10,
    )  # fmt: skip
