"""Workers that SLURM runs: what a job is asked for with, whether SLURM would take it, and whether any job
ever starts.

`dask-jobqueue` writes the job scripts and submits them. What it leaves to wait for ever is asked for here:
`sbatch --test-only` before anything is submitted, and `squeue` until the first worker has come.
"""

import logging
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dia.errors import UserError, one_line
from dia.home import in_home

POLL = 5.0  # seconds between two looks at the queue
GONE = 4  # looks at a queue without any of the jobs after which they are given up
log = logging.getLogger(__name__)


@dataclass
class SlurmConfig:
    """What is asked of SLURM for one job."""

    queue: str = ""
    """Partition; empty is the cluster's own choice, as for all that is empty here."""
    account: str = ""
    cores: int = 1
    """Each is a worker; with a GPU they are one."""
    memory: str = "8GB"
    """Of all its workers together."""
    walltime: str = "04:00:00"
    interface: str = ""
    """Network between the nodes, such as `ib0`."""
    python: str = ""
    """Of the nodes, when it is not the one here."""
    prologue: list[str] = field(default_factory=list)
    """Lines of the job's script before its worker."""
    directives: list[str] = field(default_factory=list)
    """More for `#SBATCH`, such as `--constraint=a100`; a job that wants a GPU asks for `--gres=gpu:1` unless
    it does so here.
    """
    logs: str = "slurm-logs"
    """Folder of what the jobs write."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = [] if self.cores >= 1 else [f"engine.slurm.cores={self.cores} must be 1 or more"]
        try:
            walltime_seconds(self.walltime)
        except ValueError as error:
            found.append(str(error))
        return found


def job_options(config: SlurmConfig, gpu: bool) -> dict[str, Any]:
    """Return the arguments of `dask_jobqueue.SLURMCluster`.

    A core is a process of one thread; with a GPU a job is one process, which says so to Dask. A worker ends
    by itself before its walltime, so that a shard is handed on and not killed.
    """
    worker, directives = [], list(config.directives)
    if limit := walltime_seconds(config.walltime):
        worker += [
            "--lifetime",
            f"{limit - min(600, limit // 5)}s",
            "--lifetime-stagger",
            f"{min(120, limit // 20)}s",
        ]
    if gpu:
        worker += ["--resources", "GPU=1"]
        directives += (
            [] if any(re.match(r"(--gres|--gpus|-G)", line) for line in directives) else ["--gres=gpu:1"]
        )
    chosen = {
        name: value
        for name in ("queue", "account", "interface", "python")
        if (value := getattr(config, name))
    }
    return chosen | {
        "cores": config.cores, "processes": 1 if gpu else config.cores, "memory": config.memory, "walltime": config.walltime,
        "worker_extra_args": worker, "job_extra_directives": directives, "job_script_prologue": list(config.prologue),
        "log_directory": str(in_home(config.logs)), "scheduler_options": {"dashboard_address": None},
    }  # fmt: skip


def walltime_seconds(walltime: str) -> int:
    """Return the seconds of SLURM's `minutes`, `minutes:seconds`, `hours:minutes:seconds` or
    `days-hours[:minutes[:seconds]]`.

    0 is no limit. Raises ``ValueError`` for anything else.
    """
    if walltime.lower() in ("infinite", "unlimited", "0"):
        return 0
    match = re.fullmatch(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})", walltime)
    if match is None:
        raise ValueError(
            f"engine.slurm.walltime={walltime} is none of SLURM's; write 04:00:00, or 1-00:00:00 for a day"
        )
    clock = [int(part) for part in match["clock"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = (*clock, 0, 0)[:3]
    elif len(clock) == 3:
        hours, minutes, seconds = clock
    else:
        hours, (minutes, seconds) = 0, (*clock, 0)[:2]
    return ((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def open_slurm(config: SlurmConfig, workers: int, gpu: bool) -> Any:
    """Return a cluster that has asked SLURM for its workers. Raises :class:`UserError` when SLURM would
    refuse them.
    """
    from dask_jobqueue import SLURMCluster

    try:
        cluster: Any = SLURMCluster(**job_options(config, gpu))
    except (OSError, ValueError) as error:
        raise UserError(f"no scheduler can be started with this engine.slurm: {one_line(error)}") from error
    try:
        require_accepted(cluster.job_script())
    except UserError:
        cluster.close()
        raise
    cluster.scale(n=workers)
    return cluster


def require_accepted(script: str) -> None:
    """Raise :class:`UserError` with SLURM's words unless it would take this job."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sh"
        path.write_text(script, encoding="utf-8")
        done = _asked_slurm(["sbatch", "--test-only", str(path)])
    if done.returncode:
        header = "\n".join(line for line in script.splitlines() if line.startswith("#SBATCH"))
        said = " ".join(done.stderr.split())
        raise UserError(
            f"SLURM refuses the job of a worker ({said}); change engine.slurm. It was asked for:\n{header}"
        )


def await_workers(client: Any, cluster: Any, minutes: float, logs: str) -> None:
    """Return when the first worker has come. Raises :class:`UserError` when none comes, with what SLURM says
    of the jobs.
    """
    until, missing, said = time.monotonic() + 60 * minutes, 0, ""
    while not client.scheduler_info(n_workers=-1)["workers"]:
        jobs = [str(job.job_id) for job in cluster.workers.values() if job.job_id]
        states = job_states(jobs) if jobs else []
        missing = missing + 1 if jobs and not states else 0
        if missing >= GONE:
            raise UserError(
                f"SLURM's jobs {', '.join(jobs)} ended before a worker came from them.{_last_words(jobs, logs)}"
            )
        if time.monotonic() > until:
            waiting = "; ".join(states) or "no job is in the queue"
            raise UserError(
                f"no worker came within engine.patience={minutes:g} minutes: {waiting}.{_last_words(jobs, logs)}"
            )
        if states and "; ".join(states) != said:
            said = "; ".join(states)
            log.warning("waiting for SLURM: %s", said)
        time.sleep(POLL)


def job_states(jobs: list[str]) -> list[str]:
    """Return number, state and reason of the jobs that are still in the queue."""
    done = _asked_slurm(["squeue", "--noheader", "--jobs", ",".join(jobs), "--format", "job %i is %T (%r)"])
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _asked_slurm(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UserError(
            f"engine.scheduler=slurm needs {command[0]}, which is not here; start from a login node"
        ) from error


def _last_words(jobs: list[str], logs: str) -> str:
    """The end of what the first job that said something wrote."""
    written = [
        path for job in jobs for path in sorted(in_home(logs).glob(f"*-{job}.err")) if path.stat().st_size
    ]
    ends = [f"\n{path}:\n{path.read_text(errors='replace')[-1500:].strip()}" for path in written[:1]]
    return "".join(ends) or f" What they wrote, if anything, lies in {logs}."
