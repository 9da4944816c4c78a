"""Workers apply one function to jobs: sent once, one thread each, losses reported, ended with the block."""

import multiprocessing
import time

import pytest
import torch

import tests.processes  # noqa: F401  # a fork server that has imported the package
from dia.config.engine import EngineConfig
from dia.engines.run import Workers
from dia.errors import UserError
from dia.interrupts import Interrupted
from tests.engines.jobs import Dying, Refused, Shared, long_result, refuse, sleep_after_first, threads_of

LOCAL, DASK = EngineConfig(workers=2), EngineConfig("dask", 2)
ENGINES = pytest.mark.parametrize("engine", [LOCAL, DASK], ids=["local", "dask"])


@ENGINES
def test_a_function_is_sent_to_each_worker_once(engine, tmp_path):
    with Workers(engine, Shared(tmp_path), gpu=False) as workers:
        first = list(workers.run(range(6)))
        second = list(workers.run(range(6)))
    assert len(first) == len(second) == 6
    assert set(first) == set(second) and len(set(first)) == len(list(tmp_path.iterdir())) == 2


@ENGINES
def test_workers_start_with_the_first_job(engine):
    with Workers(engine, Refused(), gpu=False) as workers:
        assert list(workers.run([])) == []


@pytest.mark.parametrize("engine", [EngineConfig(workers=0), LOCAL], ids=["this process", "local"])
def test_each_job_has_one_thread(engine):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Workers(engine, threads_of, gpu=False) as workers:
            assert set(workers.run(range(4))) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("engine", [EngineConfig(workers=0), LOCAL], ids=["this process", "local"])
def test_an_error_of_a_job_is_raised(engine):
    with (
        pytest.raises(UserError, match="job 0 is refused"),
        Workers(engine, refuse, gpu=False) as workers,
    ):
        list(workers.run([0]))


def test_a_killed_local_worker_is_reported_and_finished_jobs_remain(tmp_path):
    with (
        pytest.raises(UserError, match=r"a worker process died .*run the same command again"),
        Workers(EngineConfig(workers=1), Dying(tmp_path), gpu=False) as workers,
    ):
        list(workers.run(range(6)))
    assert {path.name for path in tmp_path.glob("done-*")} == {"done-0", "done-1", "done-2"}
    with Workers(LOCAL, Dying(tmp_path), gpu=False) as workers:
        assert sorted(workers.run(range(6))) == [0, 1, 2, 3, 4, 5]


def test_a_worker_that_dies_while_it_sends_a_result_is_reported():
    with (
        pytest.raises(UserError, match="a worker process died"),
        Workers(LOCAL, long_result, gpu=False) as workers,
    ):
        list(workers.run(range(8)))


def test_dask_repeats_the_job_of_a_killed_worker(tmp_path):
    """The only worker starts again, and gets the function again."""
    with Workers(EngineConfig("dask", 1), Dying(tmp_path), gpu=False) as workers:
        assert sorted(workers.run(range(6))) == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "attempted").exists()


def test_a_signal_ends_local_workers_at_once():
    begin, before = time.monotonic(), set(multiprocessing.active_children())
    with pytest.raises(Interrupted), Workers(LOCAL, sleep_after_first, gpu=False) as workers:
        for _ in workers.run(range(4)):
            raise Interrupted(15)
    assert time.monotonic() - begin < 200 and not set(multiprocessing.active_children()) - before
