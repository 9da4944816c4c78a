"""The folder of a run: refused when it exists, unless the run goes on from its last checkpoint.

runs/<run_name>/config.yaml      the composed config
                checkpoints/     Lightning's, for going on
                metrics.csv      what was logged; metrics-1.csv ... by the parts before a crash
                model/           the newest model, as every other part of the framework opens it
"""

import csv
import os
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from dia.errors import UserError

METRICS = "metrics.csv"


def require_run_folder(folder: Path, resume: bool) -> Path | None:
    """Return the checkpoint to go on from, or None for a fresh run. Writes nothing.

    Raises :class:`UserError` when the folder exists without ``resume``, or holds nothing to resume.
    """
    last = folder / "checkpoints" / "last.ckpt"
    if resume:
        if not last.is_file():
            raise UserError(f"there is nothing to resume: {last} is missing; leave out resume=true, or correct run_name")
        return last
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"the run folder {folder} exists; choose another run_name, go on with resume=true, or delete it")
    return None


def begin_run(folder: Path, config_text: str) -> None:
    """Make the folder and write its config, when everything else is ready to train."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", config_text)
    _set_metrics_aside(folder)


@rank_zero_only
def _set_metrics_aside(folder: Path) -> None:
    """The logger would begin the file anew, and the run's curve would be gone."""
    if (folder / METRICS).is_file():
        (folder / METRICS).rename(folder / f"metrics-{len(_older_metrics(folder)) + 1}.csv")


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """Return all rows that a run logged, in order, without what a part logged beyond the step that the next one began at."""
    rows: list[dict[str, str]] = []
    for path in (*_older_metrics(folder), folder / METRICS):
        if not path.is_file():
            continue
        with path.open(encoding="utf-8") as file:
            part = list(csv.DictReader(file))
        if part:
            rows = [row for row in rows if int(row["step"]) < int(part[0]["step"])] + part
    return rows


def _older_metrics(folder: Path) -> list[Path]:
    return sorted(folder.glob("metrics-*.csv"), key=lambda path: int(path.stem.removeprefix("metrics-")))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    made = path.with_name(f".{path.name}-{os.getpid()}")
    made.write_text(text, encoding="utf-8")
    os.replace(made, path)
