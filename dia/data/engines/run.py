"""Run preparation jobs in this process, in several local processes, or on a Dask cluster.

Each process computes with one thread, so that floating-point sums have one order: a data set is identical
byte for byte on every engine, with any number of workers and in any order of completion.
"""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any, TypeVar

from dia.config.engine import EngineConfig
from dia.data.engines.gpus import gpu_plugin, use_next_gpu
from dia.data.engines.slurm import await_workers, open_slurm
from dia.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")
JOBS_PER_WORKER = 3  # submitted at a time: no worker is idle, and the list of jobs stays short
RESUME_HINT = "finished shards are reused: run the same command again to resume"


def run_jobs(
    config: EngineConfig, function: Callable[[Job], Result], jobs: Iterator[Job], gpu: bool
) -> Iterator[Result]:
    """Yield the results of all jobs in order of completion.

    ``gpu`` gives each worker a GPU of its own (on Dask the resource `GPU`). Raises :class:`UserError` when a
    worker or the scheduler is lost, and whatever ``function`` raises.
    """
    if config.kind == "dask":
        yield from _run_dask(config, function, jobs, gpu)
    elif config.workers == 0:
        yield from map(function, jobs)
    else:
        yield from _run_local(config.workers, function, jobs, gpu)


def _run_local(
    workers: int, function: Callable[[Job], Result], jobs: Iterator[Job], gpu: bool
) -> Iterator[Result]:
    context: Any = multiprocessing.get_context(_start_method(gpu))
    if not gpu:
        _start_fork_server("dia.data.shards")
    initializer = (use_next_gpu, (context.Value("i", 0),)) if gpu else (None, ())
    with ProcessPoolExecutor(workers, context, *initializer) as pool:
        try:
            yield from _in_order_of_completion(
                lambda job: pool.submit(function, job), jobs, JOBS_PER_WORKER * workers
            )
        except BrokenProcessPool as error:
            raise UserError(f"a worker process died (killed, or out of memory); {RESUME_HINT}") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_method(gpu: bool) -> str:
    """Return how worker processes start.

    A fork of this process would inherit the state of its threads and locks. The fork server only imports the
    package, once for all workers. A worker with a GPU starts from a fresh interpreter, because it selects its
    GPU before CUDA is initialised.
    """
    return "spawn" if gpu else "forkserver"


def _start_fork_server(*modules: str) -> None:
    """Start the fork server of this process, with imported ``modules``, unless it is running."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    forkserver.ensure_running()


def _in_order_of_completion(
    submit: Callable[[Job], "Future[Result]"], jobs: Iterator[Job], ahead: int
) -> Iterator[Result]:
    pending: set[Future[Result]] = set()
    for job in jobs:
        pending.add(submit(job))
        if len(pending) >= ahead:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _run_dask(
    config: EngineConfig, function: Callable[[Job], Result], jobs: Iterator[Job], gpu: bool
) -> Iterator[Result]:
    try:
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError
    except ImportError as error:
        raise UserError("engine=dask needs Dask; install the extra `cluster`") from error
    resources = {"GPU": 1} if gpu else {}
    with _client(config, resources) as client:
        finished = as_completed(loop=client.loop)
        try:
            ahead = JOBS_PER_WORKER * max(config.workers, len(client.scheduler_info(n_workers=-1)["workers"]))
            for job in jobs:
                finished.add(client.submit(function, job, pure=False, resources=resources))
                if finished.count() >= ahead:
                    yield next(finished).result()
            for future in finished:
                yield future.result()
        except KilledWorker as error:
            raise UserError(
                f"Dask gave up a shard whose workers died repeatedly ({error}); {RESUME_HINT}"
            ) from error
        except (OSError, TimeoutError, RuntimeError, FutureCancelledError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # an error of the job itself, such as a full disk
            raise UserError(
                f"the Dask cluster was lost ({type(error).__name__}: {error}); {RESUME_HINT}"
            ) from error


@contextmanager
def _client(config: EngineConfig, resources: dict[str, int]) -> Iterator[Any]:
    """A client of the configured cluster. A cluster that this function starts is closed at the end."""
    import dask
    from distributed import Client, LocalCluster

    for name in list(logging.root.manager.loggerDict):  # losses are reported once, as a UserError
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    if config.scheduler == "slurm":
        cluster: Any = open_slurm(config.slurm, config.workers, bool(resources))
    elif config.scheduler:
        try:
            client = Client(config.scheduler, timeout="20s")
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(
                f"no Dask scheduler answers at engine.scheduler={config.scheduler} ({error})"
            ) from error
        with client:
            yield client
        return
    else:
        # set for the whole process, because a nanny also restarts workers
        dask.config.set({"distributed.worker.multiprocessing-method": _start_method(bool(resources))})
        if not resources:
            _start_fork_server("distributed", "dia.data.shards")
        cluster = LocalCluster(
            n_workers=config.workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            resources=resources,
        )
    with cluster, Client(cluster) as client:
        if resources and config.scheduler != "slurm":
            client.register_plugin(gpu_plugin())
        if config.scheduler == "slurm":
            await_workers(client, cluster, config.startup_minutes, config.slurm.logs)
            # replaces each job that reached its wall time
            cluster.adapt(minimum=config.workers, maximum=config.workers)
        yield client
