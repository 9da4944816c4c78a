"""Train a Dia network: preflight -> codec -> data -> task -> Trainer.fit -> runs/<run_name>/model."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import lightning as L
from datasets import Dataset

from dia.checkpoint import CodecReference
from dia.codecs.protocol import Codec
from dia.codecs.registry import load_codec
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
from dia.data.prepared import open_prepared
from dia.data.voice_filter import select_voices
from dia.files import write_text
from dia.inference.synthesizer import require_fitting
from dia.pipelines.build_callbacks import build_callbacks, watched_loaders
from dia.pipelines.build_model import begin, require_same_base, spoken_sampling, write_base
from dia.pipelines.preflight import as_yaml, opened_data, preflight
from dia.training.activation_checkpointing import checkpoint_activations, compile_layers
from dia.training.callbacks.early_stopping import EarlyStopping
from dia.training.callbacks.ema import ExponentialMovingAverage, averaged
from dia.training.callbacks.save_model import SaveModel
from dia.training.dia_module import DiaModule
from dia.training.distributed import whole_state
from dia.training.export import Exporter
from dia.training.loggers import build_loggers, close_loggers
from dia.training.loss import channel_weights
from dia.training.residual_dropout import drop_residuals
from dia.training.run_folder import Ready, Run, begin_run, finish_run, run_lock
from dia.training.trainer import build_trainer


def train_dia(config: TrainConfig) -> Path:
    """Train a Dia network and return the run folder. Raises ``UserError`` as its parts do."""
    ready = preflight(config)
    codec = load_codec(config.codec.name)
    data, ready = opened_data(config, codec, ready)
    splits = select_voices(data, config.voices)
    with run_lock(ready.run.folder) if ready.processes.rank == 0 else nullcontext():
        return _train(config, codec, splits, ready)


def _train(config: TrainConfig, codec: Codec, splits: Mapping[str, Dataset], ready: Ready) -> Path:
    claimed = ready.run
    start = begin(config, codec)
    network = start.network
    drop_residuals(network, config.dropout)
    checkpoint_activations(network, config.trainer.activation_checkpointing)
    if config.trainer.compile:
        compile_layers(network)
    require_fitting(network, codec)
    train, validation = clips_of(config, splits)
    require_same_base(claimed.folder, start.base)
    if ready.processes.rank == 0:
        begin_run(claimed.folder, as_yaml(config))
        write_base(claimed.folder, start.base)
        write_marginal(claimed.folder, train, validation, config)
    weight, averaging = config.batch.first_channel_weight, config.ema.decay > 0
    steps, schedule = config.trainer.steps, config.schedule
    task = DiaModule(network, start.objective, config.optim, schedule, steps, weight, config.seed, averaging)
    reference = CodecReference(codec.name, codec.fingerprint)
    export = Exporter(claimed.folder, reference, spoken_sampling(config), config.lora, start.base)
    stop = EarlyStopping(config.early_stopping) if config.early_stopping.patience else None
    callbacks: list[L.Callback] = [*([stop] if stop else []), SaveModel(export, stop)]
    callbacks += build_callbacks(config, claimed.folder, codec, splits)
    if averaging:
        callbacks.append(
            ExponentialMovingAverage(config.ema.decay)
        )  # last: the others see the average that it puts in for validation
    loggers = build_loggers(config.logger, config.run_name, claimed.folder)
    trainer = build_trainer(config.trainer, ready, callbacks, loggers, config.trainer.steps)
    batches, held_out = _batches(config, claimed, trainer, train, validation)
    loaders = watched_loaders(config, claimed.folder, trainer, batches, held_out)
    trainer.fit(task, *loaders, ckpt_path=claimed.checkpoint, weights_only=True)
    close_loggers(loggers)
    if stop is None or not stop.compared:
        with averaged(task):
            state = whole_state(network)  # not a copy, unless it was gathered
            if trainer.is_global_zero:
                export(network.config, state)
    if trainer.is_global_zero:
        finish_run(claimed.folder, trainer.global_step)
    return claimed.folder


def clips_of(config: TrainConfig, splits: Mapping[str, Dataset]) -> tuple[PreparedClips, PreparedClips]:
    """Return the training split, drawn as labels and shares say with what is mixed into it, and the
    validation split.
    """
    mixed = [
        DatasetShare(open_prepared(Path(folder))["train"], share) for folder, share in config.mix.items()
    ]
    own = DatasetShare(splits["train"], 1.0 - sum(config.mix.values()))
    train = PreparedClips([own, *mixed], config.model, config.labels, drawn=True)
    return train, PreparedClips([DatasetShare(splits["validation"], 1.0)], config.model, config.labels)


def write_marginal(folder: Path, train: Clips, validation: Clips, config: TrainConfig) -> None:
    """Write the loss of guessing by frequency alone: what training has to beat (nats, weighted as the loss
    is).
    """
    weights_C = channel_weights(config.model.channels, config.batch.first_channel_weight).double()
    losses_C = unigram_cross_entropy(train, validation, config.model)
    loss = float((weights_C * losses_C).sum() / weights_C.sum())
    write_text(folder / "marginal.json", json.dumps({"loss": loss, "channels": losses_C.tolist()}) + "\n")
    print(f"loss of the marginal token distribution: {loss:.3f} nats")


def _batches(
    config: TrainConfig, claimed: Run, trainer: L.Trainer, train: Clips, validation: Clips
) -> tuple[TrainingBatches, BatchList]:
    accumulate = config.trainer.gradient_accumulation_steps
    span = Span(
        claimed.steps_done * accumulate,
        config.trainer.steps * accumulate,
        trainer.global_rank,
        trainer.world_size,
    )
    batch = config.batch
    dropout, short_first = (
        Dropout(batch.text_dropout, batch.code_dropout),
        ShortClipsFirst(config.curriculum.epochs, config.curriculum.shortest_fraction),
    )
    batches = TrainingBatches(train, config.model, batch.max_frames, dropout, config.seed, span, short_first)
    held_out = validation_batches(validation, config.model, config.batch.max_frames)
    return batches, BatchList(
        batches_of_rank(held_out, trainer.global_rank, trainer.world_size, config.model)
    )
