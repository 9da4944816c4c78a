"""Train: ``python -m dia.train +recipe=demo``. Prepares the data unless it is there, trains, and saves the model."""

from dia.conf import TrainConfig, run, validate
from dia.experiment.codec_run import train_codec
from dia.experiment.dia_run import train_dia

TASKS = {"dia": train_dia, "codec": train_codec}


def main(config: TrainConfig) -> None:
    """Run the config's task. Raises ``UserError`` as its parts do."""
    validate(config)
    print(f"trained: {TASKS[config.task](config)}")


if __name__ == "__main__":
    run("train", main)
