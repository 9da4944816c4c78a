"""A page to look at and listen to: a sample of a data set's clips with all labels, what was dropped, and what
was left out.
"""

import html
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dia.data.clip import script_of
from dia.data.shards import Report
from dia.html import document, html_table, player

CLIPS, TAGGED, DROPPED = 24, 12, 60  # shown
TAG = re.compile(r"\([a-z ]+\)")


def page_of(
    name: str, folder: Path, reports: list[Report], figures: dict[str, Any], left_out: list[dict[str, str]]
) -> str:
    """Return the page of shards that lie in ``folder``; the sample is spread evenly over all of them."""
    kinds = {kind: found for kind, found in figures.items() if kind != "counts"}
    listed = {
        kind: ", ".join(f"{key} {value}" for key, value in found.items()) for kind, found in kinds.items()
    }
    body = html_table(["", "in all"], [[kind, text or "none"] for kind, text in listed.items()])
    if figures["counts"]:
        body += "<h2>What became of labels and clips</h2>"
        body += html_table(["", "times"], [[what, str(count)] for what, count in figures["counts"].items()])
    if any(report.tags for report in reports):
        body += "<h2>Clips with nonverbal sounds</h2>" + "".join(
            _clip(row) for row in tagged_sample(folder, reports, TAGGED)
        )
    body += "<h2>Clips of all kinds</h2>" + "".join(_clip(row) for row in sample(folder, reports, CLIPS))
    dropped = [item for report in reports for item in report.dropped]
    if dropped:
        body += f"<h2>Dropped, the first {min(DROPPED, len(dropped))} of {len(dropped)}</h2>"
        body += html_table(
            ["clip", "why", "where"],
            [[item["id"], item["reason"], _where(item)] for item in dropped[:DROPPED]],
        )
    if left_out:
        body += "<h2>Left out: could not be read</h2>"
        body += html_table(["what", "why"], [[item["id"], item["error"]] for item in left_out])
    return document(f"Data set {name}", body)


def sample(folder: Path, reports: list[Report], count: int) -> Iterator[dict[str, Any]]:
    """Yield ``count`` rows, or all, at even distances over the shards in order."""
    total = sum(report.rows for report in reports)
    wanted = {index * total // count for index in range(count)} if total > count else set(range(total))
    begin = 0
    for report in reports:
        inside = sorted(index - begin for index in wanted if begin <= index < begin + report.rows)
        if inside:
            yield from _rows(folder, report, inside)
        begin += report.rows


def tagged_sample(folder: Path, reports: list[Report], count: int) -> Iterator[dict[str, Any]]:
    """Yield up to ``count`` rows with nonverbals, from shards at even distances among those that have any."""
    having = [report for report in reports if report.tags]
    chosen = having[:: math.ceil(len(having) / count)]
    for report in chosen:
        with pa.memory_map(str(folder / report.split / f"{report.name}.arrow")) as file:
            sounds = pa.ipc.open_stream(file).read_all().column("nonverbals")
            inside = [index for index, found in enumerate(sounds) if len(found)]
        yield from _rows(folder, report, inside[: math.ceil(count / len(chosen))])


def _rows(folder: Path, report: Report, inside: list[int]) -> list[dict[str, Any]]:
    with pa.memory_map(str(folder / report.split / f"{report.name}.arrow")) as file:
        rows: list[dict[str, Any]] = pa.ipc.open_stream(file).read_all().take(inside).to_pylist()
        return rows


def _clip(row: dict[str, Any]) -> str:
    sound = player(row["audio"]["bytes"]) if row["audio"]["bytes"] else "<small>sound not kept</small>"
    quality = [f"{name} {value:.3g}" for name, value in row["quality"].items() if value is not None]
    facts = ", ".join([row["split"], f"{row['seconds']:.1f} s", row["licence"], *quality])
    turns = zip(script_of(row["turns"], row["nonverbals"]).turns, row["turns"], strict=True)
    rows = [
        _turn(turn.render(), labelled, [sound for sound in row["nonverbals"] if sound["turn"] == number])
        for number, (turn, labelled) in enumerate(turns)
    ]
    return (
        f'<div class="clip"><strong>{html.escape(row["id"])}</strong> <small>{html.escape(facts)}</small>'
        f'<p>{sound}</p><table class="turns">{"".join(rows)}</table></div>'
    )


def _turn(script: str, turn: dict[str, Any], sounds: list[dict[str, Any]]) -> str:
    """A row: when it is spoken, what is said with its sounds, and what is known of both."""
    said = TAG.sub(lambda tag: f'<span class="tag">{tag.group()}</span>', html.escape(script))
    labels = [_emotion(emotion) for emotion in turn["emotions"]] + [_nonverbal(sound) for sound in sounds]
    times = "" if turn["start"] is None else _times(turn)
    return f"<tr><td>{times}</td><td>{said}</td><td>{'<br>'.join(html.escape(label) for label in labels)}</td></tr>"


def _emotion(emotion: dict[str, Any]) -> str:
    numbers = [
        f"{name} {emotion[name]:.2f}"
        for name in ("intensity", "valence", "arousal", "dominance")
        if emotion[name] is not None
    ]
    return f"{', '.join(filter(None, [emotion['label'], *numbers]))} ({_origin(emotion)})"


def _nonverbal(sound: dict[str, Any]) -> str:
    when = "" if sound["start"] is None else f" {_times(sound)}"
    return f"{sound['tag']}{when} ({_origin(sound)})"


def _times(item: dict[str, Any]) -> str:
    return f"{item['start']:.2f} to {item['end']:.2f} s"


def _origin(label: dict[str, Any]) -> str:
    return (
        str(label["origin"])
        if label["confidence"] is None
        else f"{label['origin']}, confidence {label['confidence']:.2f}"
    )


def _where(item: dict[str, Any]) -> str:
    return f"{item['file']} {item['start']} to {item['end']} s" if "file" in item else ""
