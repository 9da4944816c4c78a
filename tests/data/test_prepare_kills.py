"""Preparation resumes to the same bytes after its client, a worker or the Dask scheduler was killed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from dia.codecs.registry import load_codec
from dia.config.engine import EngineConfig
from dia.data.prepare import prepare
from tests.data.test_prepare import config_for, digest, make_corpus, run
from tests.processes import children, kill_tree, run_door, start_door

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ENGINES = ("engine=local", "engine=dask")
WAIT = 0.005  # s between two looks at a running process


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "clips")


@pytest.fixture(scope="module")
def bytes_without_a_kill(corpus, tmp_path_factory):
    config = config_for(corpus, tmp_path_factory.mktemp("whole"))
    return digest(prepare(config, load_codec("codec_nano"), EngineConfig(workers=0)))


@pytest.fixture(scope="module")
def durations(corpus, tmp_path_factory):
    """Seconds from the first folder to the end of a run that is not killed, by engine."""
    seconds = {}
    for engine in ENGINES:
        root = tmp_path_factory.mktemp("timed")
        running = start_door("prepare", *command_for(corpus, root, engine), cwd=root)
        wait_until(lambda root=root: first_folder(root), running.process)
        begin = time.monotonic()
        running.wait(120)
        seconds[engine] = time.monotonic() - begin
    return seconds


def command_for(corpus, root, engine):
    return run(corpus, root, "data.name=local", engine, "engine.workers=2")


def first_folder(root):
    return list(root.glob(".local-*.parts/*"))


def wait_until(condition, process):
    begin = time.monotonic()
    while not condition() and process.exitcode is None:
        assert time.monotonic() - begin < 120, "the run does not advance"
        time.sleep(WAIT)


def workers(pid):
    """Return the process ids of a run's workers: the children of its fork server."""
    return [worker for child in children(pid) for worker in children(child)]


@pytest.mark.parametrize("number", range(8))  # scripts/kill_runs.py kills more often
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(
    number, corpus, bytes_without_a_kill, durations, tmp_path
):
    """Kill the client with its children, or one worker, local or Dask, at a random moment; then resume."""
    rng = random.Random(number)
    engine, victim = ENGINES[number % 2], ("client", "worker")[number // 2 % 2]
    command = command_for(corpus, tmp_path, engine)
    running = start_door("prepare", *command, cwd=tmp_path)
    process = running.process
    # before the first folder nothing can be lost
    wait_until(lambda: first_folder(tmp_path), process)
    if victim == "client":
        time.sleep(rng.uniform(0.0, durations[engine]))
        kill_tree(process)
    else:
        wait_until(lambda: workers(process.pid), process)
        kill_one_worker(rng, process, tmp_path)
        running.wait(120)
    again = run_door("prepare", *command, cwd=tmp_path, timeout=240)
    assert again.returncode == 0, again.stderr
    assert digest(next(tmp_path.glob("local-*"))) == bytes_without_a_kill


def kill_one_worker(rng, process, root):
    """Kill a worker before its first shard, or after a random number of shards but the last ones."""
    shards = rng.randrange(4)
    if shards == 0:
        time.sleep(rng.uniform(0.0, 0.3))
    else:
        wait_until(lambda: len(list(root.glob(".local-*.parts/*/*.arrow"))) >= shards, process)
    alive = workers(process.pid)
    assert alive, "no worker is running"
    os.kill(rng.choice(alive), signal.SIGKILL)


def test_a_lost_scheduler_is_reported_and_another_one_resumes(corpus, bytes_without_a_kill, tmp_path):
    """The worker has another working directory than the client, whose paths are relative."""
    port = 18_700 + os.getpid() % 1000
    address = f"tcp://127.0.0.1:{port}"
    (tmp_path / "elsewhere").mkdir()

    def start():
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "env": ENVIRONMENT,
            "cwd": tmp_path / "elsewhere",
        }
        dask = [
            sys.executable,
            "-m",
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-dashboard",
        ]
        scheduler = subprocess.Popen(dask, **quiet)
        dask = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
        ]
        return scheduler, subprocess.Popen(dask, **quiet)

    command = run(
        os.path.relpath(corpus, tmp_path),
        ".",
        "data.name=local",
        "engine=dask",
        f"engine.scheduler={address}",
    )
    scheduler, worker = start()
    client = start_door("prepare", *command, cwd=tmp_path)
    try:
        begin = time.monotonic()
        while not list(tmp_path.glob(".local-*.parts/*/*.arrow")) and time.monotonic() - begin < 90:
            time.sleep(0.02)
        scheduler.kill()
        done = client.wait(180)
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0 or "cluster was lost" in done.stderr
    finally:
        client.process.kill()
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    scheduler, worker = start()
    try:
        again = run_door("prepare", *command, cwd=tmp_path, timeout=180)
        assert again.returncode == 0, again.stderr
        assert digest(next(tmp_path.glob("local-*"))) == bytes_without_a_kill
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
