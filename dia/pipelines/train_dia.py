"""Train a Dia network: preflight, codec, data, Lightning module, Trainer.fit, runs/<run_name>/model."""

import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
from datasets import Dataset
from torch.utils.data import IterableDataset

from dia.checkpoint import CodecReference
from dia.codecs.protocol import Codec
from dia.codecs.registry import load_codec
from dia.config.choices import TrainingData
from dia.config.train import TrainConfig
from dia.data.batching import (
    BatchList,
    Clips,
    Dropout,
    ShortClipsFirst,
    Span,
    TrainingBatches,
    batches_of_rank,
    unigram_cross_entropy,
    validation_batches,
)
from dia.data.dataset import DatasetShare, PreparedClips
from dia.data.preferences.clips import PreferencePairs, PreferredTakes
from dia.data.prepared import open_prepared
from dia.data.rollout_scripts import RolloutScripts
from dia.data.voice_filter import select_voices
from dia.files import write_text
from dia.inference.synthesizer import require_matching_shapes
from dia.pipelines.build_callbacks import build_callbacks, watched_loaders
from dia.pipelines.build_model import (
    InitialModel,
    build_model,
    inference_sampling,
    require_same_base,
    write_base,
)
from dia.pipelines.preflight import as_yaml, open_data, preflight
from dia.training.activation_checkpointing import checkpoint_activations, compile_layers
from dia.training.callbacks.early_stopping import EarlyStopping
from dia.training.callbacks.ema import ExponentialMovingAverage, averaged_weights
from dia.training.callbacks.save_model import SaveModel
from dia.training.dia_module import DiaModule
from dia.training.distributed import whole_state
from dia.training.export import Exporter
from dia.training.float8 import use_float8
from dia.training.loggers import build_loggers, close_loggers
from dia.training.loss import channel_weights
from dia.training.objectives import objective_type
from dia.training.residual_dropout import add_residual_dropout
from dia.training.run_folder import PreparedRun, RunState, begin_run, finish_run, run_lock
from dia.training.run_inputs import RunInputs, write_inputs
from dia.training.trainer import build_trainer

logger = logging.getLogger(__name__)


def train_dia(config: TrainConfig) -> Path:
    """Train a Dia network and return the run folder. Raises :class:`UserError`."""
    prepared = preflight(config)
    codec = load_codec(config.codec.name)
    data, prepared = open_data(config, codec, prepared)
    splits = select_voices(data, config.voices)
    with run_lock(prepared.state.folder) if prepared.processes.rank == 0 else nullcontext():
        return _train(config, codec, splits, prepared)


def _train(config: TrainConfig, codec: Codec, splits: Mapping[str, Dataset], prepared: PreparedRun) -> Path:
    state, model = prepared.state, _model(config, codec)
    train, validation = clips_of(config, splits)
    require_same_base(state.folder, model.base)
    if prepared.processes.rank == 0:
        begin_run(state.folder, as_yaml(config))
        write_inputs(state.folder, RunInputs(prepared.fingerprint.data, codec.name, codec.fingerprint))
        write_base(state.folder, model.base)
        write_marginal(state.folder, train, validation, config)
    use_ema = config.ema.decay > 0
    task = DiaModule(
        model.network,
        model.objective,
        config.optim,
        config.schedule,
        config.trainer.steps,
        config.batch.first_channel_weight,
        config.seed,
        use_ema=use_ema,
    )
    reference = CodecReference(codec.name, codec.fingerprint)
    export = Exporter(state.folder, reference, inference_sampling(config), config.lora, model.base)
    early_stopping = EarlyStopping(config.early_stopping) if config.early_stopping.patience else None
    callbacks: list[L.Callback] = [] if early_stopping is None else [early_stopping]
    callbacks += [SaveModel(export, early_stopping), *build_callbacks(config, state.folder, codec, splits)]
    if use_ema:  # last, so that the others see the average that it swaps in for validation
        callbacks.append(ExponentialMovingAverage(config.ema.decay))
    loggers = build_loggers(config.logger, config.run_name, state.folder)
    trainer = build_trainer(config.trainer, prepared, callbacks, loggers, config.trainer.steps)
    batches, validation_set = _batches(config, state, trainer, train, validation, splits["train"]["id"])
    loaders = watched_loaders(config, state.folder, trainer, batches, validation_set)
    trainer.fit(task, *loaders, ckpt_path=state.checkpoint, weights_only=True)
    close_loggers(loggers)
    if early_stopping is None or not early_stopping.has_compared:
        _export_last(task, export, trainer)
    if trainer.is_global_zero:
        finish_run(state.folder, trainer.global_step)
    return state.folder


def _model(config: TrainConfig, codec: Codec) -> InitialModel:
    """Return the model to train, with fp8, dropout, activation checkpointing and compilation applied."""
    model = build_model(config, codec)
    if config.trainer.float8:
        use_float8(model.network)
    add_residual_dropout(model.network, config.dropout)
    checkpoint_activations(model.network, config.trainer.activation_checkpointing)
    if config.trainer.compile:
        compile_layers(model.network)
    require_matching_shapes(model.network, codec)
    total = sum(weight.numel() for weight in model.network.parameters())
    trained = sum(weight.numel() for weight in model.network.parameters() if weight.requires_grad)
    logger.info("network: %s parameters, %s trained", f"{total:,}", f"{trained:,}")
    return model


def _export_last(task: DiaModule, export: Exporter, trainer: L.Trainer) -> None:
    """Export the model of the last step; every rank must call it."""
    with averaged_weights(task):
        state = whole_state(task.network)  # no copy, unless it was gathered
        if trainer.is_global_zero:
            export(task.network.config, state)


def clips_of(config: TrainConfig, splits: Mapping[str, Dataset]) -> tuple[Clips, Clips]:
    """Return the training samples, with labels and mixed-in data sets applied, and those of validation."""
    reads = objective_type(config.objective).reads
    if reads.from_preferences:
        samples = PreferencePairs if reads is TrainingData.pairs else PreferredTakes
        return samples(splits["train"], config.model), samples(splits["validation"], config.model)
    mixed = [
        DatasetShare(open_prepared(Path(folder))["train"], share) for folder, share in config.mix.items()
    ]
    own = DatasetShare(splits["train"], 1.0 - sum(config.mix.values()))
    train = PreparedClips([own, *mixed], config.model, config.labels, weighted=True)
    return train, PreparedClips([DatasetShare(splits["validation"], 1.0)], config.model, config.labels)


def write_marginal(folder: Path, train: Clips, validation: Clips, config: TrainConfig) -> None:
    """Write marginal.json: the loss of a model that knows code frequencies only, the baseline of training.

    It is in nats, with the weights of the training loss.
    """
    weights_C = channel_weights(config.model.channels, config.batch.first_channel_weight).double()
    losses_C = unigram_cross_entropy(train, validation, config.model)
    loss = float((weights_C * losses_C).sum() / weights_C.sum())
    write_text(folder / "marginal.json", json.dumps({"loss": loss, "channels": losses_C.tolist()}) + "\n")
    logger.info("a model that knew only how frequent each code is would reach a loss of %.3f nats", loss)


def _batches(
    config: TrainConfig, state: RunState, trainer: L.Trainer, train: Clips, validation: Clips, ids: list[str]
) -> tuple[IterableDataset[Any], BatchList]:
    """Return the training batches from the resumed step on, and this rank's validation batches.

    ``ids`` are those of the training clips, of which groups of takes are generated.
    """
    batch, micro_batches = config.batch, config.trainer.gradient_accumulation_steps
    rank, world_size = trainer.global_rank, trainer.world_size
    span = Span(state.steps_done * micro_batches, config.trainer.steps * micro_batches, rank, world_size)
    dropout = Dropout(batch.text_dropout, batch.code_dropout)
    short_first = ShortClipsFirst(config.curriculum.epochs, config.curriculum.shortest_fraction)
    batches: IterableDataset[Any] = TrainingBatches(
        train, config.model, batch.max_frames, dropout, config.seed, span, short_first, packed=batch.packed
    )
    if objective_type(config.objective).reads is TrainingData.groups:
        settings = config.grpo
        batches = RolloutScripts(
            ids, settings.prompts, settings.updates_per_rollout, micro_batches, config.seed, span
        )
    validation_set = validation_batches(validation, config.model, batch.max_frames)
    return batches, BatchList(batches_of_rank(validation_set, rank, world_size, config.model))
