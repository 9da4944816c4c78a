"""Keys of `python -m dia.eval record`, which records another system."""

import re
from dataclasses import dataclass, field
from typing import Any

from dia.config.checks import below, bullet_list
from dia.errors import UserError


@dataclass
class RetryConfig:
    """How often a failed request is sent again. The wait doubles each time, with jitter, unless the service
    names one."""

    attempts: int = 5
    """Attempts per request, the first one included."""
    min_wait_seconds: float = 1.0
    """Wait in seconds after the first failure."""
    max_wait_seconds: float = 120.0
    """Longest wait in seconds; when a service demands a longer one, the prompt counts as failed."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        waits = ("min_wait_seconds", "max_wait_seconds")
        return below(1, [("retry.attempts", self.attempts)]) + below(
            0, [(f"retry.{name}", getattr(self, name)) for name in waits]
        )


@dataclass
class RecordConfig:
    """Everything that `python -m dia.eval record` reads."""

    system: dict[str, Any] = field(default_factory=dict)
    """A file of eval/systems, `system=elevenlabs`. Each of its keys can be changed:
    `system.settings.stability=0.3`."""
    suite: str = ""
    """Prompts to record: a name of eval/prompts, or a JSONL file; empty for `system=folder`, which has its
    own."""
    out: str = "outputs"
    """Folder that holds SYSTEM/RUN_ID."""
    run_id: str = ""
    """Name of the recording; empty derives one from the suite and everything that affects the audio, so that
    the same command resumes the same recording."""
    takes: int = 0
    """Takes of each prompt; 0 is three, or as many as the table of `system=folder` has."""
    confirm: bool = False
    """Allow requests that cost money."""
    recorded_by: str = ""
    """Who records, for the manifest."""
    retry: RetryConfig = field(default_factory=RetryConfig)

    def require(self) -> None:
        """Raise :class:`UserError` with all problems at once."""
        problems = self.retry.problems() + below(0, [("takes", self.takes)])
        if self.run_id and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.run_id):
            problems.append(
                f"run_id={self.run_id!r} must be a plain folder name of letters, digits, '.', '_' and '-'"
            )
        if problems:
            raise UserError(bullet_list("the configuration has problems:", problems))
