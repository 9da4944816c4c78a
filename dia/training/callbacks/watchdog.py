"""A watchdog thread that ends the process when a data loader yields no batch for too long.

A hung file system or a deadlocked worker raises nothing: the main thread blocks forever, and a job of many
GPUs with it. The thread cannot interrupt a system call, so it writes `failure.json`, shows the stack of every
thread (``faulthandler``), and ends the process with exit code 2.
"""

import faulthandler
import logging
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from dia.training.callbacks.divergence import Failure, write_failure

logger = logging.getLogger(__name__)


class Watchdog:
    """Ends the process when a wait for a batch lasts longer than ``seconds`` (0: never).

    ``step`` returns the current optimizer step; ``leave`` ends the process. Only waits of the main thread
    count, one at a time.
    """

    def __init__(
        self,
        seconds: float,
        folder: Path,
        rank: int,
        step: Callable[[], int],
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self.seconds, self.folder, self.rank, self.step, self.leave = seconds, folder, rank, step, leave
        self.last_ids: list[str] = []
        self._waiting: tuple[float, str] | None = None
        self._thread: threading.Thread | None = None

    def watch(self, iterator: Iterator[Any], name: str) -> Iterator[Any]:
        """Yield the batches of ``iterator`` and watch its waits; ``name`` is the loader's in messages."""
        self._start()
        while True:
            self._waiting = time.monotonic(), name
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self._waiting = None
            self.last_ids = list(batch.ids)
            yield batch

    def _start(self) -> None:
        if self.seconds and self._thread is None:
            self._thread = threading.Thread(target=self._poll, name="loader watchdog", daemon=True)
            self._thread.start()

    def _poll(self) -> None:
        while True:
            time.sleep(min(1.0, self.seconds / 4))
            waiting = self._waiting
            if waiting and time.monotonic() - waiting[0] > self.seconds:
                self._report(waiting[1])
                kill_workers()
                self.leave(2)
                return

    def _report(self, name: str) -> None:
        message = f"the {name} loader has yielded no batch for {self.seconds:g} seconds"
        details = {"stacks": thread_stacks(), "workers": worker_states()}
        batches = [self.last_ids] if self.last_ids else []
        failure = Failure("stalled", message, self.step(), self.rank, batches, details)
        path = write_failure(self.folder, failure)
        place = (
            f"after the batch of clips {', '.join(self.last_ids)}" if self.last_ids else "at the first batch"
        )
        logger.error(
            "training stopped at step %d: %s, %s. Details are in %s; the last checkpoint is unchanged. Check "
            "the disk or network that holds the data, and resume with resume=true. Stacks of all "
            "threads:\n%s",
            failure.step,
            message,
            place,
            path,
            "\n".join(f"  {line}" for line in (*details["stacks"], *details["workers"])),
        )


class WatchedLoader(DataLoader[Any]):
    """A loader of complete batches whose waits a watchdog limits."""

    def __init__(self, batches: Dataset[Any], watchdog: Watchdog, name: str, workers: int = 0) -> None:
        self.watchdog, self.watched_as = watchdog, name
        super().__init__(batches, batch_size=None, num_workers=workers)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch declares its own iterator class
        return self.watchdog.watch(super().__iter__(), self.watched_as)


def thread_stacks() -> list[str]:
    """Return the stacks of all Python threads, innermost frame first, as ``faulthandler`` writes them."""
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().splitlines()


def worker_states() -> list[str]:
    """Return the state of each loader process: alive, or its exit code."""
    return [
        f"worker {child.pid}: {'alive' if child.exitcode is None else f'exited with {child.exitcode}'}"
        for child in multiprocessing.active_children()
    ]


def kill_workers() -> None:
    """Kill the daemon processes that ``os._exit`` would leave running."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
