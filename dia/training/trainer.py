"""The Lightning trainer of a run, from its settings."""

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import Logger

from dia.config.trainer import TrainerConfig
from dia.network.layers import attend_without_plans
from dia.training.checkpointing import CHECKPOINTS, CheckpointFiles, ResumableCheckpoint
from dia.training.distributed import build_strategy, cluster
from dia.training.run_folder import Ready


def build_trainer(
    settings: TrainerConfig,
    ready: Ready,
    callbacks: list[L.Callback],
    loggers: list[Logger],
    steps: int,
    manual: bool = False,
) -> L.Trainer:
    """Return the trainer of a run of ``steps`` optimizer steps: progress bar, loggers, checkpoints for going
    on.

    ``manual`` is for a task that steps its optimizers by hand: then Lightning neither accumulates nor
    validates. No task has its gradients clipped by Lightning: they do it themselves.
    """
    found = ready.processes
    attend_without_plans()
    validate_every = 0 if manual else settings.validate_every
    saver = ResumableCheckpoint(
        ready.run.folder / CHECKPOINTS, settings.checkpoint_every, ready.facts, validate_every
    )
    return L.Trainer(
        accelerator=settings.accelerator, devices=found.devices, num_nodes=found.nodes,
        strategy=build_strategy(settings.strategy, found),
        precision=settings.precision,  # type: ignore[arg-type]  # a string from the config; `validate` knows the names that Lightning's type lists
        max_steps=steps, max_epochs=-1,  # a finished run goes on when it is given more steps
        accumulate_grad_batches=1 if manual else settings.gradient_accumulation_steps,
        val_check_interval=None if manual else settings.validate_every * settings.gradient_accumulation_steps,
        check_val_every_n_epoch=1 if manual else None, num_sanity_val_steps=0, log_every_n_steps=10,
        callbacks=[RichProgressBar(), saver, *callbacks], logger=loggers, use_distributed_sampler=False,
        plugins=[CheckpointFiles(), cluster(found)],
    )  # fmt: skip
