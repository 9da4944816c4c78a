"""Job requests to SLURM, and reports of refused jobs and of jobs that do not start.

scripts/cluster/slurm.sh runs the same against a real SLURM.
"""

import os
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.config.engine import EngineConfig, SlurmConfig, walltime_seconds
from dia.engines import slurm
from dia.engines.slurm import await_workers, job_options, job_states, require_accepted
from dia.errors import UserError


def script_of(config, gpu=False):
    jobqueue = pytest.importorskip("dask_jobqueue")
    with jobqueue.SLURMCluster(**job_options(config, gpu)) as cluster:
        return cluster.job_script()


def test_a_job_is_a_worker_that_ends_before_its_walltime(tmp_path):
    script = script_of(SlurmConfig(logs=str(tmp_path / "logs")))
    assert (
        "#SBATCH --cpus-per-task=1" in script
        and "#SBATCH --mem=8G" in script
        and "#SBATCH -t 04:00:00" in script
    )
    assert (
        "--nthreads 1" in script
        and "--lifetime 13800s" in script
        and "GPU" not in script
        and "-p " not in script
    )
    assert f"#SBATCH -e {tmp_path}/logs/" in script


def test_every_setting_reaches_the_job_script(tmp_path):
    config = SlurmConfig(
        queue="short",
        account="speech",
        cores=4,
        memory="16GB",
        walltime="1-00:00:00",
        python="/opt/python",
        prologue=["module load ffmpeg"],
        directives=["--constraint=zen4"],
        logs=str(tmp_path),
    )
    script = script_of(config)
    for line in (
        "-p short",
        "-A speech",
        "--cpus-per-task=4",
        "--mem=15G",
        "-t 1-00:00:00",
        "--constraint=zen4",
    ):
        assert f"#SBATCH {line}" in script
    assert "--nworkers 4" in script and "--nthreads 1" in script and "/opt/python -m distributed" in script
    assert script.index("module load ffmpeg") < script.index("/opt/python")


def test_a_gpu_is_requested_once_and_declared_to_dask(tmp_path):
    script = script_of(SlurmConfig(cores=4, logs=str(tmp_path)), gpu=True)
    assert "#SBATCH --gres=gpu:1" in script and "--resources GPU=1" in script and "--nworkers" not in script
    own = script_of(SlurmConfig(directives=["--gres=gpu:a100:1"], logs=str(tmp_path)), gpu=True)
    assert own.count("gres") == 1


@given(st.integers(0, 9), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_walltimes_are_read_as_slurm_reads_them(days, hours, minutes, seconds):
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert walltime_seconds(f"{days}-{hours:02}:{minutes:02}:{seconds:02}") == total
    assert walltime_seconds(f"{hours}:{minutes}:{seconds}") == total - days * 86_400
    assert (
        walltime_seconds(f"{minutes}:{seconds}") == 60 * minutes + seconds
        and walltime_seconds(f"{minutes}") == 60 * minutes
    )
    assert (
        walltime_seconds(f"{days}-{hours}") == (days * 24 + hours) * 3600
        and walltime_seconds("UNLIMITED") == 0
    )


def test_bad_settings_are_reported_before_submission():
    config = EngineConfig("dask", 1, "slurm", SlurmConfig(cores=0, walltime="an hour"), startup_minutes=0)
    problems = "\n".join(config.problems())
    assert all(part in problems for part in ("slurm.cores=0", "slurm.walltime=an hour", "startup_minutes=0"))


def programs(folder, monkeypatch, **scripts):
    """Programs named like those of SLURM, with the output that a test needs."""
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_refusal_is_reported_with_the_options_of_the_job(tmp_path, monkeypatch):
    programs(tmp_path, monkeypatch, sbatch="echo 'sbatch: error: Invalid account' >&2; exit 1")
    with pytest.raises(UserError, match=r"(?s)Invalid account.*#SBATCH -A speech"):
        require_accepted("#!/bin/sh\n#SBATCH -A speech\nwork\n")
    programs(tmp_path, monkeypatch, sbatch="exit 0")
    require_accepted("#!/bin/sh\n")


def test_a_missing_slurm_is_reported(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="login node"):
        job_states(["1"])


def waiting(*numbers):
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": {}})
    return client, SimpleNamespace(workers={number: SimpleNamespace(job_id=number) for number in numbers})


def test_jobs_that_never_start_are_reported_with_the_reason_of_slurm(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.01)
    programs(tmp_path, monkeypatch, squeue="echo 'job 7 is PENDING (Resources)'")
    with pytest.raises(UserError, match=r"startup_minutes=0.001 minutes: job 7 is PENDING \(Resources\)"):
        await_workers(*waiting("7"), 0.001, str(tmp_path))
    assert caplog.text.count("waiting for SLURM") == 1


def test_jobs_that_end_at_once_are_reported_with_the_end_of_their_log(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.01)
    programs(tmp_path, monkeypatch, squeue="exit 1")
    (tmp_path / "dask-worker-7.err").write_text("python: No such file or directory")
    with pytest.raises(UserError, match=r"(?s)jobs 7, 8 ended before a worker.*No such file"):
        await_workers(*waiting("7", "8"), 1, str(tmp_path))


def test_waiting_ends_with_the_first_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.01)
    programs(tmp_path, monkeypatch, squeue="echo 'job 7 is RUNNING (None)'")
    started = time.monotonic()
    client, cluster = waiting("7")
    client.scheduler_info = lambda n_workers: {
        "workers": {"w": {}} if time.monotonic() - started > 0.1 else {}
    }
    await_workers(client, cluster, 1, str(tmp_path))
    assert time.monotonic() - started >= 0.1
