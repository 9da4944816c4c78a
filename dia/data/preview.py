"""The preview page of a prepared data set: sample clips with labels, dropped clips, unreadable units.

The page is a single HTML file (template `preview.html.j2`).
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from markupsafe import Markup, escape

from dia.data.clip import script_of
from dia.data.shards import ShardReport
from dia.html import render_page

SHOWN_CLIPS = 24
SHOWN_TAGGED_CLIPS = 12
SHOWN_DROPPED = 60
TAG = re.compile(r"\([a-z ]+\)")


def render_preview(
    name: str,
    folder: Path,
    reports: list[ShardReport],
    statistics: dict[str, Any],
    left_out: list[dict[str, str]],
) -> str:
    """Return the preview page of the shards in ``folder``.

    Sample clips are spread evenly over all shards. ``statistics`` are those of the data set's card;
    ``left_out`` are the units that could not be read (``id`` and ``error``).
    """
    dropped = [item for report in reports for item in report.dropped]
    totals = [
        (kind, ", ".join(f"{key} {value}" for key, value in counts.items()) or "none")
        for kind, counts in statistics.items()
        if kind != "counts"
    ]
    tagged_rows = tagged_sample(folder, reports, SHOWN_TAGGED_CLIPS)
    return render_page(
        "preview.html.j2",
        styles=("preview.css",),
        title=f"Data set {name}",
        totals=totals,
        counts=list(statistics["counts"].items()),
        tagged_clips=[_clip_values(row) for row in tagged_rows],
        clips=[_clip_values(row) for row in sample(folder, reports, SHOWN_CLIPS)],
        dropped_count=len(dropped),
        dropped=[(item["id"], item["reason"], _place(item)) for item in dropped[:SHOWN_DROPPED]],
        left_out=[(item["id"], item["error"]) for item in left_out],
    )


def sample(folder: Path, reports: list[ShardReport], count: int) -> Iterator[dict[str, Any]]:
    """Yield at most ``count`` rows, at even distances over all shards in order."""
    total = sum(report.rows for report in reports)
    chosen = {index * total // count for index in range(count)} if total > count else set(range(total))
    begin = 0
    for report in reports:
        inside = sorted(index - begin for index in chosen if begin <= index < begin + report.rows)
        if inside:
            yield from _read_rows(folder, report, inside)
        begin += report.rows


def tagged_sample(folder: Path, reports: list[ShardReport], count: int) -> Iterator[dict[str, Any]]:
    """Yield at most ``count`` rows with nonverbals, from evenly spaced shards among those that have any."""
    tagged_shards = [report for report in reports if report.tags]
    if not tagged_shards:
        return
    chosen = tagged_shards[:: math.ceil(len(tagged_shards) / count)]
    for report in chosen:
        with pa.memory_map(str(folder / report.split / f"{report.name}.arrow")) as file:
            nonverbals = pa.ipc.open_stream(file).read_all().column("nonverbals")
            inside = [index for index, sounds in enumerate(nonverbals) if len(sounds)]
        yield from _read_rows(folder, report, inside[: math.ceil(count / len(chosen))])


def _read_rows(folder: Path, report: ShardReport, inside: list[int]) -> list[dict[str, Any]]:
    with pa.memory_map(str(folder / report.split / f"{report.name}.arrow")) as file:
        rows: list[dict[str, Any]] = pa.ipc.open_stream(file).read_all().take(inside).to_pylist()
        return rows


def _clip_values(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows of a row."""
    quality = [f"{name} {value:.3g}" for name, value in row["quality"].items() if value is not None]
    script = script_of(row["turns"], row["nonverbals"])
    return {
        "id": row["id"],
        "flac": row["audio"]["bytes"],
        "rejected": _rejected(row) if "rejected_audio" in row else None,
        "facts": ", ".join([row["split"], f"{row['seconds']:.1f} s", row["licence"], *quality]),
        "turns": [
            _turn_values(
                turn.render(), labels, [item for item in row["nonverbals"] if item["turn"] == number]
            )
            for number, (turn, labels) in enumerate(zip(script.turns, row["turns"], strict=True))
        ],
    }


def _rejected(row: dict[str, Any]) -> dict[str, Any]:
    """Return the rejected take of a pair, the margin, and the scores of both takes."""
    scores = [json.loads(row[f"{name}_scores"]) for name in ("chosen", "rejected")]
    names = dict.fromkeys(name for values in scores for name in values)
    return {
        "flac": row["rejected_audio"]["bytes"],
        "margin": f"{row['margin']:.2f}, by {row['origin']}",
        "scores": [
            (name.replace("_", " "), *(_score(values.get(name)) for values in scores)) for name in names
        ],
    }


def _score(value: Any) -> str:
    return f"{value + 0.0:.3g}" if isinstance(value, (int, float)) else str(value or "-")  # no "-0"


def _turn_values(script: str, turn: dict[str, Any], nonverbals: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the times of a turn, its script with highlighted tags, and its labels with their origin."""
    return {
        "times": "" if turn["start"] is None else _times(turn),
        "script": Markup(TAG.sub(r'<span class="tag">\g<0></span>', str(escape(script)))),
        "labels": [*map(_emotion, turn["emotions"]), *map(_nonverbal, nonverbals)],
    }


def _emotion(emotion: dict[str, Any]) -> str:
    numbers = [
        f"{name} {emotion[name]:.2f}"
        for name in ("intensity", "valence", "arousal", "dominance")
        if emotion[name] is not None
    ]
    return f"{', '.join(filter(None, [emotion['label'], *numbers]))} ({_origin(emotion)})"


def _nonverbal(nonverbal: dict[str, Any]) -> str:
    times = "" if nonverbal["start"] is None else f" {_times(nonverbal)}"
    return f"{nonverbal['tag']}{times} ({_origin(nonverbal)})"


def _times(item: dict[str, Any]) -> str:
    return f"{item['start']:.2f} to {item['end']:.2f} s"


def _origin(label: dict[str, Any]) -> str:
    if label["confidence"] is None:
        return str(label["origin"])
    return f"{label['origin']}, confidence {label['confidence']:.2f}"


def _place(item: dict[str, Any]) -> str:
    return f"{item['file']} {item['start']} to {item['end']} s" if "file" in item else ""
