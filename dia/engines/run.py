"""Apply a function to jobs in this process, in several local processes, or on a Dask cluster.

Data preparation and evaluation use it. Each job is computed with one thread, so that floating-point sums have
one order: results are identical on every engine, with any number of workers and in any order of completion.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Generic, Self, TypeVar

from dia.config.engine import EngineConfig
from dia.engines.cluster import dask_workers
from dia.engines.local import local_workers
from dia.engines.single_thread import call_with_one_thread

Job = TypeVar("Job")
Result = TypeVar("Result")
Run = Callable[[Iterator[Job]], Iterator[Result]]  # jobs to results in order of completion


class Workers(Generic[Job, Result]):
    """Workers that apply ``function`` to jobs: a context manager that ends them.

    The workers start with the first job. ``function`` is sent to each of them once, however many jobs follow:
    it may be an object that holds what all jobs share, and that opens models when it is first called. ``gpu``
    gives each worker a GPU of its own (on Dask the resource `GPU`).
    """

    def __init__(self, config: EngineConfig, function: Callable[[Job], Result], *, gpu: bool) -> None:
        self._config, self._function, self._gpu = config, function, gpu
        self._stack = ExitStack()
        self._run: Run[Job, Result] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield the results of all jobs in order of completion.

        Raises :class:`UserError` when a worker or the scheduler is lost, and whatever the function raises.
        """
        remaining = iter(jobs)
        for first in remaining:
            if self._run is None:
                self._run = self._stack.enter_context(self._open())
            yield from self._run(chain([first], remaining))

    def _open(self) -> AbstractContextManager[Run[Job, Result]]:
        if self._config.kind == "dask":
            return dask_workers(self._config, self._function, self._gpu)
        if self._config.workers == 0:
            return _this_process(self._function)
        return local_workers(self._config.workers, self._function, self._gpu)


@contextmanager
def _this_process(function: Callable[[Job], Result]) -> Iterator[Run[Job, Result]]:
    yield partial(map, partial(call_with_one_thread, function))
