"""A page to look at and listen to: a sample of a data set's clips with all labels, what was dropped, and what was left out."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dia.data.shards import Report
from dia.html import document, html_table, player

CLIPS, DROPPED = 24, 60  # shown
TAG = re.compile(r"\([a-z ]+\)")


def page_of(name: str, folder: Path, reports: list[Report], figures: dict[str, Any], left_out: list[dict[str, str]]) -> str:
    """Return the page of shards that lie in ``folder``; the sample is spread evenly over all of them."""
    kinds = [
        [kind, ", ".join(f"{key} {value}" for key, value in found.items())] for kind, found in figures.items() if kind != "counts"
    ]
    body = html_table(["", "in all"], kinds)
    if figures["counts"]:
        body += "<h2>What became of labels and clips</h2>"
        body += html_table(["", "times"], [[what, str(count)] for what, count in figures["counts"].items()])
    body += "<h2>Clips</h2>" + "".join(_clip(row) for row in sample(folder, reports, CLIPS))
    dropped = [item for report in reports for item in report.dropped]
    if dropped:
        body += f"<h2>Dropped, the first {min(DROPPED, len(dropped))} of {len(dropped)}</h2>"
        body += html_table(["clip", "why", "where"], [[item["id"], item["reason"], _where(item)] for item in dropped[:DROPPED]])
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
            with pa.memory_map(str(folder / report.split / f"{report.name}.arrow")) as file:
                yield from pa.ipc.open_stream(file).read_all().take(inside).to_pylist()
        begin += report.rows


def _clip(row: dict[str, Any]) -> str:
    script = TAG.sub(lambda tag: f'<span class="tag">{tag.group()}</span>', html.escape(row["script"]))
    sound = player(row["audio"]["bytes"]) if row["audio"]["bytes"] else "<small>sound not kept</small>"
    labels = [_turn(turn) for turn in row["turns"] if turn["emotions"]] + [_nonverbal(sound) for sound in row["nonverbals"]]
    quality = ", ".join(f"{name} {value:.3g}" for name, value in row["quality"].items() if value is not None)
    facts = f"{row['id']}, {row['split']}, {row['seconds']:.1f} s, {row['licence']}; {quality}"
    return (
        f"<h3>{html.escape(row['id'])}</h3><p>{sound}</p><p>{script}</p>"
        f"<p><small>{html.escape(facts)}<br>{'<br>'.join(html.escape(label) for label in labels)}</small></p>"
    )


def _turn(turn: dict[str, Any]) -> str:
    said = []
    for emotion in turn["emotions"]:
        numbers = [
            f"{name} {emotion[name]:.2f}"
            for name in ("intensity", "valence", "arousal", "dominance")
            if emotion[name] is not None
        ]
        sure = "" if emotion["confidence"] is None else f", confidence {emotion['confidence']:.2f}"
        said.append(f"{', '.join(filter(None, [emotion['label'], *numbers]))} ({emotion['origin']}{sure})")
    return f"[S{turn['speaker']}] {turn['text'][:40]}: {'; '.join(said)}"


def _nonverbal(sound: dict[str, Any]) -> str:
    when = "" if sound["start"] is None else f" {sound['start']:.2f} to {sound['end']:.2f} s"
    sure = "" if sound["confidence"] is None else f", confidence {sound['confidence']:.2f}"
    return f"({sound['tag']}) in turn {sound['turn'] + 1}{when} ({sound['origin']}{sure})"


def _where(item: dict[str, Any]) -> str:
    return f"{item['file']} {item['start']} to {item['end']} s" if "file" in item else ""
