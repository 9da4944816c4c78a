"""Progress with the time left: a bar on a terminal, elsewhere one log line now and then.

Batch jobs, `nohup` and CI have no terminal, so there the first item is logged, then at most one line every
30 seconds, or every hundredth of the estimated duration where this is longer (but at most 10 minutes).
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from dia.log import global_rank

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
SHORTEST, LONGEST = 30.0, 600.0  # seconds between two log lines
NEGLIGIBLE = 1e-12  # what rounding leaves of a zero


class Progress:
    """Reports how much of ``total`` is done; a context manager. ``total`` None: the end is unknown.

    ``first`` items were done before (a resumed run): they count as done, but not in the rate.
    """

    def __init__(
        self,
        description: str,
        total: int | None = None,
        *,
        unit: str = "items",
        first: int = 0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.description, self.total, self.unit, self.first = description, total, unit, first
        self.done = first
        self.clock = clock
        self.started = clock()
        self._console = console or Console(stderr=True)
        self._bar: RichProgress | None = None
        self._logged_at = -math.inf
        self._logged_done = first

    def __enter__(self) -> Self:
        self.started = self.clock()
        if global_rank() == 0 and self._console.is_terminal:
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[values]}"),
                console=self._console,
            )
            self._bar.add_task(self.description, total=self.total, completed=self.first, values="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif self.done > self._logged_done:
            self._log("")

    def advance(self, count: int = 1, **values: float | str) -> None:
        """Count ``count`` more items as done, and show ``values`` beside them."""
        self.update(self.done + count, **values)

    def update(self, done: int, **values: float | str) -> None:
        """Set the number of items done, and show ``values`` beside it (``_`` in their names is a blank)."""
        self.done = done
        text = ", ".join(f"{name.replace('_', ' ')} {format_value(value)}" for name, value in values.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, values=text)
        elif self.clock() - self._logged_at >= self._interval:
            self._log(text)

    @property
    def seconds_left(self) -> float | None:
        """The estimated seconds to the end, None where it is unknown."""
        made = self.done - self.first
        if self.total is None or made <= 0:
            return None
        return (self.clock() - self.started) / made * (self.total - self.done)

    @property
    def _interval(self) -> float:
        left = self.seconds_left
        whole = 0.0 if left is None else self.clock() - self.started + left
        return min(LONGEST, max(SHORTEST, whole / 100))

    def _log(self, text: str) -> None:
        elapsed, left = self.clock() - self.started, self.seconds_left
        share = (
            f" of {self.total:,} {self.unit} ({self.done / self.total:.0%})"
            if self.total
            else f" {self.unit}"
        )
        parts = [f"{self.description}: {self.done:,}{share}"]
        parts += [text] if text else []
        if elapsed > 0 and self.done > self.first:
            parts.append(f"{format_value((self.done - self.first) / elapsed)} {self.unit}/s")
        parts.append(f"elapsed {format_duration(elapsed)}")
        parts += [] if left is None else [f"left {format_duration(left)}"]
        logger.info("%s", ", ".join(parts))
        self._logged_at, self._logged_done = self.clock(), self.done


def progress(
    items: Iterable[Item], description: str, total: int | None = None, *, unit: str = "items"
) -> Iterator[Item]:
    """Yield ``items`` and report how many are done; ``total`` is their length where they have one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(description, total, unit=unit) as shown:
        for item in items:
            yield item
            shown.advance()


def format_value(value: float | str) -> str:
    """Return a number with three significant digits (`0.0002` as `2.00e-04`), and text as it is."""
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size < NEGLIGIBLE:
        return "0"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2e}" if size < 1e-3 else f"{value:.3g}"


def format_duration(seconds: float) -> str:
    """Return a duration as `0:42`, `12:05`, `3:07:12` or `2 d 3:07:12`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    text = f"{hour}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{days} d {text}" if days else text
