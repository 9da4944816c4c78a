"""What every source of clips has in common: units that can be read apart from each other, and a tally of what
became of them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from dia.data.clip import Clip


@dataclass(frozen=True)
class Unit:
    """What is read, counted and reported as one: a row of a corpus, a recording, a planned dialogue.

    ``content`` is what the source needs to read it, in plain values: it travels to other processes and
    machines.
    """

    id: str
    split: str
    content: Any


@dataclass
class Tally:
    """What became of labels and clips: ``counts`` by sentence, ``dropped`` clips with their reason,
    ``unknown`` labels.
    """

    counts: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def drop(self, clip_id: str, reason: str, **details: Any) -> None:
        """Say that a clip is left out, and why."""
        self.counts[f"clips: dropped, {reason}"] += 1
        self.dropped.append({"id": clip_id, "reason": reason, **details})


class Source(Protocol):
    """Clips to be had. Small and picklable: workers get a copy and open what they need by themselves.

    ``request`` is everything that the clips depend on, in plain values; the data set's name ends in its hash.
    """

    def request(self) -> dict[str, Any]:
        """Return what the result depends on."""
        ...

    def count(self) -> int | None:
        """Return the number of units, None when nobody can say before the end."""
        ...

    def units(self) -> Iterator[Unit]:
        """Yield the units of all splits, always in the same order. Raises :class:`UserError` when there are
        none to be had.
        """
        ...

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the clips of a unit. Raises :class:`UserError` when it cannot be read: it is left out and
        reported.
        """
        ...
