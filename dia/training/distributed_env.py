"""The processes of a run: who started them, how many there are, and which one this is.

Several processes are started by torchrun or srun, never by Lightning, whose own launcher runs the command
line again with other arguments. What they say of themselves stands in environment variables, before any of
them has met another.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from lightning.pytorch.plugins.environments import SLURMEnvironment

from dia.config.trainer import TrainerConfig

TORCHRUN = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK")
SRUN = ("SLURM_NTASKS", "SLURM_NNODES", "SLURM_PROCID")


@dataclass(frozen=True)
class Processes:
    """How many nodes there are, processes on each, and the number of this one among all; ``starter`` is empty
    without one.
    """

    starter: str
    nodes: int
    devices: int
    rank: int

    @property
    def world(self) -> int:
        """How many processes there are."""
        return self.nodes * self.devices


def distributed_env(environment: Mapping[str, str] = os.environ) -> Processes:
    """Return the processes that torchrun or srun started, or this one alone."""
    if all(name in environment for name in TORCHRUN):
        world, local, rank = (int(environment[name]) for name in TORCHRUN)
        return Processes("torchrun", world // local, local, rank)
    if SLURMEnvironment.detect() and all(name in environment for name in SRUN):
        tasks, nodes, rank = (int(environment[name]) for name in SRUN)
        return Processes("srun", nodes, tasks // nodes, rank)
    return Processes("", 1, 1, 0)


def process_problems(settings: TrainerConfig, found: Processes) -> list[str]:
    """Return what of the settings does not go with the processes there are, one sentence each with its
    remedy.

    0 devices or nodes in the settings are as many as were started.
    """
    if not settings.strategy.distributed:
        several = f"{found.starter} started {found.world} processes; choose trainer=ddp or trainer=fsdp2"
        return [several] if found.world > 1 else []
    if not found.starter:
        return [f"trainer.strategy={settings.strategy} is for processes that torchrun or srun started; "
                "run: torchrun --nproc-per-node=GPUS -m dia.train ..."]  # fmt: skip
    return [
        f"trainer.{name}={asked}, but {found.starter} started {there}; make them agree, or set trainer.{name}=0"
        for name, asked, there in (
            ("devices", settings.devices, found.devices),
            ("nodes", settings.nodes, found.nodes),
        )
        if asked not in (0, there)
    ]
