"""The loggers of a run: a CSV file in the run folder, and Weights & Biases and TensorBoard as configured."""

import os
import secrets
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from dia.config.trainer import LoggerConfig
from dia.files import make_folder, write_text
from dia.training.metrics_file import MetricsFile
from dia.training.run_folder import METRICS

WANDB_ID = ".wandb_id"  # in the run folder, so that a resumed run continues its W&B run


def build_loggers(config: LoggerConfig, run_name: str, folder: Path) -> list[Logger]:
    """Return the CSV logger, and those of W&B and TensorBoard unless they are disabled."""
    loggers: list[Logger] = [MetricsFile(folder / METRICS)]
    if config.wandb != "disabled":
        loggers.append(_wandb_logger(config, run_name, folder))
    if config.tensorboard:
        loggers.append(TensorBoardLogger(folder, name="", version="tensorboard"))
    return loggers


def log_metrics_now(trainer: L.Trainer, metrics: dict[str, float], step: int) -> None:
    """Write metrics immediately.

    Lightning would write them after the checkpoint of the step, so a run killed in between would lose them.
    """
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=step)


def close_loggers(loggers: list[Logger]) -> None:
    """Finalize the loggers, so that a notebook can start the next run in the same process."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def _wandb_logger(config: LoggerConfig, run_name: str, folder: Path) -> WandbLogger:
    import wandb

    # tables are staged there until they are uploaded; the default is outside the run folder
    os.environ.setdefault("WANDB_DATA_DIR", str(folder.resolve() / "wandb"))
    offline = config.wandb == "offline"
    logger = WandbLogger(
        run_name,
        folder,
        offline=offline,
        id=_wandb_id(folder),
        project=config.project,
        settings=wandb.Settings(silent=True),  # its lines advertise more than they report
        resume=None if offline else "allow",  # W&B ignores it offline, with a warning
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning passes it, W&B warns that it has no effect
    return logger


@rank_zero_only
def _wandb_id(folder: Path) -> str:
    """Return the run's id at W&B, created once; only rank 0 logs there."""
    path = folder / WANDB_ID
    if not path.is_file():
        make_folder(folder)
        write_text(path, secrets.token_hex(4))
    return path.read_text(encoding="utf-8")
