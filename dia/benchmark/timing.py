"""Clocks and medians. Rounds go through all variants in turn, so that a slow minute of the machine hits each
of them.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

MEBIBYTES = 1 << 20
READ = 512 * MEBIBYTES  # far above any cache


def now(device: torch.device) -> float:
    """Return the time in seconds, after everything on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of(task: Callable[[], object], device: torch.device) -> float:
    """Return how long a task takes."""
    begun = now(device)
    task()
    return now(device) - begun


def read_bandwidth(device: torch.device, times: int = 5) -> float:
    """Return the bytes a second at which the machine reads memory: the best of several sums over 512 MiB."""
    data = torch.ones(READ // 4, device=device)
    seconds_of(data.sum, device)
    return READ / min(seconds_of(data.sum, device) for _ in range(times))


@dataclass
class Series:
    """Measured values of one quantity by variant."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, variant: str, measured: Iterable[float]) -> None:
        """Take more values of a variant."""
        self.values.setdefault(variant, []).extend(measured)

    def median(self, variant: str) -> float | None:
        """Return the median, None where nothing was measured."""
        return statistics.median(self.values[variant]) if self.values.get(variant) else None
