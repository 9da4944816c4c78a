"""metrics.csv: a row for each time something is logged, on the disk before the next step.

Lightning's own keeps fifty steps in memory and rewrites the file in place when a column is new: a run that is
killed would lose figures that no later part logs again.
"""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from dia.files import write_text


class MetricsFile(Logger):
    """Appends rows to a file; with a new column the file is written anew, whole or not at all. The first
    column is ``step``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.columns = ["step"]
        self.rows: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        """Lightning names callbacks' folders by it; none has one here."""
        return ""

    @property
    def version(self) -> str:
        """As :attr:`name`."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Write a row. Raises ``OSError`` as the file system does."""
        row = {"step": step} | {name: float(value) for name, value in metrics.items() if name != "step"}
        self.rows.append(row)
        if new := [name for name in row if name not in self.columns]:
            self.columns += sorted(new)
        if new or len(self.rows) == 1:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, _as_csv(self.columns, self.rows, header=True))
            return
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_as_csv(self.columns, [row], header=False))

    @rank_zero_only
    def log_hyperparams(self, *arguments: Any, **named: Any) -> None:
        """The run folder has its config already."""


def _as_csv(columns: list[str], rows: list[dict[str, Any]], header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
