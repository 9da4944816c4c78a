"""The run folder: which files it holds, whether a new or resumed run may use it, and its lock.

runs/<run_name>/config.yaml      the composed config
                checkpoints/     for resuming (dia/training/checkpointing.py)
                inputs.json      digests of the data and the codec (dia/training/run_inputs.py)
                metrics.csv      logged metrics; metrics-1.csv ... of the parts before a resume
                model/           the newest model, in the format that every other command opens
                finished.json    written last: the number of steps
"""

import csv
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dia.errors import UserError
from dia.files import make_folder, remove, write_text
from dia.locks import file_lock
from dia.training.checkpointing import CHECKPOINTS, SavedCheckpoint, manifests, newest
from dia.training.distributed import Processes
from dia.training.resume import RunFingerprint, incompatibilities, inexact_changes
from dia.training.shards import shard_problem

CONFIG, METRICS, FINISHED, LOCK = "config.yaml", "metrics.csv", "finished.json", ".lock"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunState:
    """How far a run has come: its folder and the checkpoint to resume from (None: start at step 0).

    ``exact`` is true if resuming ends in the weights of an uninterrupted run.
    """

    folder: Path
    saved: SavedCheckpoint | None = None
    exact: bool = False

    @property
    def steps_done(self) -> int:
        """The number of optimizer steps in the checkpoint."""
        return self.saved.manifest.step if self.saved else 0

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint that Lightning resumes from."""
        return self.saved.path if self.saved else None


@dataclass(frozen=True)
class PreparedRun:
    """A run that passed its preflight checks, with its processes and the fingerprint for its checkpoints."""

    state: RunState
    processes: Processes
    fingerprint: RunFingerprint


def acquire_run(folder: Path, resume: str, current: RunFingerprint) -> tuple[RunState, list[str]]:
    """Return the state of the run in a folder, and why it cannot start, one sentence each with its remedy.

    ``resume`` is `auto` (resume if this ends in the same weights), `true` (resume in any case and warn about
    what differs) or `false` (never resume). Writes nothing.
    """
    if _is_fresh(folder):
        missing = f"there is nothing to resume in {folder}; leave out resume=true, or correct run_name"
        return RunState(folder), [missing] if resume == "true" else []
    if problem := _occupied(folder, resume):
        return RunState(folder), [problem]
    saved = newest(folder / CHECKPOINTS)
    if saved is None and (manifests(folder / CHECKPOINTS) or resume == "true"):
        return RunState(folder), [
            f"{folder} holds no intact checkpoint, so there is nothing to resume; choose another run_name"
        ]
    if saved is None:
        return RunState(folder), []  # it ended before its first checkpoint
    if problem := shard_problem(saved.path):
        return RunState(folder), [problem]
    stored = saved.manifest.fingerprint
    problems, changes = incompatibilities(stored, current), inexact_changes(stored, current)
    if resume == "auto" and changes:
        problems.append(
            f"resuming {folder} would not reproduce the uninterrupted run: {'; '.join(changes)}; undo these "
            "changes, choose another run_name, or resume in any case with resume=true"
        )
    elif changes:
        logger.warning(
            "%s resumes, but not to the weights of an uninterrupted run: %s", folder, "; ".join(changes)
        )
    return RunState(folder, saved, exact=not changes), problems


def _is_fresh(folder: Path) -> bool:
    """Whether a folder holds no run; one killed at its start leaves only files that begin with a dot."""
    if not folder.exists():
        return True
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())


def _occupied(folder: Path, resume: str) -> str:
    """Return why a folder that is not empty cannot be resumed from; empty if it can."""
    if not folder.is_dir() or not (folder / CONFIG).is_file():
        return f"{folder} exists and holds no run; choose another run_name, or delete it"
    if resume == "false":
        return (
            f"the run folder {folder} exists; choose another run_name, resume it with resume=auto, or "
            "delete it"
        )
    if resume == "auto" and (folder / FINISHED).is_file():
        return (
            f"the run folder {folder} exists and the run is finished; choose another run_name, delete it, or "
            "train it for more steps with resume=true trainer.steps=..."
        )
    return ""


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Lock a run folder against other processes; the lock ends with the process, however that ends.

    A folder in which nothing was written is removed at the end.

    Raises :class:`UserError` when another process holds it, or when the folder cannot be created.
    """

    def refuse() -> None:
        raise UserError(f"another process trains in {folder}; wait for it, or choose another run_name")

    make_folder(folder)
    try:
        with file_lock(folder / LOCK, refuse):
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def begin_run(folder: Path, config_text: str) -> None:
    """Write the config and remove what a crash left incomplete, once everything else is ready to train."""
    for path in folder.glob(".model-*"):
        remove(path)
    remove(folder / FINISHED)
    write_text(folder / CONFIG, config_text)
    _set_metrics_aside(folder)


def finish_run(folder: Path, steps: int) -> None:
    """Mark a run as finished; nothing is written after this."""
    write_text(folder / FINISHED, json.dumps({"steps": steps}) + "\n")


def _set_metrics_aside(folder: Path) -> None:
    """Rename metrics.csv of the part before a resume: the logger would overwrite it."""
    if (folder / METRICS).is_file():
        (folder / METRICS).rename(folder / f"metrics-{len(_older_metrics(folder)) + 1}.csv")


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """Return all rows that a run logged, in order.

    Rows that a resumed part logged again replace the earlier ones; an incomplete last row is left out.
    """
    rows: list[dict[str, str]] = []
    for path in (*_older_metrics(folder), folder / METRICS):
        if not path.is_file():
            continue
        complete = path.read_text(encoding="utf-8").rpartition("\n")[0]
        part = [row for row in csv.DictReader(complete.splitlines()) if None not in row.values()]
        if part:
            rows = [row for row in rows if not _is_repeated(row, part)] + part
    return rows


def _is_repeated(row: dict[str, str], part: list[dict[str, str]]) -> bool:
    """Return whether a resumed part logged a row again.

    A run that stops between a training step and its validation resumes with the validation: its row has the
    step of a training row that is not logged again.
    """
    step, first = int(row["step"]), int(part[0]["step"])
    if step != first:
        return step > first
    return any(_groups(other) & _groups(row) for other in part if int(other["step"]) == first)


def _groups(row: dict[str, str]) -> set[str]:
    """Return the groups of a row's values, such as `train` and `validation`."""
    return {name.partition("/")[0] for name, value in row.items() if value and name != "step"}


def _older_metrics(folder: Path) -> list[Path]:
    return sorted(folder.glob("metrics-*.csv"), key=lambda path: int(path.stem.removeprefix("metrics-")))
