"""Dask workers as SLURM jobs: job options, a check before submission, and the wait for the first worker.

`dask-jobqueue` writes and submits the job scripts, but waits for ever if a job is refused or never starts.
Therefore `sbatch --test-only` runs before submission, and `squeue` is polled until the first worker connects.
"""

import logging
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from dia.config.engine import SlurmConfig, walltime_seconds
from dia.errors import UserError, one_line
from dia.home import in_home

POLL_SECONDS = 5.0  # between two queries of the queue
MISSES = 4  # consecutive queries without any of the jobs, after which they count as ended
logger = logging.getLogger(__name__)


def job_options(config: SlurmConfig, gpu: bool) -> dict[str, Any]:
    """Return the arguments of `dask_jobqueue.SLURMCluster`.

    Each core runs one process with one thread; a GPU job runs one process with the Dask resource `GPU`.
    Workers retire before their wall time, so that their shards move to other workers.
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
        "cores": config.cores,
        "processes": 1 if gpu else config.cores,
        "memory": config.memory,
        "walltime": config.walltime,
        "worker_extra_args": worker,
        "job_extra_directives": directives,
        "job_script_prologue": list(config.prologue),
        "log_directory": str(in_home(config.logs)),
        "scheduler_options": {"dashboard_address": None},
    }


def open_slurm(config: SlurmConfig, workers: int, gpu: bool) -> Any:
    """Return a cluster that has submitted its worker jobs.

    Raises :class:`UserError` when no scheduler can start or SLURM refuses the jobs.
    """
    from dask_jobqueue import SLURMCluster

    try:
        cluster: Any = SLURMCluster(**job_options(config, gpu))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the Dask scheduler cannot start with this engine.slurm: {one_line(error)}"
        ) from error
    try:
        require_accepted(cluster.job_script())
    except UserError:
        cluster.close()
        raise
    cluster.scale(n=workers)
    return cluster


def require_accepted(script: str) -> None:
    """Raise :class:`UserError` with SLURM's message when it refuses this job script."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sh"
        path.write_text(script, encoding="utf-8")
        done = _run_slurm(["sbatch", "--test-only", str(path)])
    if done.returncode:
        header = "\n".join(line for line in script.splitlines() if line.startswith("#SBATCH"))
        message = " ".join(done.stderr.split())
        raise UserError(
            f"SLURM refuses the job of a worker ({message}); change engine.slurm. Its options:\n{header}"
        )


def await_workers(client: Any, cluster: Any, minutes: float, logs: str) -> None:
    """Wait until the first worker connects.

    Raises :class:`UserError` with the states of the jobs and the end of a log when no worker connects within
    ``minutes`` or all jobs have ended.
    """
    deadline = time.monotonic() + 60 * minutes
    misses, logged = 0, ""
    while not client.scheduler_info(n_workers=-1)["workers"]:
        jobs = [str(job.job_id) for job in cluster.workers.values() if job.job_id]
        states = job_states(jobs) if jobs else []
        misses = misses + 1 if jobs and not states else 0
        if misses >= MISSES:
            raise UserError(
                f"the SLURM jobs {', '.join(jobs)} ended before a worker connected.{_log_end(jobs, logs)}"
            )
        if time.monotonic() > deadline:
            waiting = "; ".join(states) or "no job is in the queue"
            raise UserError(
                f"no worker connected within engine.startup_minutes={minutes:g} minutes: {waiting}."
                f"{_log_end(jobs, logs)}"
            )
        if states and "; ".join(states) != logged:
            logged = "; ".join(states)
            logger.warning("waiting for SLURM: %s", logged)
        time.sleep(POLL_SECONDS)


def job_states(jobs: list[str]) -> list[str]:
    """Return number, state and reason of each job that is still in the queue."""
    done = _run_slurm(["squeue", "--noheader", "--jobs", ",".join(jobs), "--format", "job %i is %T (%r)"])
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _run_slurm(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UserError(
            f"engine.scheduler=slurm needs {command[0]}, which this machine lacks; start from a login node"
        ) from error


def _log_end(jobs: list[str], logs: str) -> str:
    """The end of the first error log that is not empty."""
    paths = [
        path for job in jobs for path in sorted(in_home(logs).glob(f"*-{job}.err")) if path.stat().st_size
    ]
    ends = [f"\n{path}:\n{path.read_text(errors='replace')[-1500:].strip()}" for path in paths[:1]]
    return "".join(ends) or f" Their logs, if any, are in {logs}."
