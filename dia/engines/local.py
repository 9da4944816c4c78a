"""Worker processes on this machine.

A worker writes each result into a file and sends the file's name: if it died while it wrote a long message
into the pipe that all workers share, the command would wait for the rest of the message for ever.
"""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any, TypeVar

from dia.engines.gpus import use_next_gpu
from dia.engines.single_thread import call_with_one_thread
from dia.errors import UserError
from dia.interrupts import Interrupted, signals_deferred

Job = TypeVar("Job")
Result = TypeVar("Result")
SECONDS_TO_END = 10  # of a worker that was terminated
JOBS_PER_WORKER = 3  # submitted at a time: no worker is idle, and the list of jobs stays short
RESUME_HINT = "finished work is stored: run the same command again to resume"

# in a worker: what it applies to its jobs, and the folder of its results
_worker: tuple[Callable[[Any], Any], Path] | None = None


@contextmanager
def local_workers(
    workers: int, function: Callable[[Job], Result], gpu: bool
) -> Iterator[Callable[[Iterator[Job]], Iterator[Result]]]:
    """Yield a function from jobs to results in order of completion.

    Its results raise :class:`UserError` when a worker dies. The workers end with the block: after their
    current job, or at once when a signal ends the command.
    """
    context: Any = multiprocessing.get_context(start_method(gpu))
    if not gpu:
        start_fork_server(module_of(function))
    others = set(multiprocessing.active_children())
    counter = context.Value("i", 0) if gpu else None
    results = tempfile.TemporaryDirectory(prefix="dia-results-")
    pool = ProcessPoolExecutor(workers, context, _start_worker, (function, Path(results.name), counter))

    def submit(job: Job) -> Future[Path]:
        with signals_deferred():  # a worker that starts must be among the active children to be terminated
            return pool.submit(_apply, job)

    def run(jobs: Iterator[Job]) -> Iterator[Result]:
        try:
            paths = _in_order_of_completion(submit, jobs, JOBS_PER_WORKER * workers)
            yield from map(_take_result, paths)
        except BrokenProcessPool as error:
            raise UserError(f"a worker process died (killed, or out of memory); {RESUME_HINT}") from error

    try:
        yield run
    except (Interrupted, KeyboardInterrupt):
        started = set(multiprocessing.active_children()) - others
        for worker in started:
            worker.terminate()  # a job may take minutes, and is repeated as a whole
        for worker in started:
            worker.join(SECONDS_TO_END)
        raise
    finally:
        _shut_down(pool)
        results.cleanup()


def _shut_down(pool: ProcessPoolExecutor) -> None:
    """End the workers after their current jobs."""
    try:
        pool.shutdown(wait=True, cancel_futures=True)
    except RuntimeError:  # a signal arrived while the pool started its thread, which cannot be joined yet
        pool.shutdown(wait=False, cancel_futures=True)


def start_method(gpu: bool) -> str:
    """Return how worker processes start.

    A fork of this process would inherit the state of its threads and locks. The fork server only imports the
    package, once for all workers. A worker with a GPU starts from a fresh interpreter, because it selects its
    GPU before CUDA is initialised.
    """
    return "spawn" if gpu else "forkserver"


def start_fork_server(*modules: str) -> None:
    """Start the fork server of this process, with imported ``modules``, unless it is running."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    forkserver.ensure_running()


def module_of(function: Callable[..., Any]) -> str:
    """Return the module that defines a function, or the class of a callable object."""
    return str(getattr(function, "__module__", None) or type(function).__module__)


def _start_worker(function: Callable[[Any], Any], results: Path, gpus: Any) -> None:
    """Initializer of a process pool: leave Ctrl-C to the parent process, end with it, and take a GPU."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if gpus is not None:
        use_next_gpu(gpus)
    _worker = function, results


def _apply(job: Any) -> Path:
    """Return the file that holds the result of a job."""
    assert _worker is not None, "the initializer sets it"
    function, results = _worker
    path = results / uuid.uuid4().hex
    path.write_bytes(pickle.dumps(call_with_one_thread(function, job)))
    return path


def _take_result(path: Path) -> Any:
    """Return the result that a worker wrote into a file of this user's own folder, and remove the file."""
    result = pickle.loads(path.read_bytes())
    path.unlink()
    return result


def _end_with_parent() -> None:
    """End this process when its parent has died: a killed process sends its workers no message."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    connection.wait([parent.sentinel])
    os._exit(1)


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
