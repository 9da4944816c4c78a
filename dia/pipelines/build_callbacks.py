"""Build the callbacks that observe a run (throughput, divergence, samples) and the watched data loaders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from datasets import Dataset, concatenate_datasets
from torch.utils.data import IterableDataset

from dia.codecs.protocol import Codec, frames_per_second
from dia.config.choices import PreferenceOrigin, TrainingData
from dia.config.data import PREFERENCES
from dia.config.judges import JudgesConfig
from dia.config.train import TrainConfig
from dia.data.batching import BatchList
from dia.data.prepared import open_prepared
from dia.dialogue.script import normalize_text
from dia.evaluation.cache import open_cache
from dia.evaluation.validation_metrics import ValidationMetrics
from dia.home import in_home
from dia.pipelines.build_model import inference_sampling
from dia.pipelines.group_rewards import GroupJudge
from dia.pipelines.rollout_generator import RolloutGenerator
from dia.training.callbacks.collapse import CollapseGuard
from dia.training.callbacks.divergence import DivergenceGuard
from dia.training.callbacks.generate_groups import GenerateGroups
from dia.training.callbacks.generate_samples import GenerateSamples
from dia.training.callbacks.text_gain import TextGain
from dia.training.callbacks.throughput import Throughput
from dia.training.callbacks.watchdog import Watchdog, WatchedLoader
from dia.training.objectives import objective_type

COLUMNS = ["id", "source", "script", "turns", "seconds", "audio"]  # that judges read


def build_callbacks(
    config: TrainConfig, folder: Path, codec: Codec, splits: Mapping[str, Dataset]
) -> list[L.Callback]:
    """Return the callbacks that observe training without changing it."""
    frame_rate, only_adapters = frames_per_second(codec), config.lora.rank > 0
    reads = objective_type(config.objective).reads
    callbacks: list[L.Callback] = [
        Throughput(config.model, frame_rate, config.trainer.precision, frozen=only_adapters),
        DivergenceGuard(config.divergence, folder),
    ]
    if reads is not TrainingData.pairs:  # whose validation is no cross-entropy
        callbacks.append(TextGain())
    if config.validation.generate_every:
        samples = generate_samples(config, folder, codec, splits, watched=reads is not TrainingData.clips)
        callbacks.append(samples)
        if reads is not TrainingData.clips:
            callbacks.append(CollapseGuard(config.collapse, samples, folder))
    if reads is TrainingData.groups:
        callbacks.append(generate_groups(config, folder, codec, splits))
    return callbacks


def generate_groups(
    config: TrainConfig, folder: Path, codec: Codec, splits: Mapping[str, Dataset]
) -> GenerateGroups:
    """Return the callback that generates and judges groups of takes of the training scripts."""
    cache = open_cache(in_home("outputs/.cache"))
    judge = GroupJudge(splits, config.rewards, JudgesConfig(), cache)
    generator = RolloutGenerator(
        codec,
        [normalize_text(script) for script in splits["train"]["script"]],
        config.sampling,
        _max_tokens(config, codec, config.grpo.max_seconds),
        config.grpo,
        judge,
        config.seed,
    )
    return GenerateGroups(
        generator, folder, config.trainer.gradient_accumulation_steps, config.grpo.updates_per_rollout
    )


def watched_loaders(
    config: TrainConfig,
    folder: Path,
    trainer: L.Trainer,
    batches: IterableDataset[Any],
    validation: BatchList,
) -> tuple[WatchedLoader, WatchedLoader]:
    """Return the loaders of training and validation; a stall of either ends the run."""
    watchdog = Watchdog(
        config.watchdog.timeout_seconds, folder, trainer.global_rank, lambda: trainer.global_step
    )
    training = WatchedLoader(batches, watchdog, "training", config.trainer.num_workers)
    return training, WatchedLoader(validation, watchdog, "validation")


def generate_samples(
    config: TrainConfig,
    folder: Path,
    codec: Codec,
    splits: Mapping[str, Dataset],
    *,
    watched: bool = False,
) -> GenerateSamples:
    """Return the callback that generates and scores the first scripts of the validation split.

    A run on pairs of judged takes speaks the scripts of the recordings that the takes were judged with.
    ``watched`` adds prosody and held-out judges (:class:`ValidationMetrics`).
    """
    settings, splits = config.validation, _recordings(config, splits)
    clips = _first(splits["validation"], settings.scripts)
    labelled = [_first(splits[name], settings.calibration_clips) for name in ("validation", "train")]
    return GenerateSamples(
        codec,
        list(clips["script"]),
        inference_sampling(config),
        _max_tokens(config, codec, settings.max_seconds),
        settings.generate_every,
        ValidationMetrics(list(clips), concatenate_datasets(labelled), watched=watched),
        folder,
    )


def _recordings(config: TrainConfig, splits: Mapping[str, Dataset]) -> Mapping[str, Dataset]:
    """Return the splits whose scripts are spoken and whose recordings calibrate the judges."""
    preferences = config.data.preferences
    from_data = (
        config.data.corpus == PREFERENCES
        and preferences.origin is PreferenceOrigin.takes
        and not preferences.scripts.endswith(".jsonl")
    )
    recorded = open_prepared(Path(preferences.scripts)) if from_data else {}
    return recorded if {"train", "validation"} <= recorded.keys() else splits


def _max_tokens(config: TrainConfig, codec: Codec, seconds: float) -> int:
    """Return the decoder steps of a take of at most this length, and of at most that of the model."""
    steps = config.model.steps_for(round(seconds * frames_per_second(codec)))
    return min(steps, config.model.decoder.max_positions)


def _first(split: Dataset, count: int) -> Dataset:
    return split.select(range(min(count, len(split)))).select_columns(COLUMNS)
