"""The reason why a score is missing, as a type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_CHOSEN = "metrics=... leaves it out"


@dataclass(frozen=True)
class NotMeasured:
    """The reason why there is no score; ``str()`` gives the text that scores.json stores.

    ``counts`` are values that a metric could still count of a clip that it did not score, such as its turns.
    """

    reason: str
    counts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"not measured: {self.reason}"
