"""Engines of data preparation and evaluation: local processes, a Dask cluster, or workers of SLURM."""

import re
from dataclasses import dataclass, field

from dia.config.choices import EngineKind, coerce_choices


@dataclass
class SlurmConfig:
    """Resources of one SLURM job. An empty value is the cluster's default."""

    queue: str = ""
    """Partition."""
    account: str = ""
    """Account that is charged."""
    cores: int = 1
    """Cores per job; each is a worker, except with a GPU, where a job is one worker."""
    memory: str = "8GB"
    """Memory of all workers of a job."""
    walltime: str = "04:00:00"
    """Time limit of a job, as SLURM writes it."""
    interface: str = ""
    """Network interface between the nodes, such as `ib0`."""
    python: str = ""
    """Python on the nodes, when it is not the current one."""
    prologue: list[str] = field(default_factory=list)
    """Lines of the job script before its worker."""
    directives: list[str] = field(default_factory=list)
    """Further `#SBATCH` options, such as `--constraint=a100`. A job that needs a GPU gets `--gres=gpu:1`
    unless they request one."""
    logs: str = "slurm-logs"
    """Folder of the jobs' output."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [] if self.cores >= 1 else [f"engine.slurm.cores={self.cores} must be 1 or more"]
        try:
            walltime_seconds(self.walltime)
        except ValueError as error:
            problems.append(str(error))
        values = (self.queue, self.account, self.memory, self.interface, self.python, *self.directives)
        if any("\n" in value for value in values):
            problems.append(
                "engine.slurm has a value with a line break; each is a part of one line of the job script"
            )
        return problems


@dataclass
class EngineConfig:
    """Where data preparation and evaluation run; each worker computes with one thread."""

    kind: EngineKind = EngineKind.local
    """`local` processes, or `dask` (extra `cluster`)."""
    workers: int = 2
    """Worker processes; 0 (local only) works in the current process."""
    scheduler: str = ""
    """Dask: address of a running scheduler; empty starts one on this machine; `slurm` starts workers with
    SLURM."""
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    startup_minutes: float = 60.0
    """Minutes to wait for SLURM's first worker."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        minimum = int(self.kind is EngineKind.dask)
        if self.workers < minimum:
            problems.append(f"engine.workers={self.workers} must be {minimum} or more")
        if self.startup_minutes <= 0:
            problems.append(f"engine.startup_minutes={self.startup_minutes} must be above 0")
        return problems + self.slurm.problems()


def walltime_seconds(walltime: str) -> int:
    """Return the seconds of a SLURM time limit; 0 is no limit.

    It is written `minutes`, `minutes:seconds`, `hours:minutes:seconds` or `days-hours[:minutes[:seconds]]`.
    Raises ``ValueError`` for anything else.
    """
    if walltime.lower() in ("infinite", "unlimited", "0"):
        return 0
    match = re.fullmatch(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})", walltime)
    if match is None:
        raise ValueError(
            f"engine.slurm.walltime={walltime} is not a SLURM time limit; write 04:00:00, or "
            "1-00:00:00 for a day"
        )
    clock = [int(part) for part in match["clock"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = (*clock, 0, 0)[:3]
    elif len(clock) == 3:
        hours, minutes, seconds = clock
    else:
        hours, (minutes, seconds) = 0, (*clock, 0)[:2]
    return ((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
