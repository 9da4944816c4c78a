"""The command ``python -m dia.train`` (``dia-train``): train a model, a codec, or a detector of sounds.

It prepares the data unless it exists, trains, and saves the model. The same command resumes an interrupted
run. Exit codes: 0 trained, 2 refused; saved and stopped: 75 by SIGUSR1, 143 by SIGTERM, 130 by Ctrl-C.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dia.cli.run import run

if TYPE_CHECKING:
    from dia.config.train import CodecTrainConfig, EventDetectorTrainConfig, RunConfig, TrainConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run("train", {"": train}, arguments)


def train(config: "RunConfig") -> None:
    """Train, or print the plan of a run. Raises ``UserError``, and ``Interrupted`` after a signal."""
    from dia.pipelines.check_config import complete
    from dia.pipelines.plan import plan
    from dia.training.distributed import distributed_env

    config = complete(config)
    if config.plan:
        return plan(config)
    folder = run_task(config)
    if distributed_env().rank == 0:
        print(f"trained: {folder}")


def run_task(config: "RunConfig") -> Path:
    """Run the pipeline of ``config.task`` and return the run folder. Raises ``UserError`` as it does."""
    from dia.config.choices import Task
    from dia.pipelines.train_codec import train_codec
    from dia.pipelines.train_dia import train_dia
    from dia.pipelines.train_event_detector import train_event_detector

    if config.task is Task.codec:
        return train_codec(cast("CodecTrainConfig", config))
    if config.task is Task.event_detector:
        return train_event_detector(cast("EventDetectorTrainConfig", config))
    return train_dia(cast("TrainConfig", config))


if __name__ == "__main__":
    main()
