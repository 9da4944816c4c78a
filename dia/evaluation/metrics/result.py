"""The result of one metric for one system: a value over clips with a 95 % interval, or a reason.

Three kinds of values have three kinds of intervals (`dia/evaluation/statistics.py`):
:func:`summarise_ratio` for counts by counts and other skewed values of 0 or more (errors by words),
:func:`summarise_rate` for shares, :func:`summarise_mean` for values on a scale (similarity, MOS) and for
differences.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dia.evaluation.clip_values import Kind
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.statistics import Estimate, estimate_mean, estimate_rate, estimate_ratio

PERCENT, POINTS = "%", "points"  # of shares, and of differences of shares
COSINE = (-1.0, 1.0)
DIFFERENCE_OF_RATES = (-1.0, 1.0)
MOS = (1.0, 5.0)


@dataclass(frozen=True)
class Contribution:
    """What one clip, or one pair of clips, adds to a ratio.

    Contributions of one ``cluster`` (`Prompt.cluster`: a prompt, or a group of prompts) are not independent.
    Two systems are compared on the clusters that both have.
    """

    cluster: str
    numerator: float
    denominator: float = 1.0


@dataclass(frozen=True)
class MetricResult:
    """A ratio of sums over contributions with its interval, or the reason why it was not measured.

    ``better`` is 1 where higher is better, -1 where lower is better, 0 where neither is. ``detail`` is plain
    JSON beside the value. ``headline`` results are in the table of the terminal; ``label`` is the name in
    words, and ``unit`` the unit, that the report shows; ``metric`` is the name of its metric.
    ``kind`` decides how systems are compared. Where takes are missing, the result counts them as the worst,
    and ``complete`` is the result of the takes that exist.
    """

    name: str
    estimate: Estimate | NotMeasured
    better: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    contributions: tuple[Contribution, ...] = ()
    label: str = ""
    headline: bool = False
    unit: str = ""
    metric: str = ""
    kind: Kind = Kind.MEAN
    complete: "MetricResult | None" = None

    @property
    def title(self) -> str:
        """The name in words."""
        return self.label or self.name.replace("_", " ")

    @property
    def measured(self) -> Estimate | None:
        """The estimate, None where there is none."""
        return self.estimate if isinstance(self.estimate, Estimate) else None

    def to_json(self) -> dict[str, Any]:
        """Return the result as scores.json stores it: without contributions and without its presentation."""
        complete = {"complete_case": self.complete._value()} if self.complete else {}
        return {"name": self.name, "better": self.better, **self._value(), **complete, **self.detail}

    def _value(self) -> dict[str, Any]:
        return {"result": str(self.estimate)} if self.measured is None else asdict(self.measured)


def summarise_ratio(
    name: str,
    contributions: Sequence[Contribution],
    reason: str,
    better: int = 0,
    *,
    label: str = "",
    headline: bool = False,
    unit: str = "",
    **detail: Any,
) -> MetricResult:
    """Return sum of numerators / sum of denominators, all 0 or more, of which few clips may have most.

    The result is ``reason`` where the denominators sum to zero.
    """
    unmeasured = MetricResult(
        name, NotMeasured(reason), better, detail, (), label, headline, unit, kind=Kind.RATIO
    )
    return _summarise(unmeasured, contributions, estimate_ratio)


def summarise_rate(
    name: str,
    contributions: Sequence[Contribution],
    reason: str,
    better: int = 0,
    *,
    label: str = "",
    headline: bool = False,
    unit: str = PERCENT,
    **detail: Any,
) -> MetricResult:
    """Return the share that numerators, each from 0 to its denominator, have of the denominators.

    The interval is valid at 0 and 1. The result is ``reason`` where the denominators sum to zero.
    """

    def estimate(hits: list[float], weights: list[float], prompts: list[str]) -> Estimate:
        return estimate_rate(hits, prompts, weights)

    unmeasured = MetricResult(
        name, NotMeasured(reason), better, detail, (), label, headline, unit, kind=Kind.RATE
    )
    return _summarise(unmeasured, contributions, estimate)


def summarise_mean(
    name: str,
    contributions: Sequence[Contribution],
    reason: str,
    better: int = 0,
    *,
    bounds: tuple[float, float] | None = None,
    label: str = "",
    headline: bool = False,
    unit: str = "",
    **detail: Any,
) -> MetricResult:
    """Return the mean of values on a scale, whose interval stays within ``bounds``.

    Denominators are weights. The result is ``reason`` where they sum to zero.
    """

    def estimate(values: list[float], weights: list[float], prompts: list[str]) -> Estimate:
        return estimate_mean(values, prompts, bounds, weights)

    unmeasured = MetricResult(
        name, NotMeasured(reason), better, detail, (), label, headline, unit, kind=Kind.MEAN
    )
    return _summarise(unmeasured, contributions, estimate)


def _summarise(
    unmeasured: MetricResult,
    contributions: Sequence[Contribution],
    estimate: Callable[[list[float], list[float], list[str]], Estimate],
) -> MetricResult:
    items = tuple(contributions)
    if not sum(item.denominator for item in items):
        return unmeasured
    value = estimate(
        [item.numerator for item in items],
        [item.denominator for item in items],
        [item.cluster for item in items],
    )
    return replace(unmeasured, estimate=value, contributions=items)
