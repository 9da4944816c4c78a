"""Where a run's figures go: a CSV file in its folder, and Weights & Biases unless it is disabled."""

import secrets
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from dia.config.trainer import LoggerConfig
from dia.files import write_text
from dia.training.metrics_file import MetricsFile
from dia.training.run_folder import METRICS

WANDB_ID = ".wandb_id"  # in the run folder: a run that goes on is one run there too


def build_loggers(config: LoggerConfig, run_name: str, folder: Path) -> list[Logger]:
    """Return the logger of the CSV file, and W&B's unless it is disabled."""
    loggers: list[Logger] = [MetricsFile(folder / METRICS)]
    if config.wandb != "disabled":
        offline, known = config.wandb == "offline", _wandb_id(folder)
        loggers.append(
            WandbLogger(run_name, folder, offline=offline, id=known, project=config.project, resume="allow")
        )
    return loggers


def log_metrics_now(trainer: L.Trainer, figures: dict[str, float], step: int) -> None:
    """Write figures at once. Lightning would write them after the step's checkpoint, and a run killed between
    would lose them.
    """
    for logger in trainer.loggers:
        logger.log_metrics(figures, step=step)


def close_loggers(loggers: list[Logger]) -> None:
    """Finish what the loggers have begun, so that a notebook can start the next run."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


@rank_zero_only
def _wandb_id(folder: Path) -> str:
    """The run's name at W&B; made once, by the first process, and the others log nothing there."""
    path = folder / WANDB_ID
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, secrets.token_hex(4))
    return path.read_text(encoding="utf-8")
