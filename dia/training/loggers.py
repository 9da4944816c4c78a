"""Where a run's figures go: a CSV file in its folder, and Weights & Biases unless it is disabled."""

from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from dia.training.settings import LoggerConfig


def build_loggers(config: LoggerConfig, run_name: str, folder: Path) -> list[Logger]:
    """Return the CSV logger, and W&B's unless it is disabled."""
    loggers: list[Logger] = [CSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)]
    if config.wandb != "disabled":
        offline = config.wandb == "offline"
        loggers.append(WandbLogger(name=run_name, save_dir=folder, project=config.project, offline=offline))
    return loggers


def close_loggers(loggers: list[Logger]) -> None:
    """Finish what the loggers have begun, so that a notebook can start the next run."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
