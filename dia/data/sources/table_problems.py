"""Problems of a folder's tables, collected while they are read and reported together."""

from dataclasses import dataclass, field
from pathlib import Path

from dia.errors import UserError

SHOWN = 3  # examples of each problem


@dataclass
class TableProblems:
    """Problems with examples of where they occur, and how many rows name audio that is missing."""

    examples: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    missing: int = 0
    missing_example: str = ""

    def add(self, problem: str, example: str) -> None:
        """Record that a problem occurs at ``example``."""
        shown = self.examples.setdefault(problem, [])
        if len(shown) < SHOWN:
            shown.append(example)
        self.counts[problem] = self.counts.get(problem, 0) + 1

    def note_audio(self, exists: bool, example: str) -> None:
        """Record whether the audio of a row exists."""
        self.rows += 1
        self.missing += not exists
        if not exists:
            self.missing_example = self.missing_example or example

    def require_none(self, folder: Path) -> None:
        """Raise :class:`UserError` with every problem."""
        if self.rows and self.missing == self.rows:
            self.add(
                "none of the audio files exists; paths are relative to the table or to data.path",
                self.missing_example,
            )
        if not self.examples:
            return
        lines = []
        for problem, shown in self.examples.items():
            more = self.counts[problem] - len(shown)
            lines.append(f"  - {problem}: {', '.join(shown)}" + (f" and {more} more" if more else ""))
        raise UserError("\n".join([f"the tables of {folder} cannot be prepared as they are:", *lines]))
