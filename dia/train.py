"""Train: ``python -m dia.train +recipe=demo``. Prepares the data unless it is there, trains, and saves the
model.

The same command again goes on where it was cut off. Exit codes: 0 trained, 2 cannot begin, 75 stopped on
SIGUSR1 and saved.
"""

import sys

from dia.config.compose import run
from dia.config.train import TrainConfig
from dia.pipelines.check_config import complete
from dia.pipelines.plan import plan
from dia.pipelines.train_codec import train_codec
from dia.pipelines.train_dia import train_dia
from dia.training.checkpointing import Stopped
from dia.training.distributed import distributed_env

TASKS = {"dia": train_dia, "codec": train_codec}
TRY_AGAIN = 75  # EX_TEMPFAIL


def main(config: TrainConfig) -> None:
    """Run the config's task, or print its plan. Raises ``UserError`` as its parts do."""
    config = complete(config)
    if config.plan:
        return plan(config)
    task = TASKS.get(config.task, train_dia)  # an unknown one is told with all other problems
    try:
        folder = task(config)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(TRY_AGAIN)
    if distributed_env().rank == 0:
        print(f"trained: {folder}")


if __name__ == "__main__":
    run("train", main)
