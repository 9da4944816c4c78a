"""The command ``python -m dia.train`` (``dia-train``): train a model or a codec.

It prepares the data unless it exists, trains, and saves the model. The same command resumes an interrupted
run. Exit codes: 0 trained, 2 refused, 75 stopped by SIGUSR1 and saved.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dia.cli.run import run

if TYPE_CHECKING:
    from dia.config.train import CodecTrainConfig, RunConfig, TrainConfig

EXIT_STOPPED = 75  # EX_TEMPFAIL: run the same command again


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run("train", {"": train}, arguments)


def train(config: "RunConfig") -> None:
    """Train, or print the plan of a run. Raises ``UserError`` as its parts do."""
    from dia.pipelines.check_config import complete
    from dia.pipelines.plan import plan
    from dia.training.checkpointing import Stopped
    from dia.training.distributed import distributed_env

    config = complete(config)
    if config.plan:
        return plan(config)
    try:
        folder = run_task(config)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(EXIT_STOPPED)
    if distributed_env().rank == 0:
        print(f"trained: {folder}")


def run_task(config: "RunConfig") -> Path:
    """Run the pipeline of ``config.task`` and return the run folder. Raises ``UserError`` as it does."""
    from dia.config.choices import Task
    from dia.pipelines.train_codec import train_codec
    from dia.pipelines.train_dia import train_dia

    if config.task is Task.codec:
        return train_codec(cast("CodecTrainConfig", config))
    return train_dia(cast("TrainConfig", config))


if __name__ == "__main__":
    main()
