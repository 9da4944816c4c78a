"""Measure a command: its time, and the peak memory of its process and of its descendants (from /proc)."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

POLL = 0.05  # seconds; a process' peak only grows, so the last reading is the peak


@dataclass(frozen=True)
class ProcessCost:
    """Wall-clock and CPU seconds, and the largest resident size of the command and of its largest descendant.

    On a machine with other load, the CPU seconds are more informative.
    """

    seconds: float
    cpu_seconds: float
    parent_memory: float
    worker_memory: float


def run_measured(command: list[str], cwd: Path, threads: int) -> ProcessCost:
    """Run a command, its libraries with ``threads`` threads. Raises ``RuntimeError`` if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    peaks: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as output:
        start, cpu_seconds = time.perf_counter(), _cpu_seconds_of_children()
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=output
        )
        try:
            while process.poll() is None:
                for pid in (process.pid, *descendants(process.pid)):
                    if size := largest_resident_size(str(pid)):
                        # the last value, not the highest: before its exec a process is a copy of its parent
                        peaks[pid] = size
                time.sleep(POLL)
        finally:
            process.kill()
        seconds, cpu_seconds = time.perf_counter() - start, _cpu_seconds_of_children() - cpu_seconds
        if process.returncode:
            output.seek(0)
            raise RuntimeError(
                f"{' '.join(command[:4])} ... failed with {process.returncode}: {output.read()[-2000:]}"
            )
    parent = peaks.pop(process.pid, 0.0)
    return ProcessCost(seconds, cpu_seconds, parent, max(peaks.values(), default=0.0))


def _cpu_seconds_of_children() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def descendants(pid: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # the process ended meanwhile
    below, generation = list[int](), {pid}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation}
        below += sorted(generation)
    return below


def largest_resident_size(pid: str = "self") -> float:
    """Return the largest resident size of a process in bytes, 0 if it has ended.

    On Linux, getrusage is not suitable: a new process inherits its parent's value.
    """
    status = Path(f"/proc/{pid}/status")
    try:
        kibibytes = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    except OSError:
        if pid != "self":
            return 0.0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1.0 if sys.platform == "darwin" else 1024.0
        )
    return float(kibibytes[0]) * 1024 if kibibytes else 0.0
