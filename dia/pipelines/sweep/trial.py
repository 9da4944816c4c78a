"""One trial: a training run in a separate process and folder, whose metrics are read while it runs."""

import math
import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dia.interrupts import Interrupted, signal_of_exit
from dia.training.run_folder import CONFIG, FINISHED, read_metrics, run_lock

CHECK_EVERY = 1.0  # seconds between two readings of a run's metrics
NOISE = "Set the environment variable HYDRA_FULL_ERROR"  # Hydra's last line after any error
PATIENCE = 60.0  # seconds between SIGTERM and SIGKILL


class TrialFailed(Exception):
    """A trial ended without a metric; the message is the reason."""


@dataclass
class Trials:
    """Start the runs of a sweep in ``folder``: training with ``overrides``, each on one of ``devices``."""

    folder: Path
    overrides: list[str]
    figure: str
    devices: list[int] = field(default_factory=list)
    program: tuple[str, ...] = (sys.executable, "-m", "dia.train")

    def __post_init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped: Interrupted | None = None
        self.free: queue.Queue[int] = queue.Queue()
        for device in self.devices:
            self.free.put(device)

    def run(
        self, name: str, chosen: list[str], look: Callable[[list[tuple[int, float]]], bool]
    ) -> list[tuple[int, float]]:
        """Start or resume the run ``name`` with the ``chosen`` values; return its (step, metric) pairs.

        ``look`` receives the pairs repeatedly, and stops the run by returning True.
        Raises :class:`TrialFailed` when the run fails or does not log the metric, and
        :class:`Interrupted` when a signal ended it: it has no result yet, and can be resumed.
        """
        command = [*self.program, *self.overrides, *chosen, f"runs={self.folder}", f"run_name={name}"]
        if not (self.folder / name / CONFIG).is_file():
            shutil.rmtree(self.folder / name, ignore_errors=True)  # it was interrupted before it started
        device = self.free.get() if self.devices else None
        try:
            if self.stopped:
                raise self.stopped
            done = (self.folder / name / FINISHED).is_file()  # it ended while no sweep was running
            code = 0 if done else self._watch(command, name, device, look)
        finally:
            if device is not None:
                self.free.put(device)
        if (number := signal_of_exit(code)) is not None:  # what stopped this trial stops the others as well
            self.end(number, f"{name} was stopped")
        if self.stopped:
            raise self.stopped  # the trial stays unfinished in the study
        if code:
            raise TrialFailed(f"exit code {code}: {_last_line(self.folder / f'{name}.log')}")
        metrics = figures(self.folder / name, self.figure)
        if not metrics:
            raise TrialFailed(f"the run logged no {self.figure}")
        if math.isnan(metrics[-1][1]):
            raise TrialFailed(f"{self.figure} is not a number")
        return metrics

    def end(self, number: int, state: str = "stopped") -> None:
        """Terminate all runs, which save and can be resumed; now :meth:`run` raises ``Interrupted``."""
        self.stopped = self.stopped or Interrupted(number, state)
        for process in list(self.running):
            process.terminate()

    def require_ended(self, name: str) -> None:
        """Raise :class:`UserError` while a process that an earlier sweep started still trains this run."""
        if (self.folder / name).is_dir():
            with run_lock(self.folder / name):
                pass

    def _watch(
        self,
        command: list[str],
        name: str,
        device: int | None,
        look: Callable[[list[tuple[int, float]]], bool],
    ) -> int:
        """Run a command to its end, or until ``look`` stops it; return its exit code, 0 when stopped."""
        environment = os.environ | ({} if device is None else {"CUDA_VISIBLE_DEVICES": str(device)})
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        self.running.add(process)
        if self.stopped:  # while it was started
            process.terminate()
        try:
            while True:
                try:
                    return process.wait(CHECK_EVERY)
                except subprocess.TimeoutExpired:
                    if self.stopped:
                        return _end(process)
                    if look(figures(self.folder / name, self.figure)):
                        return 0
        finally:
            _end(process)
            self.running.discard(process)


def figures(run: Path, figure: str) -> list[tuple[int, float]]:
    """Return the (step, value) pairs that a run has logged for a metric."""
    return [(int(row["step"]), float(row[figure])) for row in read_metrics(run) if row.get(figure)]


def _end(process: subprocess.Popen[bytes]) -> int:
    """End a run, with force where it does not end by itself, and return its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _last_line(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(NOISE)]
    return f"{lines[-1] if lines else 'no output'} (complete output: {log})"
