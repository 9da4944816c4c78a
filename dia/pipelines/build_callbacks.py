"""Build the callbacks that observe a run (throughput, divergence, samples) and the watched data loaders."""

from collections.abc import Mapping
from pathlib import Path

import lightning as L
from datasets import Dataset, concatenate_datasets

from dia.codecs.protocol import Codec, frames_per_second
from dia.config.train import TrainConfig
from dia.data.batching import BatchList, TrainingBatches
from dia.evaluation.validation_metrics import ValidationMetrics
from dia.pipelines.build_model import inference_sampling
from dia.training.callbacks.divergence import DivergenceGuard
from dia.training.callbacks.generate_samples import GenerateSamples
from dia.training.callbacks.text_gain import TextGain
from dia.training.callbacks.throughput import Throughput
from dia.training.callbacks.watchdog import Watchdog, WatchedLoader

COLUMNS = ["id", "source", "script", "turns", "seconds", "audio"]  # that judges read


def build_callbacks(
    config: TrainConfig, folder: Path, codec: Codec, splits: Mapping[str, Dataset]
) -> list[L.Callback]:
    """Return the callbacks that observe training without changing it."""
    frame_rate, only_adapters = frames_per_second(codec), config.lora.rank > 0
    callbacks: list[L.Callback] = [
        Throughput(config.model, frame_rate, config.trainer.precision, frozen=only_adapters),
        DivergenceGuard(config.divergence, folder),
        TextGain(),
    ]
    if config.validation.generate_every:
        callbacks.append(generate_samples(config, folder, codec, splits))
    return callbacks


def watched_loaders(
    config: TrainConfig, folder: Path, trainer: L.Trainer, batches: TrainingBatches, validation: BatchList
) -> tuple[WatchedLoader, WatchedLoader]:
    """Return the loaders of training and validation; a stall of either ends the run."""
    watchdog = Watchdog(
        config.watchdog.timeout_seconds, folder, trainer.global_rank, lambda: trainer.global_step
    )
    training = WatchedLoader(batches, watchdog, "training", config.trainer.num_workers)
    return training, WatchedLoader(validation, watchdog, "validation")


def generate_samples(
    config: TrainConfig, folder: Path, codec: Codec, splits: Mapping[str, Dataset]
) -> GenerateSamples:
    """Return the callback that generates and scores the first scripts of the validation split."""
    settings = config.validation
    clips = _first(splits["validation"], settings.scripts)
    labelled = [_first(splits[name], settings.calibration_clips) for name in ("validation", "train")]
    max_tokens = config.model.steps_for(round(settings.max_seconds * frames_per_second(codec)))
    return GenerateSamples(
        codec,
        list(clips["script"]),
        inference_sampling(config),
        min(max_tokens, config.model.decoder.max_positions),
        settings.generate_every,
        ValidationMetrics(list(clips), concatenate_datasets(labelled)),
        folder,
    )


def _first(split: Dataset, count: int) -> Dataset:
    return split.select(range(min(count, len(split)))).select_columns(COLUMNS)
