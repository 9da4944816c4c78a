"""Train: ``python -m dia.train +recipe=demo``. Prepares the data unless it is there, trains, and saves the model.

One run: claim the folder -> codec -> data -> task -> Trainer.fit -> runs/<run_name>/model.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from datasets import DatasetDict
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from dia.audio.codec import Codec, frames_per_second
from dia.audio.load import load_codec
from dia.audio.spectral import SpectralNetwork
from dia.audio.spectral_codec import save_spectral
from dia.checkpoint import CodecReference, save_checkpoint
from dia.conf import TrainConfig, run, validate
from dia.data.batches import BatchList, Clips, Span, TrainingBatches, marginal_cross_entropy, validation_batches
from dia.data.clips import Part, PreparedClips
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.data.waves import TrainingCrops, read_waves
from dia.evaluation.spoken import SpokenWordErrorRate
from dia.inference import Synthesizer
from dia.network import DiaNetwork
from dia.training.callbacks import SaveModel, SpeakScripts
from dia.training.codec_task import CodecTask
from dia.training.dia_task import DiaTask
from dia.training.loss import channel_weights
from dia.training.run_folder import begin_run, require_run_folder, write_text


@dataclass(frozen=True)
class Run:
    """A claimed run: its folder, the checkpoint to go on from, and the optimizer steps already done."""

    folder: Path
    resume_from: Path | None
    steps_done: int


def main(config: TrainConfig) -> None:
    """Run the config's task. Raises ``UserError`` as its parts do."""
    validate(config)
    print(f"trained: {TASKS[config.task](config)}")


def train_dia(config: TrainConfig) -> Path:
    """Train a Dia network and return the run folder."""
    claimed = claim(config)
    codec = load_codec(config.codec.name)
    network = seeded_network(config)
    synthesizer = Synthesizer(network, codec)
    splits = open_prepared(prepare(config.data, codec, config.engine))
    train, validation = (
        training_clips(config, splits),
        PreparedClips([Part(splits["validation"], 1.0)], config.model, config.labels),
    )
    begin_run(claimed.folder, as_yaml(config))
    write_marginal(claimed.folder, train, validation, config)
    task = DiaTask(network, config.optim, config.schedule, config.trainer.steps, config.batch.first_channel_weight)
    reference = CodecReference(codec.name, codec.fingerprint)
    callbacks: list[L.Callback] = [SaveModel(claimed.folder / "model", reference)]
    if config.validation.speak_every:
        callbacks.append(_speaking(config, synthesizer, codec, splits["validation"]["script"]))
    trainer = build_trainer(config, claimed, callbacks, config.trainer.steps)
    batches, held_out = _batches(config, claimed, trainer, train, validation)
    loaders = DataLoader(batches, batch_size=None), DataLoader(held_out, batch_size=None)
    trainer.fit(task, loaders[0], loaders[1], ckpt_path=claimed.resume_from, weights_only=True)
    finish(trainer, claimed)
    if trainer.is_global_zero:
        save_checkpoint(network, claimed.folder / "model", reference)
    return claimed.folder


def train_codec(config: TrainConfig) -> Path:
    """Train the spectral codec and return the run folder."""
    training = config.codec_training
    claimed = claim(config)
    L.seed_everything(config.seed)
    network = SpectralNetwork(config.spectral)
    splits = open_prepared(prepare(config.data, None, config.engine))
    waves = read_waves(splits["train"], config.spectral.sample_rate)
    begin_run(claimed.folder, as_yaml(config))
    task = CodecTask(network, training, config.schedule, config.seed)
    trainer = build_trainer(config, claimed, [], training.steps)
    crops = TrainingCrops(waves, training.clips, training.samples, config.seed, claimed.steps_done, training.steps)
    trainer.fit(task, DataLoader(crops, batch_size=None), ckpt_path=claimed.resume_from, weights_only=True)
    finish(trainer, claimed)
    save_spectral(task.finished_network(), claimed.folder / "model")
    return claimed.folder


TASKS = {"dia": train_dia, "codec": train_codec}


def training_clips(config: TrainConfig, splits: DatasetDict) -> PreparedClips:
    """Return the training split with what is mixed into it, drawn as labels and shares say."""
    mixed = [Part(open_prepared(Path(folder))["train"], share) for folder, share in config.mix.items()]
    own = Part(splits["train"], 1.0 - sum(config.mix.values()))
    return PreparedClips([own, *mixed], config.model, config.labels, drawn=True)


def seeded_network(config: TrainConfig) -> DiaNetwork:
    """Return a fresh network whose weights depend on the seed only."""
    L.seed_everything(config.seed)
    return DiaNetwork(config.model)


def claim(config: TrainConfig) -> Run:
    """Return the run that the config names; see :func:`require_run_folder`. Nothing is written yet."""
    folder = Path(config.runs) / config.run_name
    resume_from = require_run_folder(folder, config.resume)
    steps = torch.load(resume_from, map_location="cpu", weights_only=True)["global_step"] if resume_from else 0
    return Run(folder, resume_from, steps)


def as_yaml(config: TrainConfig) -> str:
    """Return the composed config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def build_trainer(config: TrainConfig, claimed: Run, callbacks: list[L.Callback], steps: int) -> L.Trainer:
    """Return the Lightning trainer of a run of ``steps`` optimizer steps: progress bar, loggers, checkpoints for going on."""
    settings = config.trainer
    manual = config.task == "codec"  # steps its optimizers by hand: Lightning may neither clip nor accumulate
    saver = ModelCheckpoint(
        claimed.folder / "checkpoints",
        "last",
        every_n_train_steps=settings.checkpoint_every,
        enable_version_counter=False,
    )
    return L.Trainer(
        accelerator=settings.accelerator, devices=settings.devices, num_nodes=settings.nodes, strategy=settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]  # a string from the config; `validate` knows the names that Lightning's type lists
        max_steps=steps, max_epochs=-1,  # a finished run goes on when it is given more steps
        accumulate_grad_batches=1 if manual else settings.accumulate,
        gradient_clip_val=None if manual else config.optim.clip_norm,
        val_check_interval=None if manual else settings.validate_every * settings.accumulate,
        check_val_every_n_epoch=1 if manual else None, num_sanity_val_steps=0, log_every_n_steps=10,
        callbacks=[RichProgressBar(), saver, *callbacks], logger=build_loggers(config, claimed.folder),
        use_distributed_sampler=False,
    )  # fmt: skip


def build_loggers(config: TrainConfig, folder: Path) -> list[Logger]:
    """Return the CSV logger, and W&B's unless it is disabled."""
    loggers: list[Logger] = [CSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)]
    if config.logger.wandb != "disabled":
        offline = config.logger.wandb == "offline"
        loggers.append(WandbLogger(name=config.run_name, save_dir=folder, project=config.logger.project, offline=offline))
    return loggers


def write_marginal(folder: Path, train: Clips, validation: Clips, config: TrainConfig) -> None:
    """Write the loss of guessing by frequency alone: what training has to beat (nats, weighted as the loss is)."""
    weights_C = channel_weights(config.model.channels, config.batch.first_channel_weight).double()
    losses_C = marginal_cross_entropy(train, validation, config.model)
    loss = float((weights_C * losses_C).sum() / weights_C.sum())
    write_text(folder / "marginal.json", json.dumps({"loss": loss, "channels": losses_C.tolist()}) + "\n")
    print(f"loss of the marginal token distribution: {loss:.3f} nats")


def finish(trainer: L.Trainer, claimed: Run) -> None:
    """Save the state a last time and close the loggers, so that a notebook can start the next run."""
    trainer.save_checkpoint(claimed.folder / "checkpoints" / "last.ckpt")
    for logger in trainer.loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def _batches(
    config: TrainConfig, claimed: Run, trainer: L.Trainer, train: Clips, validation: Clips
) -> tuple[TrainingBatches, BatchList]:
    accumulate = config.trainer.accumulate
    span = Span(claimed.steps_done * accumulate, config.trainer.steps * accumulate, trainer.global_rank, trainer.world_size)
    batches = TrainingBatches(train, config.model, config.batch.frames, config.batch.text_dropout, config.seed, span)
    return batches, BatchList(validation_batches(validation, config.model, config.batch.frames))


def _speaking(config: TrainConfig, synthesizer: Synthesizer, codec: Codec, scripts: list[str]) -> SpeakScripts:
    settings = config.validation
    room = round(settings.max_seconds * frames_per_second(codec)) + 2 + max(config.model.delays)
    return SpeakScripts(
        synthesizer, scripts[: settings.scripts], config.sampling, min(room, config.model.decoder.max_positions),
        settings.speak_every, SpokenWordErrorRate(),
    )  # fmt: skip


if __name__ == "__main__":
    run("train", main)
