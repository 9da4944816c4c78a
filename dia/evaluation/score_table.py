"""The scores of a suite in groups, a row each and a cell for each system, for the report and the terminal.

The first system is the one that the others are compared with. A cell says whether its system is better or
worse than the first: `shown` where a test shows it, else only where the interval excludes zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dia.evaluation.comparison import Comparison
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.published import Published
from dia.evaluation.results import SuiteResult
from dia.evaluation.score_format import (
    describe_unit,
    format_difference,
    format_ends,
    format_estimate,
    format_value,
)
from dia.evaluation.scoring import SystemResult
from dia.evaluation.verdicts import excludes_zero, rank_systems, seen_from, sign_of

BETTER, WORSE = "better", "worse"
MOST_PUBLISHED = 2  # results in a cell; the table of the group has all
BESIDE = {  # published metrics that stand in the cells of a score of the same kind
    "wer": "wer",
    "cpsim": "cpsim",
    "similarity": "similarity",
    "turn_accuracy": "turn_accuracy",
    "tag_recall": "tag_recall",
    "utmos": "utmos",
    "dnsmos_ovrl": "dnsmos_overall",
    "dnsmos_sig": "dnsmos_signal",
    "dnsmos_bak": "dnsmos_background",
}


@dataclass(frozen=True)
class Topic:
    """A group of scores: its title, the question that it answers, its metrics, and published metrics.

    A published metric belongs to the group whose ``published`` has the beginning of its name.
    """

    title: str
    question: str
    metrics: tuple[str, ...]
    published: tuple[str, ...] = ()


TOPICS = (
    Topic("Failures", "Is every clip complete and of the right text?", ("failures",)),
    Topic(
        "Words",
        "Are the words of the script spoken, as speech recognisers transcribe them?",
        ("wer", "second_wer", "recogniser_disagreement", "seed_tts_wer"),
        ("wer", "pcer"),
    ),
    Topic(
        "Voices and turns",
        "Is each turn spoken by the right voice?",
        (
            "similarity",
            "wavlm_similarity",
            "ecapa_similarity",
            "voice_identification",
            "cpwer",
            "cpsim",
            "turns",
            "zipvoice_wer",
        ),
        ("cpsim", "similarity", "voice", "turn_accuracy"),
    ),
    Topic(
        "Nonverbal sounds",
        "Does a tag such as (laughs) make its sound, and only there?",
        ("nonverbals",),
        ("tag_", "false_events", "human_tag", "llm_tag"),
    ),
    Topic(
        "Sound quality",
        "How natural does it sound, as models predict listeners to say?",
        ("mos", "dnsmos", "utmos"),
        ("mos", "imos", "utmos", "dnsmos", "human_naturalness", "human_quality", "llm_"),
    ),
    Topic(
        "Expression and pace",
        "Does the voice follow the script's emotion, and how fast does it speak?",
        ("arousal", "emotion", "prosody"),
        ("rtf", "speed"),
    ),
)
OTHER = Topic("Other scores", "", (), ("",))


@dataclass(frozen=True)
class ScoreCell:
    """One score of one system in words; empty parts are not shown.

    ``mark`` is `better` or `worse`, as ``difference`` from the first system says, and ``shown`` whether a
    test shows it. ``complete`` is the value of the takes that exist.
    """

    value: str
    interval: str = ""
    prompts: int = 0
    complete: str = ""
    difference: str = ""
    mark: str = ""
    shown: bool = False
    published: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreRow:
    """One score of all systems; ``primary`` scores decide between systems."""

    title: str
    unit: str
    primary: bool
    cells: tuple[ScoreCell, ...]


@dataclass(frozen=True)
class ScoreGroup:
    """Scores that answer one question: ``rows`` are shown, ``more`` on request, ``published`` beside."""

    title: str
    question: str
    rows: tuple[ScoreRow, ...]
    more: tuple[ScoreRow, ...]
    published: tuple[Published, ...]


@dataclass(frozen=True)
class ScoreTable:
    """All groups of a suite that have a measured score; ``systems`` are the columns."""

    systems: tuple[str, ...]
    groups: tuple[ScoreGroup, ...]


PublishedBySystem = Mapping[str, Sequence[Published]]


def score_table(result: SuiteResult, published: PublishedBySystem) -> ScoreTable:
    """Return the scores of a suite in groups, without those of single tags."""
    by_name = {system.name: system for system in result.systems}
    systems = [by_name[name] for name in rank_systems(list(by_name))]
    measured = {name: item for name, item in measured_results(systems).items() if _is_listed(name, item)}
    rows = {name: _row(name, item, systems, result, published) for name, item in measured.items()}
    primary = [name for name, row in rows.items() if row.primary]
    order = [*primary, *(name for name in rows if name not in primary)]
    groups = []
    for topic in (*TOPICS, OTHER):
        own = [name for name in order if _topic_of(measured[name]) is topic]
        first = [name for name in own if rows[name].primary or measured[name].headline]
        figures = [
            item
            for system in systems
            for item in published.get(system.name, ())
            if _topic_of_published(item) is topic
        ]
        if own or figures:
            groups.append(
                ScoreGroup(
                    topic.title,
                    topic.question,
                    tuple(rows[name] for name in first or own),
                    tuple(rows[name] for name in own if first and name not in first),
                    tuple(figures),
                )
            )
    return ScoreTable(tuple(system.name for system in systems), tuple(groups))


def measured_results(systems: Sequence[SystemResult]) -> dict[str, MetricResult]:
    """Return the results by name that at least one system has, in the order of the registry."""
    names = dict.fromkeys(name for system in systems for name in system.metrics)
    results = {name: [system.metrics[name] for system in systems if name in system.metrics] for name in names}
    return {
        name: next(item for item in own if item.measured)
        for name, own in results.items()
        if any(item.measured for item in own)
    }


def _is_listed(name: str, item: MetricResult) -> bool:
    return "/" not in name or item.headline


def _topic_of(item: MetricResult) -> Topic:
    return next((topic for topic in TOPICS if item.metric in topic.metrics), OTHER)


def _topic_of_published(item: Published) -> Topic:
    return next(topic for topic in (*TOPICS, OTHER) if item.metric.startswith(topic.published))


def _row(
    name: str,
    result: MetricResult,
    systems: Sequence[SystemResult],
    suite: SuiteResult,
    published: PublishedBySystem,
) -> ScoreRow:
    base = systems[0].name
    own = {frozenset((item.first, item.second)): item for item in suite.comparisons if item.score == name}
    cells = [
        _cell(system, name, own.get(frozenset((base, system.name))), published.get(system.name, ()))
        for system in systems
    ]
    primary = any(item.primary for item in own.values()) or name in suite.suite.primary
    return ScoreRow(result.title, describe_unit(result), primary, tuple(cells))


def _cell(
    system: SystemResult, name: str, comparison: Comparison | None, published: Sequence[Published]
) -> ScoreCell:
    result = system.metrics.get(name)
    beside = tuple(_describe_published(item) for item in published if BESIDE.get(item.metric) == name)
    if len(beside) > MOST_PUBLISHED:
        beside = (
            *beside[:MOST_PUBLISHED],
            f"and {len(beside) - MOST_PUBLISHED} more published results below",
        )
    if result is None or result.measured is None:
        return ScoreCell("-", published=beside)
    estimate, complete = result.measured, result.complete
    difference, mark, shown = _compare(system.name, result, comparison)
    return ScoreCell(
        format_value(estimate.value, result.unit),
        format_ends(estimate.low, estimate.high, result.unit),
        estimate.prompts,
        _describe_complete(complete, result.unit) if complete else "",
        difference,
        mark,
        shown,
        beside,
    )


def _compare(system: str, result: MetricResult, comparison: Comparison | None) -> tuple[str, str, bool]:
    """Return difference, mark, and whether a test shows it; all empty where nothing is to be said."""
    if comparison is None:
        return "", "", False
    own = seen_from(system, comparison)
    if not own.shown and not excludes_zero(own.low, own.high):
        return "", "", False
    sign = sign_of(own.difference, result)
    mark = BETTER if sign > 0 else WORSE if sign < 0 else ""
    return format_difference(own.difference, result.unit), mark, own.shown


def _describe_complete(complete: MetricResult, unit: str) -> str:
    return format_estimate(complete.measured, unit) if complete.measured else "-"


def _describe_published(item: Published) -> str:
    return f"published: {item.system} {format_published(item)} ({item.source})"


def format_published(item: Published) -> str:
    """Return a published value with its unit."""
    return f"{item.value:g} %" if item.unit == "percent" else f"{item.value:g}"
