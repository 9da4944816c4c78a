"""One score of one system, clip by clip, and what a comparison needs of it: one figure a prompt.

Takes of one prompt are not independent: everything here that claims certainty counts prompts, and takes only
sharpen the figure of their prompt. A clip that could not be scored is NaN: it is left out of the figure and
counted as a failure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.evaluation.statistics import Estimate, estimate_mean, estimate_rate, estimate_ratio

Floats = NDArray[np.float64]


class Kind(StrEnum):
    """How clips become a system's figure: a mean, a ratio of sums (errors by words), or a mean of values in
    0..1.
    """

    MEAN = "mean"
    RATIO = "ratio"
    RATE = "rate"


@dataclass(frozen=True)
class PerPrompt:
    """Means over the takes of each prompt, all (prompts,): numerator, denominator, variance of one take,
    number of takes.
    """

    prompts: tuple[str, ...]
    top: Floats
    bottom: Floats
    variance: Floats
    takes: Floats

    def of(self, prompts: Sequence[str]) -> "PerPrompt":
        """Return these prompts, in this order. Raises ``KeyError`` for one that was not measured."""
        place = {name: number for number, name in enumerate(self.prompts)}
        chosen = np.array([place[name] for name in prompts], dtype=int)
        return PerPrompt(
            tuple(prompts), self.top[chosen], self.bottom[chosen], self.variance[chosen], self.takes[chosen]
        )


@dataclass(frozen=True)
class ClipValues:
    """``numerators[i] / denominators[i]`` is what clip ``i`` scored on ``prompts[i]``; a NaN numerator is a
    failure.

    Made by :meth:`means`, :meth:`ratios` or :meth:`rates`. Raises ``ValueError`` with all that is wrong.
    """

    system: str
    score: str
    kind: Kind
    prompts: tuple[str, ...]
    numerators: Floats
    denominators: Floats

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise ValueError(f"{self.score} of {self.system}: " + "; ".join(problems))

    @classmethod
    def means(cls, system: str, score: str, values: Iterable[float], prompts: Iterable[str]) -> "ClipValues":
        """Values on a scale (similarity, MOS), averaged.

        Where few clips have most of the sum (WER of each clip), give them to :meth:`ratios` with denominators
        of 1: an interval made for such values holds the truth 94 to 96 times in 100, this one 92 to 94 times.
        """
        top = np.array(list(values), dtype=np.float64)
        return cls(system, score, Kind.MEAN, tuple(prompts), top, np.ones_like(top))

    @classmethod
    def rates(cls, system: str, score: str, values: Iterable[float], prompts: Iterable[str]) -> "ClipValues":
        """Hits and misses, or shares of a clip, all in 0..1, averaged; their intervals stay honest near 0 and
        1.
        """
        top = np.array(list(values), dtype=np.float64)
        return cls(system, score, Kind.RATE, tuple(prompts), top, np.ones_like(top))

    @classmethod
    def ratios(
        cls,
        system: str,
        score: str,
        numerators: Iterable[float],
        denominators: Iterable[float],
        prompts: Iterable[str],
    ) -> "ClipValues":
        """Counts by counts (word errors by words), summed before they are divided; what they come to may be
        skewed.
        """
        top, bottom = (np.array(list(values), dtype=np.float64) for values in (numerators, denominators))
        return cls(system, score, Kind.RATIO, tuple(prompts), top, bottom)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which clips have a value, (clips,)."""
        return np.isfinite(self.numerators) & (self.denominators > 0)

    @property
    def failures(self) -> int:
        """How many clips have no value."""
        return int((~self.measured).sum())

    @property
    def seeds(self) -> int:
        """Most takes that any prompt has, failures included."""
        return max(Counter(self.prompts).values(), default=0)

    def estimate(self) -> Estimate:
        """Return the system's figure with its own interval. Raises ``ValueError`` when no clip was
        measured.
        """
        kept = self.measured
        top, bottom = self.numerators[kept].tolist(), self.denominators[kept].tolist()
        prompts = [name for name, keep in zip(self.prompts, kept, strict=True) if keep]
        if self.kind is Kind.RATIO:
            return estimate_ratio(top, bottom, prompts)
        return (estimate_rate if self.kind is Kind.RATE else estimate_mean)(top, prompts)

    def per_prompt(self) -> PerPrompt:
        """Return one figure for each prompt that has a measured clip, prompts sorted."""
        kept = self.measured
        names, cluster = np.unique(
            np.array(self.prompts, dtype=object)[kept].astype(str), return_inverse=True
        )
        takes = np.bincount(cluster, minlength=len(names)).astype(np.float64)
        top = np.bincount(cluster, weights=self.numerators[kept], minlength=len(names)) / takes
        bottom = np.bincount(cluster, weights=self.denominators[kept], minlength=len(names)) / takes
        squares = np.bincount(
            cluster, weights=(self.numerators[kept] - top[cluster]) ** 2, minlength=len(names)
        )
        return PerPrompt(tuple(names.tolist()), top, bottom, squares / np.maximum(takes - 1, 1), takes)

    def _problems(self) -> list[str]:
        if not len(self.prompts) == len(self.numerators) == len(self.denominators):
            lengths = f"{len(self.prompts)} prompts, {len(self.numerators)} values, {len(self.denominators)} denominators"
            return [f"{lengths}; give as many of each"]
        known = self.numerators[np.isfinite(self.numerators)]
        found = (
            ["infinite values; a clip that cannot be scored is NaN"]
            if np.isinf(self.numerators).any()
            else []
        )
        if not (self.denominators >= 0).all():
            found.append("denominators below 0 or not numbers")
        if self.kind is Kind.RATE and len(known) and not (known.min() >= 0 and known.max() <= 1):
            found.append(f"rates from {known.min():g} to {known.max():g}; give values in 0..1, or means")
        return found


def values_of(
    rows: Iterable[Mapping[str, Any]], score: str, kind: Kind, numerator: str, denominator: str = ""
) -> list[ClipValues]:
    """Return one score of every system from per-clip rows, which have ``system``, ``prompt_id`` and the
    columns named.

    A row whose numerator is None counts as a failure. Raises ``ValueError`` naming the columns that a row
    lacks.
    """
    by_system: dict[str, list[tuple[str, float, float]]] = {}
    wanted = {"system", "prompt_id", numerator} | ({denominator} if denominator else set())
    for number, row in enumerate(rows):
        if lacking := sorted(wanted - row.keys()):
            raise ValueError(f"row {number} lacks {', '.join(lacking)}")
        top = float("nan") if row[numerator] is None else float(row[numerator])
        bottom = float(row[denominator] or 0) if denominator else 1.0
        by_system.setdefault(str(row["system"]), []).append((str(row["prompt_id"]), top, bottom))
    made = []
    for system, clips in by_system.items():
        prompts, tops, bottoms = zip(*clips, strict=True)
        made.append(ClipValues(system, score, kind, prompts, np.array(tops), np.array(bottoms)))
    return made
