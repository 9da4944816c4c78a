"""Write scores for readers: values with unit and interval, differences, p-values, and lists of names."""

from collections.abc import Sequence

from dia.evaluation.metrics.result import PERCENT, POINTS, MetricResult
from dia.evaluation.statistics import Estimate

ROUNDING = 1e-9
SMALLEST_DECIMAL = 1e-4  # p-value that is written as a decimal


def format_value(value: float, unit: str = "") -> str:
    """Return three digits of a value, and its unit where that is percent or percentage points.

    Other units (a scale, seconds) stand in the title of a row. What rounding leaves of a zero is 0.
    """
    scaled = _scale(unit) * value
    return (f"{scaled:.3g}" if abs(scaled) > ROUNDING else "0") + _suffix(unit)


def format_difference(value: float, unit: str = "") -> str:
    """Return a difference with its sign; that of two percentages is in points."""
    scaled = _scale(unit) * value
    return (f"{scaled:+.3g}" if abs(scaled) > ROUNDING else "0") + _suffix(difference_unit(unit))


def format_ends(low: float | None, high: float | None, unit: str = "", *, signed: bool = False) -> str:
    """Return the ends of an interval as "5.7 to 16", empty where there is none."""
    if low is None or high is None:
        return ""
    ends = [_scale(unit) * end for end in (low, high)]
    written = (f"{end:{'+' * signed}.3g}" if abs(end) > ROUNDING else "0" for end in ends)
    return " to ".join(written)


def format_estimate(estimate: Estimate, unit: str = "") -> str:
    """Return a value with its interval, as "55 % (32 to 94)"."""
    ends = format_ends(estimate.low, estimate.high, unit)
    return format_value(estimate.value, unit) + (f" ({ends})" if ends else "")


def format_result(result: MetricResult | None) -> str:
    """Return a value with its interval, or a dash where there is none.

    Where takes are missing, the value of those that are present follows.
    """
    if result is None or result.measured is None:
        return "-"
    text = format_estimate(result.measured, result.unit)
    return text if result.complete is None else f"{text}; {format_result(result.complete)} of those present"


def format_p(p: float) -> str:
    """Return a p-value with two digits, small ones as a power of ten."""
    return f"{p:.2g}" if p >= SMALLEST_DECIMAL else f"{p:.1e}"


def difference_unit(unit: str) -> str:
    """Return the unit of a difference of two values."""
    return POINTS if unit == PERCENT else unit


def direction(result: MetricResult) -> str:
    """Return which direction is better, empty where none is."""
    return {1: "higher is better", -1: "lower is better", 0: ""}[result.better]


def describe_unit(result: MetricResult) -> str:
    """Return unit and direction of a result, as "%, lower is better"."""
    return ", ".join(filter(None, (result.unit, direction(result))))


def plain_list(names: Sequence[str], last: str = "and") -> str:
    """Return names as "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as "1 prompt" or "12 prompts"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def counted_range(ends: tuple[int, int], noun: str) -> str:
    """Return a range of numbers with its noun, as "1 take" or "1 to 3 takes"."""
    low, high = ends
    return counted(high, noun) if low == high else f"{low:,} to {counted(high, noun)}"


def _scale(unit: str) -> float:
    return 100.0 if unit in (PERCENT, POINTS) else 1.0


def _suffix(unit: str) -> str:
    return f" {unit}" if unit in (PERCENT, POINTS) else ""
