"""A measured training run of Dia, with module, trainer, batches and callbacks of `python -m dia.train`."""

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from dia.benchmark.training_data import SyntheticClips, budget_for, packed_budget
from dia.benchmark.training_job import (
    BETAS,
    CLIP_NORM,
    DIA_PACKED,
    LEARNING_RATE,
    SEED,
    WEIGHT_DECAY,
    TrainingJob,
    TrainingMeasurement,
)
from dia.config.callbacks import DivergenceConfig
from dia.config.choices import Precision, WandbMode
from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.config.trainer import FIRST_CHANNEL_WEIGHT, LoggerConfig, TrainerConfig
from dia.data.batching import BatchList, Dropout, Span, TrainingBatches
from dia.data.collation import Batch, collate, decoder_steps
from dia.network import DiaNetwork
from dia.training.callbacks.divergence import DivergenceGuard
from dia.training.callbacks.throughput import Throughput
from dia.training.dia_module import DiaModule
from dia.training.distributed import distributed_env
from dia.training.flops import training_flops
from dia.training.loggers import build_loggers
from dia.training.objectives.cross_entropy import CrossEntropy
from dia.training.resume import RunFingerprint
from dia.training.run_folder import PreparedRun, RunState
from dia.training.trainer import build_trainer

FRAME_RATE = 44_100 / 512


class StepRecorder(L.Callback):
    """Record the end time and the content of each step."""

    def __init__(self, clips: SyntheticClips) -> None:
        self.clips, self.measurement = clips, TrainingMeasurement()

    def on_train_batch_end(
        self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Record the step."""
        self.measurement.ends.append(time.perf_counter())
        numbers = [int(name.removeprefix("clip-")) for name in batch.ids]
        frames = [self.clips.frames[number] for number in numbers]
        sizes = [self.clips.text_bytes(number) for number in numbers]
        steps = [decoder_steps(count, self.clips.config) for count in frames]
        self.measurement.frames.append(sum(frames))
        self.measurement.flops.append(training_flops(self.clips.config, zip(steps, sizes, strict=True)))
        self.measurement.clips.append(len(numbers))
        self.measurement.losses.append(float(trainer.callback_metrics["train/loss"]))


def train_dia(job: TrainingJob) -> TrainingMeasurement:
    """Train, and return the measurement."""
    torch.manual_seed(SEED)
    network, weight = DiaNetwork(job.config), 1.0 if job.equal else FIRST_CHANNEL_WEIGHT
    optim = OptimConfig(
        LEARNING_RATE, *BETAS, weight_decay=0.0 if job.equal else WEIGHT_DECAY, max_grad_norm=CLIP_NORM
    )
    task = DiaModule(network, CrossEntropy(weight), optim, ScheduleConfig(1, 1.0), job.steps, weight, SEED)
    recorder = StepRecorder(job.clips)
    with tempfile.TemporaryDirectory(prefix="dia-bench-") as name:
        folder = Path(name)
        settings = TrainerConfig(
            precision=Precision(job.precision), steps=job.steps, validate_every=10**9, checkpoint_every=10**9
        )
        callbacks: list[L.Callback] = [
            recorder,
            Throughput(job.config, FRAME_RATE, job.precision),
            DivergenceGuard(DivergenceConfig(), folder),
        ]
        ready = PreparedRun(RunState(folder), distributed_env({}), RunFingerprint({}, 1))
        loggers = build_loggers(LoggerConfig(wandb=WandbMode.disabled), "bench", folder)
        trainer = build_trainer(settings, ready, callbacks, loggers, job.steps)
        trainer.fit(task, DataLoader(batches_of(job), batch_size=None))
    return recorder.measurement


def batches_of(job: TrainingJob) -> TrainingBatches | BatchList:
    """Return batches with a budget of padded steps, or the common batches of ``job.equal``."""
    clips = job.clips
    if not job.equal:
        span, packed = Span(0, job.steps), job.implementation == DIA_PACKED
        budget = packed_budget(clips, job.per_step) if packed else budget_for(clips, job.per_step)
        return TrainingBatches(clips, job.config, budget, Dropout(), SEED, span, packed=packed)
    rng = random.Random()
    taken = [[clips.examples(index, rng)[0] for index in numbers] for numbers in job.equal_batches]
    return BatchList([collate(examples, [False] * len(examples), job.config) for examples in taken])
