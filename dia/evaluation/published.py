"""Published numbers (eval/published.yaml): what others measured, shown beside what is measured here and never
mixed with it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dia.errors import UserError
from dia.resources import resource

CONFIDENCE = ("primary", "secondary", "derived")


@dataclass(frozen=True)
class Published:
    """One number. ``confidence``: read in the authors' own file (`primary`), in notes on it (`secondary`), or
    worked out from their numbers (`derived`). ``better`` is `lower` or `higher`; ``unit`` what the value is
    in; ``condition`` how it was made."""

    system: str
    metric: str
    value: float
    unit: str
    better: str
    test: str
    condition: str
    source: str
    where: str
    confidence: str


def load_published(path: Path | None = None) -> list[Published]:
    """Return all numbers, in the file's order. Raises :class:`UserError` with every problem at once."""
    path = path or resource("eval/published.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    if not isinstance(content, dict) or {*content} != {"metrics", "tables"}:
        raise UserError(f"{path} must hold metrics and tables")
    problems: list[str] = []
    found: list[Published] = []
    for number, table in enumerate(content["tables"], start=1):
        rows, wrong = _table(table, content["metrics"])
        found += rows
        problems += [f"table {number}: {problem}" for problem in wrong]
    problems += _repeated(found)
    if problems:
        raise UserError(f"{path} has problems:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return found


def published_of(numbers: list[Published], metric: str) -> dict[tuple[str, str], list[Published]]:
    """Return the numbers of a metric by (source, test): only those of one group may be compared with each
    other.
    """
    groups: dict[tuple[str, str], list[Published]] = {}
    for number in numbers:
        if number.metric == metric:
            groups.setdefault((number.source, number.test), []).append(number)
    return groups


def _table(table: dict[str, Any], metrics: dict[str, Any]) -> tuple[list[Published], list[str]]:
    """The numbers of one table: rows are systems, columns metrics."""
    wanted = {"source", "where", "confidence", "test", "condition", "columns", "rows"}
    if not isinstance(table, dict) or {*table} != wanted:
        return [], [f"must have the keys {', '.join(sorted(wanted))} and no others"]
    columns: list[str] = table["columns"]
    problems = [f"{name} is not declared under metrics" for name in columns if name not in metrics]
    if table["confidence"] not in CONFIDENCE:
        problems.append(f"confidence={table['confidence']!r} must be one of: {', '.join(CONFIDENCE)}")
    problems += [f"{key} is empty" for key in ("source", "where", "test", "condition") if not table[key]]
    for system, values in table["rows"].items():
        if len(values) != len(columns):
            problems.append(f"{system} has {len(values)} values for {len(columns)} columns")
        problems += [
            f"{system}: {value!r} is no number; write null where there is none"
            for value in values
            if not _number(value)
        ]
    if problems:
        return [], problems
    shared = {key: str(table[key]) for key in ("test", "condition", "source", "where", "confidence")}
    rows = [
        Published(system=system, metric=metric, value=float(value), **metrics[metric], **shared)
        for system, values in table["rows"].items()
        for metric, value in zip(columns, values, strict=True)
        if value is not None
    ]
    return rows, [problem for row in rows for problem in _range(row)]


def _number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _range(row: Published) -> list[str]:
    """What a slip of the pen would look like: shares above one, percentages below zero."""
    low, high = {
        "percent": (0.0, 100.0),
        "share": (0.0, 1.0),
        "cosine": (-1.0, 1.0),
        "1 to 5": (1.0, 5.0),
    }.get(row.unit, (0.0, float("inf")))
    return (
        []
        if low <= row.value <= high
        else [f"{row.system}: {row.metric}={row.value} lies outside of {low} to {high} ({row.unit})"]
    )


def _repeated(found: list[Published]) -> list[str]:
    keys = [(row.source, row.test, row.condition, row.system, row.metric) for row in found]
    return [f"{system}: {metric} is there twice for {test} ({source})" for source, test, condition, system, metric in
            sorted({key for key in keys if keys.count(key) > 1})]  # fmt: skip
