"""The result of one metric for one system: a ratio over clips with a 95 % interval, or a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.statistics import Estimate, estimate_rate, estimate_ratio


@dataclass(frozen=True)
class Contribution:
    """What one clip, or one pair of clips, adds to a ratio.

    Contributions of one ``cluster`` (the id of a prompt or of a group of prompts) are not independent. Two
    systems are compared on the clusters that both have.
    """

    cluster: str
    numerator: float
    denominator: float = 1.0


@dataclass(frozen=True)
class MetricResult:
    """A ratio of sums over contributions with its interval, or the reason why it was not measured.

    ``better`` is 1 where higher is better, -1 where lower is better, 0 where neither is. ``detail`` is plain
    JSON beside the value. ``headline`` results are in the table of the terminal and in the plain sentences
    of the report; ``label`` is the name in words that the report shows.
    """

    name: str
    estimate: Estimate | NotMeasured
    better: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    contributions: tuple[Contribution, ...] = ()
    label: str = ""
    headline: bool = False

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
        value = {"result": str(self.estimate)} if self.measured is None else asdict(self.measured)
        return {"name": self.name, "better": self.better, **value, **self.detail}


def summarise_ratio(
    name: str,
    contributions: Sequence[Contribution],
    reason: str,
    better: int = 0,
    *,
    label: str = "",
    headline: bool = False,
    **detail: Any,
) -> MetricResult:
    """Return sum of numerators / sum of denominators, or ``reason`` where the denominators sum to zero."""
    items = tuple(contributions)
    if not sum(item.denominator for item in items):
        return MetricResult(name, NotMeasured(reason), better, detail, (), label, headline)
    estimate = estimate_ratio(
        [item.numerator for item in items],
        [item.denominator for item in items],
        [item.cluster for item in items],
    )
    return MetricResult(name, estimate, better, detail, items, label, headline)


def summarise_rate(
    name: str,
    contributions: Sequence[Contribution],
    reason: str,
    better: int = 0,
    *,
    label: str = "",
    headline: bool = False,
    **detail: Any,
) -> MetricResult:
    """Return the share of numerators (each 0 or 1), or ``reason`` where there is no contribution.

    The interval is Wilson's, which is valid at 0 and 1.
    """
    items = tuple(contributions)
    if not items:
        return MetricResult(name, NotMeasured(reason), better, detail, (), label, headline)
    estimate = estimate_rate([item.numerator for item in items], [item.cluster for item in items])
    return MetricResult(name, estimate, better, detail, items, label, headline)
