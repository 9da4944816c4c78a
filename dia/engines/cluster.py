"""Workers of a Dask cluster: on this machine, of a running scheduler, or started by SLURM."""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from dia.config.engine import EngineConfig
from dia.engines.gpus import gpu_plugin
from dia.engines.local import JOBS_PER_WORKER, RESUME_HINT, module_of, start_fork_server, start_method
from dia.engines.single_thread import call_with_one_thread
from dia.engines.slurm import await_workers, open_slurm
from dia.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")


class LostCluster(UserError):
    """The scheduler of a Dask cluster, or all of its workers, do not answer any more."""


@contextmanager
def dask_workers(
    config: EngineConfig, function: Callable[[Job], Result], gpu: bool
) -> Iterator[Callable[[Iterator[Job]], Iterator[Result]]]:
    """Yield a function from jobs to results in order of completion.

    Its results raise :class:`UserError` when the scheduler is lost, or a job whose workers died repeatedly. A
    cluster that this function starts ends with the block.
    """
    try:
        from distributed import as_completed
    except ImportError as error:
        raise UserError("engine=dask needs Dask; install the extra `cluster`") from error
    resources = {"GPU": 1} if gpu else {}
    name = f"dia-{uuid.uuid4().hex}"

    def run(jobs: Iterator[Job]) -> Iterator[Result]:
        finished = as_completed(loop=client.loop)
        with _losses_reported():
            ahead = JOBS_PER_WORKER * max(config.workers, len(client.scheduler_info(n_workers=-1)["workers"]))
            for job in jobs:
                finished.add(client.submit(_apply, name, job, pure=False, resources=resources))
                if finished.count() >= ahead:
                    yield next(finished).result()
            for future in finished:
                yield future.result()

    with _client(config, resources, module_of(function)) as client:
        with _losses_reported():
            client.register_plugin(_function_plugin(function), name)
        lost = False
        try:
            yield run
        except LostCluster:
            lost = True
            raise
        finally:
            if config.scheduler and not lost:  # others may use the cluster after this command
                client.unregister_worker_plugin(name)


@contextmanager
def _losses_reported() -> Iterator[None]:
    """Raise :class:`UserError` for a lost cluster, and for a job that killed several workers."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        yield
    except KilledWorker as error:
        raise UserError(
            f"Dask gave up a job whose workers died repeatedly ({error}); {RESUME_HINT}"
        ) from error
    except (OSError, TimeoutError, RuntimeError, FutureCancelledError) as error:
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno is not None):
            raise  # an error of the job itself, such as a full disk
        raise LostCluster(
            f"the Dask cluster was lost ({type(error).__name__}: {error}); {RESUME_HINT}"
        ) from error


def _function_plugin(function: Callable[[Any], Any]) -> Any:
    """Return a Dask plugin that holds a function. The scheduler sends it to later workers too."""
    from distributed import WorkerPlugin

    class FunctionOfJobs(WorkerPlugin):
        def __init__(self, function: Callable[[Any], Any]) -> None:
            self.function = function

    return FunctionOfJobs(function)


def _apply(name: str, job: Any) -> Any:
    """Apply the function of the plugin ``name`` of this worker to a job."""
    from distributed import get_worker

    plugin: Any = get_worker().plugins[name]
    return call_with_one_thread(plugin.function, job)


@contextmanager
def _client(config: EngineConfig, resources: dict[str, int], module: str) -> Iterator[Any]:
    """A client of the configured cluster. A cluster that this function starts is closed at the end.

    ``module`` is imported by the fork server of local workers.
    """
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
        dask.config.set({"distributed.worker.multiprocessing-method": start_method(bool(resources))})
        if not resources:
            start_fork_server("distributed", module)
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
