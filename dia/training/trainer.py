"""The Lightning trainer of a run, from its settings."""

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger

from dia.training.settings import TrainerConfig


def build_trainer(
    settings: TrainerConfig,
    folder: Path,
    callbacks: list[L.Callback],
    loggers: list[Logger],
    steps: int,
    manual: bool = False,
) -> L.Trainer:
    """Return the trainer of a run of ``steps`` optimizer steps in ``folder``: progress bar, loggers, checkpoints for going on.

    ``manual`` is for a task that steps its optimizers by hand: then Lightning neither accumulates nor validates. No task has
    its gradients clipped by Lightning: they do it themselves.
    """
    saver = ModelCheckpoint(
        folder / "checkpoints", "last", every_n_train_steps=settings.checkpoint_every, enable_version_counter=False
    )
    return L.Trainer(
        accelerator=settings.accelerator, devices=settings.devices, num_nodes=settings.nodes, strategy=settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]  # a string from the config; `validate` knows the names that Lightning's type lists
        max_steps=steps, max_epochs=-1,  # a finished run goes on when it is given more steps
        accumulate_grad_batches=1 if manual else settings.accumulate,
        val_check_interval=None if manual else settings.validate_every * settings.accumulate,
        check_val_every_n_epoch=1 if manual else None, num_sanity_val_steps=0, log_every_n_steps=10,
        callbacks=[RichProgressBar(), saver, *callbacks], logger=loggers, use_distributed_sampler=False,
    )  # fmt: skip
