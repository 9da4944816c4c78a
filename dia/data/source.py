"""The protocol of data sources: units that are read independently, and a tally of the results."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from dia.data.clip import Clip
from dia.data.length_limits import LengthLimits
from dia.errors import UserError


@dataclass(frozen=True)
class Unit:
    """The smallest unit of reading and reporting: a row of a corpus, a recording, or a planned dialogue.

    ``content`` is what the source needs to read it, in plain values that can be sent to other machines.
    """

    id: str
    split: str
    content: Any


@dataclass
class Tally:
    """Results of reading: ``counts`` of events, ``dropped`` clips with reasons, and ``unknown`` labels."""

    counts: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def drop(self, clip_id: str, reason: str, **details: Any) -> None:
        """Record that a clip is dropped, with the reason."""
        self.counts[f"clips: dropped, {reason}"] += 1
        self.dropped.append({"id": clip_id, "reason": reason, **details})

    def require_known(self, where: str) -> None:
        """Raise :class:`UserError` that lists all labels without a mapping in ``where``."""
        if not self.unknown:
            return
        listed = "\n".join(f"  - {label!r}, {count} times" for label, count in sorted(self.unknown.items()))
        raise UserError(
            f"labels without a mapping in {where}; map them with data.labels={{LABEL: happy}} or in the "
            f"corpus's declaration, or set data.unknown=drop_tag or drop_clip:\n{listed}"
        )


class Source(Protocol):
    """A source of clips. It is small and picklable: workers receive a copy and open files themselves.

    ``request`` contains everything that the clips depend on, in plain values; its hash names the data set.
    """

    def request(self) -> dict[str, Any]:
        """Return everything that the clips depend on, as plain values."""
        ...

    def count(self) -> int | None:
        """Return the number of units, None if it is unknown before the end."""
        ...

    def units(self) -> Iterator[Unit]:
        """Yield the units of all splits, always in the same order.

        Raises :class:`UserError` when the source cannot be read.
        """
        ...

    def check(self, limits: LengthLimits) -> None:
        """Raise :class:`UserError` with all problems of the labels that show without reading audio."""
        ...

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the clips of a unit.

        Raises :class:`UserError` when it cannot be read; the unit is then skipped and reported.
        """
        ...
