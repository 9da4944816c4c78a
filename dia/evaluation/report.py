"""The report: report.html that needs nothing beside it (sound and pictures are inside), and the table for the
terminal.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dia.audio.files import flac_bytes
from dia.evaluation.plots import curve, distributions, heat_map, picture, spectrogram
from dia.evaluation.published import Published
from dia.evaluation.scoring import ScoredClip, System
from dia.evaluation.suites import Suite
from dia.html import document, html_table, player

HEADLINES = (
    "wer", "second_wer", "turn_accuracy", "similarity", "similarity_margin", "mos", "net_tag_effect", "false_insertion",
    "right_speaker", "arousal_agreement", "failed/no_end", "duration_ratio", "takes_failed",
)  # fmt: skip
SURE = 0.05  # corrected p below which a difference is listed on the page; scores.json has all


@dataclass(frozen=True)
class Learning:
    """What training did: (step, loss) points, and the loss of the marginal token distribution, in nats."""

    training: list[tuple[int, float]]
    validation: list[tuple[int, float]]
    marginal: float


Shown = Sequence[tuple[Suite, Sequence[System]]]


def table(results: Mapping[str, Any], suite: str) -> Table:
    """Return the headline figures of a suite as a table for the terminal."""
    systems = results["suites"][suite]["systems"]
    drawn = Table(title=f"suite {suite}: {results['suites'][suite]['prompts']} prompts")
    for title in ("", *systems):
        drawn.add_column(title)
    for name in HEADLINES:
        if any(name in rows for rows in systems.values()):
            drawn.add_row(name, *(estimate(rows.get(name)) for rows in systems.values()))
    return drawn


def page(
    results: Mapping[str, Any],
    shown: Shown,
    learning: Learning | None,
    published: Sequence[Published],
    timing: Mapping[str, float] | None,
) -> str:
    """Return the page as HTML; everything that comes from outside is escaped."""
    parts = [
        "<p>Brackets: 95 % intervals over prompts. <a href='#not'>What was not measured, and why.</a></p>",
        _problems(results["problems"]),
        *(_suite_part(results["suites"][suite.name], suite, systems) for suite, systems in shown),
        _learning_part(learning) if learning else "",
        _timing_part(timing) if timing else "",
        _detector_part(results["detector"]),
        _published_part(published),
        _not_measured(results),
        "<h2>Where the scores come from</h2>" + _provenance(results["provenance"]),
    ]
    return document(f"Evaluation of {results['checkpoint'] or 'recorded systems'}", "".join(parts))


def estimate(row: Mapping[str, Any] | None) -> str:
    """Return a figure with its interval, or a dash where there is none."""
    if row is None or "value" not in row:
        return "-"
    return f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"


def _suite_part(found: Mapping[str, Any], suite: Suite, systems: Sequence[System]) -> str:
    """One suite: its figures side by side, the tags as a map, what differs for sure, distributions, and clips
    to listen to.
    """
    by_system = found["systems"]
    names = list(dict.fromkeys(name for rows in by_system.values() for name in rows))
    measured = [name for name in names if any("value" in rows.get(name, {}) for rows in by_system.values())]
    plain = [name for name in measured if "/" not in name]
    rows = [
        [name, _arrow(by_system, name), *(estimate(rows.get(name)) for rows in by_system.values())]
        for name in plain
    ]
    clips = [clip for system in systems for clip in system.clips]
    shown = list(dict.fromkeys(clip.recording.prompt_id for clip in clips))[: suite.shown]
    takes = f"{found['prompts']} prompts, {suite.seeds} seed(s), sha256 {found['prompts_sha256'][:12]}"
    return (
        f"<h2>Suite {html.escape(suite.name)}</h2><p>{takes}</p>"
        + html_table(["figure", "better", *by_system], rows)
        + _failures(found["failures"])
        + _tags_part(by_system, measured)
        + _differences(found["comparisons"])
        + picture(distributions({system.name: system.clips for system in systems}), "scores clip by clip")
        + "".join(_clip_part([clip for clip in clips if clip.recording.prompt_id == name]) for name in shown)
    )


def _arrow(by_system: Mapping[str, Mapping[str, Any]], name: str) -> str:
    better = next(rows[name]["better"] for rows in by_system.values() if name in rows)
    return {1: "more", -1: "less", 0: ""}[better]


def _failures(failures: Mapping[str, Mapping[str, int]]) -> str:
    lines = [
        f"{system}: {reason} ({count})"
        for system, found in failures.items()
        for reason, count in found.items()
    ]
    return f"<p>Takes that failed: {html.escape('; '.join(lines))}</p>" if lines else ""


def _tags_part(by_system: Mapping[str, Mapping[str, Any]], measured: Sequence[str]) -> str:
    """Net effect, recall and insertions tag by tag, as a map."""
    tags = sorted(
        {name.partition("/")[2] for name in measured if name.startswith(("tag_recall/", "net_tag_effect/"))}
    )
    if not tags:
        return ""
    columns = [
        (system, what) for system in by_system for what in ("tag_recall", "false_insertion", "net_tag_effect")
    ]
    values = [
        [by_system[system].get(f"{what}/{tag}", {}).get("value") for system, what in columns] for tag in tags
    ]
    labels = [f"{system}\n{what.replace('_', ' ')}" for system, what in columns]
    rows = [
        [tag, *(estimate(by_system[system].get(f"{what}/{tag}")) for system, what in columns)] for tag in tags
    ]
    drawn = picture(heat_map(values, tags, labels), "nonverbal tags by system")
    return (
        "<h3>Nonverbal tags</h3>"
        + drawn
        + html_table(["tag", *(label.replace("\n", ": ") for label in labels)], rows)
    )


def _differences(compared: Sequence[Mapping[str, Any]]) -> str:
    """The differences that are sure after correction, and how many others there are."""
    sure = [found for found in compared if found["p_holm"] < SURE and "/" not in found["score"]]
    rows = [
        [
            found["score"], f"{found['first']} - {found['second']}", _between(found), f"{found['p_holm']:.4f}",
            str(found["prompts"]), "-" if found["prompts_needed"] is None else str(found["prompts_needed"]),
        ]
        for found in sure
    ]  # fmt: skip
    if not compared:
        return ""
    titles = ["score", "systems", "difference", "p (Holm)", "prompts", "prompts that would do"]
    text = f"<p>{len(sure)} of {len(compared)} differences are sure at {SURE} (paired by prompt, corrected by Holm).</p>"
    return "<h3>Differences</h3>" + text + (html_table(titles, rows) if rows else "")


def _between(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['difference']:+.3g}"
    return f"{found['difference']:+.3g} [{found['low']:+.3g}, {found['high']:+.3g}]"


def _detector_part(detector: Mapping[str, Any]) -> str:
    """What the detector of sounds is worth: on the data's own clips, and on recordings of people where that
    was measured.
    """
    if detector["missing"]:
        return f"<h2>The detector of nonverbals</h2><p>not measured: {html.escape(detector['missing'])}</p>"
    people = (detector["on_people"] or {}).get("tags", {})
    rows = [
        [tag, _worth(detector["tags"].get(tag)), _worth(people.get(tag))]
        for tag in sorted({*detector["tags"], *people})
    ]
    told = (
        ""
        if people
        else "<p>On people: not measured; give calibration=FILE of <code>dia.eval calibrate</code>.</p>"
    )
    titles = ["tag", f"on {detector['clips']} clips of the data", "on recordings of people"]
    return "<h2>The detector of nonverbals</h2>" + html_table(titles, rows) + told


def _worth(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    verdict = "" if found["measurable"] else "; not measurable"
    counts = f"{found['with_tag']} with, {found['without_tag']} without"
    return (
        f"sensitivity {found['sensitivity']:.2f}, specificity {found['specificity']:.2f} ({counts}){verdict}"
    )


def _published_part(published: Sequence[Published]) -> str:
    """What others published, with its source; on other prompts and by other judges, so never in one table
    with the above.
    """
    rows = [
        [
            found.test,
            found.system,
            found.metric,
            f"{found.value:g} {found.unit}".strip(),
            found.better,
            found.source,
        ]
        for found in published
    ]
    text = "<p>Measured by others, on other prompts and by other judges: to be read beside the figures above, not against them.</p>"
    titles = ["test", "system", "metric", "value", "better", "source"]
    return (
        "<h2>Published figures</h2>"
        + text
        + "<details><summary>show</summary>"
        + html_table(titles, rows)
        + "</details>"
    )


def _not_measured(results: Mapping[str, Any]) -> str:
    """Every figure without a value, with the reason and the suites and systems that lack it."""
    where: dict[tuple[str, str], list[str]] = {}
    for suite, found in results["suites"].items():
        for system, rows in found["systems"].items():
            for name, row in rows.items():
                if "result" in row:
                    where.setdefault((name, row["result"]), []).append(f"{suite} ({system})")
    rows = [["the whole suite", reason, suite] for suite, reason in results["suites_not_measured"].items()]
    rows += [[name, reason, _in_short(places)] for (name, reason), places in where.items()]
    body = html_table(["figure", "why", "where"], rows) if rows else "<p>Everything was measured.</p>"
    return "<h2 id='not'>What was not measured</h2>" + body


def _in_short(places: Sequence[str]) -> str:
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def _problems(problems: Sequence[str]) -> str:
    lines = "".join(f"<li>{html.escape(problem)}</li>" for problem in problems)
    return f"<h2>Problems of the recordings</h2><ul>{lines}</ul>" if lines else ""


def _learning_part(learning: Learning) -> str:
    last = learning.training[-1][1]
    text = f"Training loss ends at {last:.3f} nats; guessing by token frequency alone costs {learning.marginal:.3f}."
    drawn = curve(learning.training, learning.validation, learning.marginal)
    return f"<h2>Training</h2><p>{text}</p>" + picture(drawn, "training curve")


def _timing_part(timing: Mapping[str, float]) -> str:
    return (
        f"<h2>Speed</h2><p>{timing['times_real_time']:.2f} times real time, one text at a time, on this machine "
        f"({timing['prompts']:.0f} texts, {timing['seconds_of_sound']:.1f} s of sound).</p>"
    )


def _clip_part(clips: Sequence[ScoredClip]) -> str:
    script = html.escape(clips[0].recording.script.render())
    inside = "".join(map(_system_part, clips))
    return f'<div class="clip"><p><strong>{script}</strong></p><div class="systems">{inside}</div></div>'


def _system_part(clip: ScoredClip) -> str:
    recording, words = clip.recording, clip.values.get("wer", {})
    heard = str(words.get("transcript", "")) or "(no words heard)"
    about = f"{html.escape(recording.system)} <small>seed {recording.seed}, {recording.seconds:.1f} s</small>"
    if not len(recording.waveform):
        return f"<div><p>{about}</p><p>no sound</p></div>"
    sound = player(flac_bytes(recording.waveform, recording.sample_rate)) + picture(
        spectrogram(recording), "spectrogram"
    )
    return f"<div><p>{about}</p>{sound}<p><small>{html.escape(heard)}</small></p></div>"


def _provenance(described: Mapping[str, Any]) -> str:
    rows = [[name, str(found["version"]), _models(found["models"])] for name, found in described.items()]
    return html_table(["metric", "version", "models"], rows)


def _models(models: str | Iterable[Mapping[str, Any]]) -> str:
    if isinstance(models, str):
        return models
    return "; ".join(
        ", ".join(f"{key} {value}" for key, value in model.items() if value != "") for model in models
    )
