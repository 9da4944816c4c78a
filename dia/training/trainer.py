"""The Lightning trainer of a run, and the console messages of Lightning that a run does not need."""

import logging
import warnings

import lightning as L
from lightning.pytorch.loggers import Logger

from dia.config.trainer import TrainerConfig
from dia.network.layers import disable_cudnn_attention
from dia.training.callbacks.flush_denormals import FlushDenormals
from dia.training.callbacks.progress import TrainingProgress
from dia.training.checkpointing import CHECKPOINTS, CheckpointFiles, ResumableCheckpoint
from dia.training.distributed import STRATEGIES, cluster_environment
from dia.training.run_folder import PreparedRun

# Starts of Lightning's messages that are adverts, or repeat what the config and the progress show
NEEDLESS = (
    "💡 Tip:",
    "GPU available:",
    "TPU available:",
    "`Trainer.fit` stopped:",
    "Restoring states from the checkpoint path",
    "Restored all states from the checkpoint",
    "Using 16bit Automatic Mixed Precision",
    "Using bfloat16 Automatic Mixed Precision",
    "Initializing distributed:",
    "-----",
    "distributed_backend=",
    "All distributed processes registered",
    "`weights_only` was not set",
)


def build_trainer(
    config: TrainerConfig,
    prepared: PreparedRun,
    callbacks: list[L.Callback],
    loggers: list[Logger],
    steps: int,
    *,
    manual_optimization: bool = False,
) -> L.Trainer:
    """Return the trainer of a run of ``steps`` optimizer steps, with progress and resumable checkpoints.

    With ``manual_optimization`` the module steps its optimizers, and Lightning neither accumulates gradients
    nor validates. Gradient clipping is left to the modules.
    """
    disable_cudnn_attention()
    quiet_lightning()
    processes = prepared.processes
    validate_every = 0 if manual_optimization else config.validate_every
    checkpoint = ResumableCheckpoint(
        prepared.state.folder / CHECKPOINTS, config.checkpoint_every, prepared.fingerprint, validate_every
    )
    return L.Trainer(
        accelerator=config.accelerator,
        devices=processes.devices,
        num_nodes=processes.nodes,
        strategy=STRATEGIES[config.strategy](processes),
        precision=config.precision,  # type: ignore[arg-type]  # a string that the config has validated
        max_steps=steps,
        max_epochs=-1,  # steps alone end a run, so that a finished one can be trained for more
        accumulate_grad_batches=1 if manual_optimization else config.gradient_accumulation_steps,
        val_check_interval=None
        if manual_optimization
        else config.validate_every * config.gradient_accumulation_steps,
        check_val_every_n_epoch=1 if manual_optimization else None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        callbacks=[FlushDenormals(), TrainingProgress(), checkpoint, *callbacks],
        logger=loggers,
        use_distributed_sampler=False,
        plugins=[CheckpointFiles(), cluster_environment(processes)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def quiet_lightning() -> None:
    """Hide needless messages of Lightning, each by its text; others and all warnings stay."""
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.fabric.utilities.rank_zero",
        "lightning.fabric.utilities.distributed",
        "lightning.pytorch.trainer.connectors.checkpoint_connector",
    ):
        source = logging.getLogger(name)
        if _is_needed not in source.filters:
            source.addFilter(_is_needed)
    # Lightning 2.6.6 uses a class of torch that torch 2.14 deprecates
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
    # batches are a pure function of their number, so the number of loader processes is the user's choice
    warnings.filterwarnings("ignore", r"The '(train|val)_dataloader' does not have many workers")


def _is_needed(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(NEEDLESS)
