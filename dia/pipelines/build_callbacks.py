"""What watches a run: its rates, its guards, and the judges that listen to it."""

from collections.abc import Mapping
from pathlib import Path

import lightning as L
from datasets import Dataset, concatenate_datasets

from dia.codecs.protocol import Codec, frames_per_second
from dia.config.train import TrainConfig
from dia.data.batching import BatchList, TrainingBatches
from dia.evaluation.validation_metrics import Listener
from dia.pipelines.build_model import spoken_sampling
from dia.training.callbacks.divergence import Guard
from dia.training.callbacks.generate_samples import GenerateSamples
from dia.training.callbacks.text_gain import TextGain
from dia.training.callbacks.throughput import Throughput
from dia.training.callbacks.watchdog import Watchdog, WatchedLoader

COLUMNS = ["id", "script", "turns", "seconds", "audio"]  # what judges want of a row


def build_callbacks(
    config: TrainConfig, folder: Path, codec: Codec, splits: Mapping[str, Dataset]
) -> list[L.Callback]:
    """Return the callbacks that watch and change nothing."""
    found = [
        Throughput(config.model, frames_per_second(codec), config.trainer.precision, config.lora.rank > 0),
        Guard(config.divergence, folder),
        TextGain(),
    ]
    return found + ([speaking(config, codec, splits)] if config.validation.generate_every else [])


def watched_loaders(
    config: TrainConfig, folder: Path, trainer: L.Trainer, batches: TrainingBatches, held_out: BatchList
) -> tuple[WatchedLoader, WatchedLoader]:
    """Return the loaders of training and of validation; a stall of either ends the run."""
    watchdog = Watchdog(
        config.watchdog.timeout_seconds, folder, trainer.global_rank, lambda: trainer.global_step
    )
    training = WatchedLoader(batches, watchdog, "training", config.trainer.num_workers)
    return training, WatchedLoader(held_out, watchdog, "validation")


def speaking(config: TrainConfig, codec: Codec, splits: Mapping[str, Dataset]) -> GenerateSamples:
    """Return what speaks and judges the first scripts of the validation split."""
    settings = config.validation
    spoken = _first(splits["validation"], settings.scripts)
    labelled = [_first(splits[name], settings.calibration_clips) for name in ("validation", "train")]
    scripts = list(spoken["script"])
    room = round(settings.max_seconds * frames_per_second(codec)) + 2 + max(config.model.delays)
    return GenerateSamples(
        codec, scripts, spoken_sampling(config), min(room, config.model.decoder.max_positions), settings.generate_every,
        Listener(list(spoken), concatenate_datasets(labelled)),
    )  # fmt: skip


def _first(split: Dataset, count: int) -> Dataset:
    return split.select(range(min(count, len(split)))).select_columns(COLUMNS)
