"""The keys of `python -m dia.eval record`."""

import re
from dataclasses import dataclass, field
from typing import Any

from dia.errors import UserError


@dataclass
class RetryConfig:
    """How often one request is asked, and how long is waited: twice as long after every try, with rng, or as
    it is told.
    """

    attempts: int = 5
    first_seconds: float = 1.0
    longest_seconds: float = 120.0
    """No wait is longer; a service that asks for more is given up for this prompt."""

    def problems(self) -> list[str]:
        """Return what is wrong."""
        found = [] if self.attempts >= 1 else [f"retry.attempts={self.attempts} must be 1 or more"]
        waits = (("first_seconds", self.first_seconds), ("longest_seconds", self.longest_seconds))
        return found + [f"retry.{name}={value} must be 0 or more" for name, value in waits if value < 0]


@dataclass
class RecordConfig:
    """Everything `python -m dia.eval record` reads."""

    system: dict[str, Any] = field(default_factory=dict)
    """A file of eval/systems, `system=elevenlabs`; each of its keys can be changed:
    `system.settings.stability=0.3`.
    """
    suite: str = ""
    """Prompts to speak: a name of eval/prompts, or a JSONL file; empty for `system=folder`, which brings its
    own.
    """
    out: str = "outputs"
    """Folder that holds SYSTEM/RUN_ID."""
    run_id: str = ""
    """Name of the recording; empty makes one of the suite and everything that bears on the sound, so that the
    same command goes on with the same recording."""
    takes: int = 0
    """How often each prompt is spoken; 0 is three times, or as often as the table of `system=folder` says."""
    confirm: bool = False
    """Spend money."""
    recorded_by: str = ""
    """Who records, for the manifest."""
    retry: RetryConfig = field(default_factory=RetryConfig)

    def require(self) -> None:
        """Raise :class:`UserError` with all that is wrong at once."""
        found = self.retry.problems()
        if self.takes < 0:
            found.append(f"takes={self.takes} must be 0 or more")
        if self.run_id and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.run_id):
            found.append(
                f"run_id={self.run_id!r} must be a plain folder name of letters, digits, '.', '_' and '-'"
            )
        if found:
            raise UserError(
                "the configuration has problems:\n" + "\n".join(f"  - {problem}" for problem in found)
            )
