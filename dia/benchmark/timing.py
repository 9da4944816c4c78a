"""Clocks, memory bandwidth and medians; rounds alternate variants, so that load affects all of them."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

MEBIBYTES = 1 << 20
READ = 512 * MEBIBYTES  # far above any cache


def now(device: torch.device) -> float:
    """Return the time in seconds, after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of(task: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that a task takes."""
    start = now(device)
    task()
    return now(device) - start


def read_bandwidth(device: torch.device, times: int = 5) -> float:
    """Return the memory bandwidth in bytes a second: the best of several sums over 512 MiB."""
    data = torch.ones(READ // 4, device=device)
    seconds_of(data.sum, device)
    return READ / min(seconds_of(data.sum, device) for _ in range(times))


@dataclass
class Series:
    """Measured values of one quantity by variant."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, variant: str, measured: Iterable[float]) -> None:
        """Add values of a variant."""
        self.values.setdefault(variant, []).extend(measured)

    def median(self, variant: str) -> float | None:
        """Return the median, None without values."""
        return statistics.median(self.values[variant]) if self.values.get(variant) else None
