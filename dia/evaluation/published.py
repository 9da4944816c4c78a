"""Published results of systems (eval/published.yaml), which the report shows beside systems of their name."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dia.errors import UserError
from dia.resources import resource

KEYS = ("metrics", "tables", "names")
CONFIDENCE = ("primary", "secondary", "derived")


@dataclass(frozen=True)
class Published:
    """One published number.

    ``confidence``: read in the authors' own file (`primary`), in notes on it (`secondary`), or computed from
    their numbers (`derived`). ``better`` is `lower` or `higher`; ``unit`` is the unit of the value;
    ``condition`` describes how the audio was generated. ``names`` are other names of the system.
    """

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
    names: tuple[str, ...] = ()


def load_published(path: Path | None = None) -> list[Published]:
    """Return all numbers in the order of the file. Raises :class:`UserError` with every problem at once."""
    path = path or resource("eval/published.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    if not isinstance(content, dict) or not {"metrics", "tables"} <= {*content} <= {*KEYS}:
        raise UserError(f"{path} must hold metrics and tables, and may hold names")
    problems: list[str] = []
    numbers: list[Published] = []
    for place, table in enumerate(content["tables"], start=1):
        rows, wrong = _read_table(table, content["metrics"])
        numbers += rows
        problems += [f"table {place}: {problem}" for problem in wrong]
    names, wrong = _read_names(content.get("names", {}), {row.system for row in numbers})
    numbers = [replace(row, names=names.get(row.system, ())) for row in numbers]
    problems += wrong + _repeated(numbers)
    if problems:
        raise UserError(f"{path} has problems:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return numbers


def published_of(name: str, numbers: Sequence[Published]) -> list[Published]:
    """Return the numbers of the system that is recorded under ``name``.

    A name is that of a published system, one of its other names, or the first words of it: "elevenlabs" has
    the numbers of "ElevenLabs v3" and of "ElevenLabs Flash". The last part of a path counts as a name.
    """
    words = _words(name.rstrip("/").rpartition("/")[2])
    if not words:
        return []
    return [
        item
        for item in numbers
        if _words(item.system)[: len(words)] == words or words in map(_words, item.names)
    ]


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9.]+", name.casefold())


def _read_names(content: Any, systems: set[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the other names of systems, and the problems of the mapping."""
    if not isinstance(content, dict):
        return {}, ["names must map a system to a list of its other names"]
    problems = [f"names: {system} is in no table" for system in content if system not in systems]
    problems += [
        f"names: {system} must have a list of texts"
        for system, own in content.items()
        if not (isinstance(own, list) and all(isinstance(name, str) for name in own))
    ]
    return ({}, problems) if problems else ({system: tuple(own) for system, own in content.items()}, [])


def _read_table(table: dict[str, Any], metrics: dict[str, Any]) -> tuple[list[Published], list[str]]:
    """Return the numbers of one table, whose rows are systems and columns metrics, and its problems."""
    required = {"source", "where", "confidence", "test", "condition", "columns", "rows"}
    if not isinstance(table, dict) or {*table} != required:
        return [], [f"must have the keys {', '.join(sorted(required))} and no others"]
    columns: list[str] = table["columns"]
    problems = [f"{name} is not declared under metrics" for name in columns if name not in metrics]
    if table["confidence"] not in CONFIDENCE:
        problems.append(f"confidence={table['confidence']!r} must be one of: {', '.join(CONFIDENCE)}")
    problems += [f"{key} is empty" for key in ("source", "where", "test", "condition") if not table[key]]
    for system, values in table["rows"].items():
        if len(values) != len(columns):
            problems.append(f"{system} has {len(values)} values for {len(columns)} columns")
        problems += [
            f"{system}: {value!r} is not a number; write null for a missing value"
            for value in values
            if not _is_number(value)
        ]
    if problems:
        return [], problems
    shared: dict[str, Any] = {
        key: str(table[key]) for key in ("test", "condition", "source", "where", "confidence")
    }
    rows = [
        Published(system=system, metric=metric, value=float(value), **metrics[metric], **shared)
        for system, values in table["rows"].items()
        for metric, value in zip(columns, values, strict=True)
        if value is not None
    ]
    return rows, [problem for row in rows for problem in _range_problems(row)]


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _range_problems(row: Published) -> list[str]:
    """Return a sentence where a value is outside its unit's range, which shows a typing mistake."""
    low, high = {
        "percent": (0.0, 100.0),
        "share": (0.0, 1.0),
        "cosine": (-1.0, 1.0),
        "1 to 5": (1.0, 5.0),
    }.get(row.unit, (0.0, float("inf")))
    return (
        []
        if low <= row.value <= high
        else [f"{row.system}: {row.metric}={row.value} lies outside {low} to {high} ({row.unit})"]
    )


def _repeated(numbers: list[Published]) -> list[str]:
    counts = Counter((row.source, row.test, row.condition, row.system, row.metric) for row in numbers)
    return [
        f"{system}: {metric} occurs twice for {test} ({source})"
        for (source, test, _, system, metric), count in sorted(counts.items())
        if count > 1
    ]
