"""The report of an evaluation: one HTML page without external files, with audio and plots inside.

The answer comes first (a sentence per pair of systems), then audio, then tables. The template is
`dia/resources/templates/report.html.j2`; this module builds its values from :class:`EvaluationResults`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dia.audio.files import flac_bytes
from dia.evaluation.comparison import Comparison
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.plots import distributions, heat_map, learning_curve, png_url, spectrogram
from dia.evaluation.published import Published
from dia.evaluation.results import DetectorResult, EvaluationResults, SuiteResult
from dia.evaluation.scoring import MetricOrigin, ScoredClip, SystemResult
from dia.evaluation.terminal import direction, format_result, measured_sentence
from dia.evaluation.verdicts import Verdict, verdicts_of
from dia.html import render_page

TAG_SCORES = ("tag_recall", "false_insertion", "net_tag_effect")
Rows = list[list[str]]


def render_report(results: EvaluationResults, published: Sequence[Published]) -> str:
    """Return the page as HTML; everything that comes from outside is escaped."""
    return render_page(
        "report.html.j2",
        title=f"Evaluation of {results.checkpoint or 'recorded systems'}",
        measured=measured_sentence(results),
        problems=results.problems,
        suites=[_suite_values(item) for item in results.suites],
        learning=results.learning,
        learning_plot=png_url(learning_curve(results.learning)) if results.learning else "",
        speed=results.speed,
        detector=results.detector,
        detector_rows=_detector_rows(results.detector),
        published_rows=[
            [
                item.test,
                item.system,
                item.metric,
                f"{item.value:g} {item.unit}".strip(),
                item.better,
                item.source,
            ]
            for item in published
        ],
        not_measured=_not_measured_rows(results),
        origins=[[name, origin.version, _models(origin)] for name, origin in results.origins.items()],
    )


def _suite_values(result: SuiteResult) -> dict[str, Any]:
    verdicts = [_verdict_values(verdict) for verdict in verdicts_of(result)]
    main = [item for item in verdicts if item["subject"] == verdicts[0]["subject"]]
    return {
        "name": result.suite.name,
        "about": f"{len(result.prompts)} prompts, {result.suite.seeds} "
        f"take{'s' * (result.suite.seeds > 1)} each",
        "verdicts": main,
        "other_verdicts": verdicts[len(main) :],
        "clips": _clips_by_prompt(result),
        "systems": [system.name for system in result.systems],
        "rows": _score_rows(result.systems),
        "failures": _failures(result.systems),
        **_tag_values(result.systems),
        "differences": [_difference_row(item) for item in _shown(result.comparisons)],
        "comparisons": len(result.comparisons),
        "distributions": _distributions(result.systems),
    }


def _verdict_values(verdict: Verdict) -> dict[str, str]:
    answer = verdict.answer
    kind = {"better": "better", "worse": "worse"}.get(answer, "same")
    return {"subject": verdict.subject, "answer": answer, "sentence": verdict.sentence(), "kind": kind}


def _clips_by_prompt(result: SuiteResult) -> list[dict[str, Any]]:
    """Return the takes of the first prompts of the suite, all systems side by side."""
    clips = [clip for system in result.systems for clip in system.clips]
    prompts = list(dict.fromkeys(clip.recording.prompt_id for clip in clips))[: result.suite.shown]
    groups = [[clip for clip in clips if clip.recording.prompt_id == prompt] for prompt in prompts]
    return [
        {"script": group[0].recording.script.render(), "takes": [_take_values(clip) for clip in group]}
        for group in groups
    ]


def _take_values(clip: ScoredClip) -> dict[str, Any]:
    recording = clip.recording
    words = clip.scores["wer"].values if "wer" in clip.scores else {}
    has_audio = len(recording.waveform) > 0
    return {
        "system": recording.system,
        "about": f"take {recording.seed + 1}, {recording.seconds:.1f} s",
        "flac": flac_bytes(recording.waveform, recording.sample_rate) if has_audio else b"",
        "spectrogram": png_url(spectrogram(recording)) if has_audio else "",
        "transcript": str(words.get("transcript", "")) or "(no words recognised)",
    }


def _score_rows(systems: Sequence[SystemResult]) -> Rows:
    """Return a row per result that at least one system has, without those of single tags and failures."""
    rows = []
    for name, result in _measured(systems).items():
        if "/" not in name or result.headline:
            cells = [format_result(system.metrics.get(name)) for system in systems]
            rows.append([result.title, direction(result), *cells])
    return rows


def _measured(systems: Sequence[SystemResult]) -> dict[str, MetricResult]:
    """Return the results by name that at least one system has, in the order of the registry."""
    names = dict.fromkeys(name for system in systems for name in system.metrics)
    results = {name: [system.metrics[name] for system in systems if name in system.metrics] for name in names}
    return {
        name: next(item for item in own if item.measured)
        for name, own in results.items()
        if any(item.measured for item in own)
    }


def _distributions(systems: Sequence[SystemResult]) -> str:
    """Return the box plots, empty where no clip has a score that they show."""
    figure = distributions({system.name: system.clips for system in systems})
    return png_url(figure) if figure else ""


def _failures(systems: Sequence[SystemResult]) -> list[str]:
    counts: dict[str, int] = {}
    for system in systems:
        for _, reason in system.failures:
            line = f"{system.name}: {reason}"
            counts[line] = counts.get(line, 0) + 1
    return [f"{line} ({count})" for line, count in counts.items()]


def _tag_values(systems: Sequence[SystemResult]) -> dict[str, Any]:
    """Return the scores of single tags as a table and a heat map."""
    measured = _measured(systems)
    tags = sorted(
        {name.partition("/")[2] for name in measured if name.startswith(("tag_recall/", "net_tag_effect/"))}
    )
    columns = [(system, score) for system in systems for score in TAG_SCORES]
    cells = [[system.metrics.get(f"{score}/{tag}") for system, score in columns] for tag in tags]
    titles = [f"{system.name}: {score.replace('_', ' ')}" for system, score in columns]
    values = [[item.measured.value if item and item.measured else None for item in row] for row in cells]
    rows = [[tag, *map(format_result, row)] for tag, row in zip(tags, cells, strict=True)]
    plot = png_url(heat_map(values, tags, [title.replace(": ", "\n") for title in titles])) if tags else ""
    return {"tag_titles": ["tag", *titles], "tag_rows": rows, "tag_plot": plot}


def _shown(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [item for item in comparisons if item.shown and "/" not in item.score]


def _difference_row(item: Comparison) -> list[str]:
    interval = "" if item.low is None else f" [{item.low:+.3g}, {item.high:+.3g}]"
    return [
        item.score.replace("_", " "),
        f"{item.first} - {item.second}",
        f"{item.difference:+.3g}{interval}",
        f"{item.p_holm:.4f}",
        str(item.prompts),
        "-" if item.prompts_needed is None else str(item.prompts_needed),
    ]


def _detector_rows(detector: DetectorResult) -> Rows:
    """Return the accuracy of the detector by tag: on the data's clips, and on recordings of people."""
    on_data = detector.to_json()["tags"]
    on_people = (detector.on_people or {}).get("tags", {})
    return [
        [tag, _accuracy(on_data.get(tag)), _accuracy(on_people.get(tag))]
        for tag in sorted({*on_data, *on_people})
    ]


def _accuracy(tag: Mapping[str, Any] | None) -> str:
    if tag is None:
        return "-"
    verdict = "" if tag["measurable"] else "; not measurable"
    counts = f"{tag['with_tag']} with, {tag['without_tag']} without"
    return f"sensitivity {tag['sensitivity']:.2f}, specificity {tag['specificity']:.2f} ({counts}){verdict}"


def _not_measured_rows(results: EvaluationResults) -> Rows:
    """Return every result without a value, with its reason and the suites and systems that lack it."""
    places: dict[tuple[str, str], list[str]] = {}
    for item in results.suites:
        for system in item.systems:
            for result in system.metrics.values():
                if isinstance(result.estimate, NotMeasured):
                    key = result.title, result.estimate.reason
                    places.setdefault(key, []).append(f"{item.suite.name} ({system.name})")
    rows = [["the whole suite", reason.reason, name] for name, reason in results.suites_not_measured.items()]
    return rows + [[title, reason, _shorten(own)] for (title, reason), own in places.items()]


def _shorten(places: Sequence[str]) -> str:
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def _models(origin: MetricOrigin) -> str:
    if isinstance(origin.models, NotMeasured):
        return str(origin.models)
    described = [
        ", ".join(f"{key} {value}" for key, value in vars(model).items() if value != "")
        for model in origin.models
    ]
    return "; ".join(described)
