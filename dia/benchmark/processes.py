"""What a command costs: its time, and the peak memory of its process and of those it starts, read from
/proc.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

POLL = 0.05  # seconds; a peak only grows while a process lives, so the last look at it is its peak


@dataclass(frozen=True)
class Cost:
    """Seconds from start to end and of processors, and bytes of the largest resident size: of the command,
    and of the largest process below it. (Who shares the machine with others is told more by the processors'
    seconds.)"""

    seconds: float
    processor: float
    parent: float
    worker: float


def run_watched(command: list[str], cwd: Path, threads: int) -> Cost:
    """Run a command to its end, its libraries with ``threads`` threads. Raises ``RuntimeError`` with what it
    said if it fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    peaks: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as said:
        begun, worked = time.perf_counter(), _processor_seconds()
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        try:
            while process.poll() is None:
                for pid in (process.pid, *descendants(process.pid)):
                    if size := largest_resident_size(str(pid)):
                        peaks[pid] = (
                            # the last one, not the highest: before its exec a new process is its parent's
                            # copy
                            size
                        )
                time.sleep(POLL)
        finally:
            process.kill()
        seconds, worked = time.perf_counter() - begun, _processor_seconds() - worked
        if process.returncode:
            said.seek(0)
            raise RuntimeError(
                f"{' '.join(command[:4])} ... failed with {process.returncode}: {said.read()[-2000:]}"
            )
    parent = peaks.pop(process.pid, 0.0)
    return Cost(seconds, worked, parent, max(peaks.values(), default=0.0))


def _processor_seconds() -> float:
    """Of all processes below this one that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that these started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it ended while it was looked at
    found, wanted = list[int](), {pid}
    while wanted:
        wanted = {child for child, parent in parents.items() if parent in wanted}
        found += sorted(wanted)
    return found


def largest_resident_size(pid: str = "self") -> float:
    """Return bytes, 0 for a process that is no more.

    (For this process getrusage would do on other systems; on Linux a new process inherits its parent's figure
    there.)
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
