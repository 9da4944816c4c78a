"""A Lightning logger that appends every row to metrics.csv at once, so that a killed run loses no metrics.

Lightning's CSVLogger buffers fifty steps in memory and rewrites the file in place for a new column.
"""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from dia.files import make_folder, storing, write_text


class MetricsFile(Logger):
    """Appends rows to a CSV file; a new column rewrites it atomically. The first column is ``step``."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.columns = ["step"]
        self.rows: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        """Lightning names callbacks' folders by it; no callback here has one."""
        return ""

    @property
    def version(self) -> str:
        """Lightning names callbacks' folders by it; no callback here has one."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Write a row. Raises :class:`StorageError` when the file system refuses it."""
        row = {"step": step} | {name: float(value) for name, value in metrics.items() if name != "step"}
        self.rows.append(row)
        new_columns = sorted(name for name in row if name not in self.columns)
        self.columns += new_columns
        if new_columns or len(self.rows) == 1:
            make_folder(self.path.parent)
            write_text(self.path, _as_csv(self.columns, self.rows, header=True))
            return
        with storing(self.path), self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_as_csv(self.columns, [row], header=False))

    @rank_zero_only
    def log_hyperparams(self, *arguments: Any, **named: Any) -> None:
        """Do nothing: the run folder holds the config."""


def _as_csv(columns: list[str], rows: list[dict[str, Any]], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
