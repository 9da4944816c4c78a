"""The folder of a run: what stands in it says how far the run has come.

runs/<run_name>/config.yaml      the composed config
                checkpoints/     for going on (dia/training/checkpointing.py)
                metrics.csv      what was logged; metrics-1.csv ... by the parts before a crash
                model/           the newest model, as every other part of the framework opens it
                finished.json    written last: the steps that were done
"""

import csv
import errno
import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dia.errors import UserError
from dia.files import remove, write_text
from dia.training.checkpointing import CHECKPOINTS, SavedCheckpoint, manifests, newest
from dia.training.distributed_env import Processes
from dia.training.resume import RunFingerprint, impossible, inexact

CONFIG, METRICS, FINISHED, LOCK = "config.yaml", "metrics.csv", "finished.json", ".lock"
UNLOCKABLE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # of file systems that know no locks
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A claimed run: its folder, the checkpoint that it goes on from, and whether to the weights of an
    unbroken run.
    """

    folder: Path
    kept: SavedCheckpoint | None = None
    exact: bool = False

    @property
    def steps_done(self) -> int:
        """Optimizer steps that are done already."""
        return self.kept.manifest.step if self.kept else 0

    @property
    def checkpoint(self) -> Path | None:
        """What Lightning goes on from."""
        return self.kept.path if self.kept else None


@dataclass(frozen=True)
class Ready:
    """A run that may begin: its claim, its processes, and the facts that its checkpoints will name."""

    run: Run
    processes: Processes
    facts: RunFingerprint


def acquire_run(folder: Path, resume: str, now: RunFingerprint) -> tuple[Run, list[str]]:
    """Return the run that goes into a folder, and why it cannot, one sentence each with its remedy. Writes
    nothing.

    ``resume`` is `auto` (go on where the same run stopped, if it ends in the same weights), `true` (go on
    even where it does not: what differs is a warning) or `false` (never).
    """
    if _is_fresh(folder):
        missing = f"there is nothing to resume in {folder}; leave out resume=true, or correct run_name"
        return Run(folder), [missing] if resume == "true" else []
    if problem := _occupied(folder, resume):
        return Run(folder), [problem]
    kept = newest(folder / CHECKPOINTS)
    if kept is None and (manifests(folder / CHECKPOINTS) or resume == "true"):
        return Run(folder), [
            f"{folder} holds no whole checkpoint, so there is nothing to resume; choose another run_name"
        ]
    if kept is None:
        return Run(folder), []  # it stopped before its first checkpoint
    problems, differences = impossible(kept.manifest.facts, now), inexact(kept.manifest.facts, now)
    if resume == "auto" and differences:
        advice = "undo that, choose another run_name, or go on all the same with resume=true"
        problems.append(
            f"{folder} cannot be gone on from to the same weights: {'; '.join(differences)}; {advice}"
        )
    elif differences:
        log.warning(
            "%s goes on, but not to the weights of an unbroken run: %s", folder, "; ".join(differences)
        )
    return Run(folder, kept, exact=not differences), problems


def _is_fresh(folder: Path) -> bool:
    """Whether nothing is there; a run that was killed as it began leaves its lock and half-written files,
    whose names begin with a dot."""
    return not folder.exists() or (
        folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())
    )


def _occupied(folder: Path, resume: str) -> str:
    """Why a folder with something in it cannot be gone on with; empty when it can."""
    if not folder.is_dir() or not (folder / CONFIG).is_file():
        return f"{folder} exists and holds no run; choose another run_name, or delete it"
    if resume == "false":
        return (
            f"the run folder {folder} exists; choose another run_name, go on with resume=auto, or delete it"
        )
    if resume == "auto" and (folder / FINISHED).is_file():
        return (
            f"the run folder {folder} exists and is finished; choose another run_name, delete it, or give it more steps with "
            "resume=true trainer.steps=..."
        )
    return ""


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run folder against other processes; the hold ends with the process, however it ends.

    Raises :class:`UserError` when another process trains there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another process trains in {folder}; wait for it, or choose another run_name"
            ) from error
        except OSError as error:
            if error.errno not in UNLOCKABLE:
                raise
            log.warning(
                "%s cannot be held against other processes (%s); see that only one trains there",
                folder,
                error.strerror,
            )
        yield


def begin_run(folder: Path, config_text: str) -> None:
    """Write the config, when everything else is ready to train, and clear away what a crash left half
    done.
    """
    for path in folder.glob(".model-*"):
        remove(path)
    remove(folder / FINISHED)
    write_text(folder / CONFIG, config_text)
    _set_metrics_aside(folder)


def finish_run(folder: Path, steps: int) -> None:
    """Say that a run is done; nothing is written after it."""
    write_text(folder / FINISHED, json.dumps({"steps": steps}) + "\n")


def _set_metrics_aside(folder: Path) -> None:
    """The logger would begin the file anew, and the run's curve would be gone."""
    if (folder / METRICS).is_file():
        (folder / METRICS).rename(folder / f"metrics-{len(_older_metrics(folder)) + 1}.csv")


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """Return all rows that a run logged, in order, without what a part logged beyond the step that the next
    one began at.

    A row that a crash cut off is left out.
    """
    rows: list[dict[str, str]] = []
    for path in (*_older_metrics(folder), folder / METRICS):
        if not path.is_file():
            continue
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
        part = [row for row in csv.DictReader(whole.splitlines()) if None not in row.values()]
        if part:
            rows = [row for row in rows if int(row["step"]) < int(part[0]["step"])] + part
    return rows


def _older_metrics(folder: Path) -> list[Path]:
    return sorted(folder.glob("metrics-*.csv"), key=lambda path: int(path.stem.removeprefix("metrics-")))
