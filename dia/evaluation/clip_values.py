"""The input of a comparison: one score of one system over its clips, averaged per prompt.

Takes of one prompt are not independent. Everything that states a certainty counts prompts; more takes only
make the mean of their prompt more precise. A clip that could not be scored is NaN: it is left out and counted
as a failure.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Kind(StrEnum):
    """How clips are averaged: a mean, a ratio of sums (errors by words), or a mean of values in 0..1."""

    MEAN = "mean"
    RATIO = "ratio"
    RATE = "rate"


@dataclass(frozen=True)
class PromptMeans:
    """Means over the takes of each prompt, all arrays (prompts,).

    ``variances`` are those of one take's numerator, ``takes`` the numbers of takes.
    """

    prompts: tuple[str, ...]
    numerators: Floats
    denominators: Floats
    variances: Floats
    takes: Floats

    def select(self, prompts: Sequence[str]) -> "PromptMeans":
        """Return these prompts, in this order. Raises ``KeyError`` for one that was not measured."""
        place = {name: number for number, name in enumerate(self.prompts)}
        chosen = np.array([place[name] for name in prompts], dtype=int)
        return PromptMeans(
            tuple(prompts),
            self.numerators[chosen],
            self.denominators[chosen],
            self.variances[chosen],
            self.takes[chosen],
        )


@dataclass(frozen=True)
class ClipValues:
    """``numerators[i] / denominators[i]`` is the score of clip ``i`` on ``prompts[i]``; NaN is a failure.

    Create it by :meth:`means`, :meth:`ratios` or :meth:`rates`. Raises ``ValueError`` with all problems.
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
        """Return values on a scale (similarity, MOS), which are averaged.

        Where few clips have most of the sum (WER of each clip), use :meth:`ratios` with denominators of 1: an
        interval for such values contains the true value 94 to 96 times in 100, this one 92 to 94 times.
        """
        numerators = np.array(list(values), dtype=np.float64)
        return cls(system, score, Kind.MEAN, tuple(prompts), numerators, np.ones_like(numerators))

    @classmethod
    def rates(cls, system: str, score: str, values: Iterable[float], prompts: Iterable[str]) -> "ClipValues":
        """Return hits and misses, or shares in 0..1; their intervals are valid near 0 and 1."""
        numerators = np.array(list(values), dtype=np.float64)
        return cls(system, score, Kind.RATE, tuple(prompts), numerators, np.ones_like(numerators))

    @classmethod
    def ratios(
        cls,
        system: str,
        score: str,
        numerators: Iterable[float],
        denominators: Iterable[float],
        prompts: Iterable[str],
    ) -> "ClipValues":
        """Return counts by counts (word errors by words), summed before division; they may be skewed."""
        return cls(
            system,
            score,
            Kind.RATIO,
            tuple(prompts),
            np.array(list(numerators), dtype=np.float64),
            np.array(list(denominators), dtype=np.float64),
        )

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which clips have a value, (clips,)."""
        return np.isfinite(self.numerators) & (self.denominators > 0)

    @property
    def measured_prompts(self) -> set[str]:
        """The prompts that have a clip with a value."""
        return {prompt for prompt, valid in zip(self.prompts, self.measured, strict=True) if valid}

    @property
    def failures(self) -> int:
        """The number of clips without a value."""
        return int((~self.measured).sum())

    @property
    def seeds(self) -> int:
        """The largest number of takes of a prompt, failures included."""
        return max(Counter(self.prompts).values(), default=0)

    def per_prompt(self) -> PromptMeans:
        """Return the means of each prompt that has a measured clip, prompts sorted."""
        valid = self.measured
        names, cluster = np.unique(
            np.array(self.prompts, dtype=object)[valid].astype(str), return_inverse=True
        )
        count = len(names)
        takes = np.bincount(cluster, minlength=count).astype(np.float64)
        numerators = np.bincount(cluster, weights=self.numerators[valid], minlength=count) / takes
        denominators = np.bincount(cluster, weights=self.denominators[valid], minlength=count) / takes
        deviations = (self.numerators[valid] - numerators[cluster]) ** 2
        squares = np.bincount(cluster, weights=deviations, minlength=count)
        return PromptMeans(
            tuple(names.tolist()), numerators, denominators, squares / np.maximum(takes - 1, 1), takes
        )

    def _problems(self) -> list[str]:
        if not len(self.prompts) == len(self.numerators) == len(self.denominators):
            return [
                f"{len(self.prompts)} prompts, {len(self.numerators)} values, "
                f"{len(self.denominators)} denominators; give as many of each"
            ]
        known = self.numerators[np.isfinite(self.numerators)]
        problems = []
        if np.isinf(self.numerators).any():
            problems.append("infinite values; a clip that cannot be scored is NaN")
        if not (self.denominators >= 0).all():
            problems.append("denominators below 0 or not numbers")
        if self.kind is Kind.RATE and len(known) and not (known.min() >= 0 and known.max() <= 1):
            problems.append(f"rates from {known.min():g} to {known.max():g}; give values in 0..1, or means")
        return problems
