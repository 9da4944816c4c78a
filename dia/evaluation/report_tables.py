"""Rows of the report's tables: differences, single tags, the detector, published results, what is missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dia.evaluation.comparison import Comparison
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.plots import distributions, heat_map, png_url
from dia.evaluation.published import Published
from dia.evaluation.results import DetectorResult, EvaluationResults, SuiteResult
from dia.evaluation.score_format import format_difference, format_ends, format_p, format_result
from dia.evaluation.score_table import format_published, measured_results
from dia.evaluation.scoring import MetricOrigin, SystemResult

TAG_SCORES = {  # of single tags
    "tag_recall": "audible with the tag",
    "false_insertion": "audible without it",
    "net_tag_effect": "net effect",
}
Rows = list[list[str]]


def difference_rows(result: SuiteResult) -> dict[str, Any]:
    """Return the rows of tested and of exploratory differences, and how many tests show one."""
    titles = measured_results(result.systems)
    tested = [item for item in result.comparisons if item.primary]
    others = [item for item in result.comparisons if not item.primary and "/" not in item.score]
    return {
        "tested": [[*_difference_cells(item, titles), *_test_cells(item)] for item in tested],
        "shown": sum(item.shown for item in tested),
        "exploratory": [_difference_cells(item, titles) for item in others],
    }


def _difference_cells(item: Comparison, results: Mapping[str, MetricResult]) -> list[str]:
    unit = results[item.score].unit if item.score in results else ""
    title = results[item.score].title if item.score in results else item.score
    text = format_difference(item.difference, unit)
    if ends := format_ends(item.low, item.high, unit, signed=True):
        text += f" ({ends})"
    complete = item.complete_case
    if complete is not None and complete.difference is not None:
        text += f"; {format_difference(complete.difference, unit)} on the {complete.prompts} prompts of both"
    return [title, f"{item.first} - {item.second}", text, str(item.prompts)]


def _test_cells(item: Comparison) -> list[str]:
    p_holm = "-" if item.p_holm is None else format_p(item.p_holm)
    return [p_holm, "-" if item.prompts_needed is None else f"{item.prompts_needed:,}"]


def failure_lines(systems: Sequence[SystemResult]) -> list[str]:
    """Return the reasons of failed takes with their counts."""
    counts = Counter(f"{system.name}: {reason}" for system in systems for _, reason in system.failures)
    return [f"{line} ({count})" for line, count in counts.items()]


def tag_table(systems: Sequence[SystemResult]) -> dict[str, Any]:
    """Return the scores of single tags as a table and a heat map."""
    measured = measured_results(systems)
    tags = sorted(
        {name.partition("/")[2] for name in measured if name.startswith(("tag_recall/", "net_tag_effect/"))}
    )
    columns = [(system, score) for system in systems for score in TAG_SCORES]
    cells = [[system.metrics.get(f"{score}/{tag}") for system, score in columns] for tag in tags]
    titles = [f"{system.name}: {TAG_SCORES[score]}" for system, score in columns]
    values = [[item.measured.value if item and item.measured else None for item in row] for row in cells]
    rows = [[tag, *map(format_result, row)] for tag, row in zip(tags, cells, strict=True)]
    plot = png_url(heat_map(values, tags, [title.replace(": ", "\n") for title in titles])) if tags else ""
    return {"tag_titles": ["tag", *titles], "tag_rows": rows, "tag_plot": plot}


def distributions_url(systems: Sequence[SystemResult]) -> str:
    """Return the box plots, empty where no clip has a score that they show."""
    figure = distributions({system.name: system.clips for system in systems})
    return png_url(figure) if figure else ""


def published_rows(published: Sequence[Published]) -> Rows:
    """Return published results with the protocol that each was measured by."""
    return [
        [
            item.system,
            f"{item.metric.replace('_', ' ')} {format_published(item)}",
            f"{item.unit}, {item.better} is better",
            f"{item.test}: {item.condition}",
            f"{item.source} ({item.where}; {item.confidence})",
        ]
        for item in published
    ]


def detector_rows(detector: DetectorResult) -> Rows:
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


def not_measured_rows(results: EvaluationResults) -> Rows:
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


def origin_rows(results: EvaluationResults) -> Rows:
    """Return each metric with its version and its models."""
    return [[name, origin.version, _models(origin)] for name, origin in results.origins.items()]


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
