"""A loader that gives no batch is found, and where it waits is said.

A stuck file system or a deadlocked worker raises nothing: the main thread waits for ever, and a job of many
GPUs with it. A thread beside it looks at the clock. It cannot wake what is stuck in a system call, so it
writes `failure.json`, says where the main thread stands, and ends the process with exit code 2.
"""

import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from dia.training.callbacks.divergence import Failure, write_failure

FRAMES = 6  # innermost frames of the main thread that are shown


class Watchdog:
    """Ends the process when a wait for a batch lasts longer than ``seconds`` (0: never); ``leave`` is how.

    ``step`` tells the optimizer step at hand. Waits of the main thread only; one at a time.
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
        self._main = threading.main_thread().ident
        self._thread: threading.Thread | None = None

    def watch(self, iterator: Iterator[Any], name: str) -> Iterator[Any]:
        """Yield what ``iterator`` yields; its waits are watched. ``name`` says which loader it is."""
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
            self._thread = threading.Thread(target=self._look, name="stall watchdog", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while True:
            time.sleep(min(1.0, self.seconds / 4))
            waiting = self._waiting
            if waiting and time.monotonic() - waiting[0] > self.seconds:
                self._report(waiting[1])
                end_workers()
                self.leave(2)
                return

    def _report(self, name: str) -> None:
        message = f"the {name} loader has given no batch for {self.seconds:g} seconds"
        details = {"waits_in": stack_of(self._main), "workers": worker_states()}
        batches = [self.last_ids] if self.last_ids else []
        path = write_failure(
            self.folder, Failure("stalled", message, self.step(), self.rank, batches, details)
        )
        after = (
            f"after the batch of clips {', '.join(self.last_ids)}" if self.last_ids else "from the beginning"
        )
        stands = "".join(f"\n  {line}" for line in (*details["waits_in"], *details["workers"]))
        print(
            f"training stopped at step {self.step()}: {message}, {after}. Written to {path}; the last checkpoint is as it was. "
            f"Look at the disk or the network that the data lies on, and go on with resume=true. It waits in:{stands}",
            file=sys.stderr, flush=True,
        )  # fmt: skip


class WatchedLoader(DataLoader[Any]):
    """A loader of whole batches whose waits a watchdog sees."""

    def __init__(self, batches: Dataset[Any], watchdog: Watchdog, name: str, workers: int = 0) -> None:
        self.watchdog, self.watched_as = watchdog, name
        super().__init__(batches, batch_size=None, num_workers=workers)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch promises its own iterator class, whose methods nobody asks for
        return self.watchdog.watch(super().__iter__(), self.watched_as)


def stack_of(thread: int | None) -> list[str]:
    """Return the innermost frames of a thread, outermost first, one line each."""
    frame = sys._current_frames().get(thread or 0)
    found = traceback.extract_stack(frame)[-FRAMES:] if frame else []
    return [f"{Path(line.filename).name}:{line.lineno} {line.name}: {line.line}" for line in found]


def worker_states() -> list[str]:
    """Return what the loader's processes do: alive, or with which code they left."""
    return [
        f"worker {child.pid}: {'alive' if child.exitcode is None else f'left with {child.exitcode}'}"
        for child in multiprocessing.active_children()
    ]


def end_workers() -> None:
    """Kill the processes that would end with this one if it ended in the ordinary way."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
