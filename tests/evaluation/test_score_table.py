"""Scores in groups: units, n, better or worse by sign, and published results beside systems of their name."""

import io

import numpy as np
import pytest
from rich.console import Console

from dia.evaluation.cache import ContentCache
from dia.evaluation.metrics.protocol import contributions_of
from dia.evaluation.metrics.registry import METRICS
from dia.evaluation.metrics.result import PERCENT, summarise_ratio
from dia.evaluation.published import load_published, published_of
from dia.evaluation.report import published_by_system, render_report
from dia.evaluation.results import EvaluationResults
from dia.evaluation.score_table import TOPICS, score_table
from dia.evaluation.sentences import explain
from dia.evaluation.terminal_report import print_report
from dia.evaluation.verdicts import main_verdict
from tests.evaluation.loudness import Loudness, results_of, system_of


class Words(Loudness):
    """Loudness under the name of a metric that the report knows, with a result in percent."""

    name = "wer"

    def summarise(self, clips):
        rate = summarise_ratio("wer", contributions_of(clips, "level"), "no clip", -1, unit=PERCENT)
        return [*super().summarise(clips), rate]


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path)


def systems(cache, names, shift=0.2, metrics=(Words(),)):
    rng = np.random.default_rng(0)
    levels = rng.uniform(0.1, 0.2, 12)
    return [
        system_of(name, levels + shift * place + rng.normal(0, 0.01, 12), cache, metrics=metrics)
        for place, name in enumerate(names)
    ]


def table_of(cache, *names, published=None, **settings):
    (result,) = results_of(*systems(cache, names, **settings)).suites
    return score_table(result, published or {})


def test_groups_have_questions_units_n_and_intervals(cache):
    table = table_of(cache, "model", "other")
    failures, words = table.groups
    assert (failures.title, words.title) == ("Failures", "Words") and words.question.endswith("?")
    row = next(row for row in words.rows if row.title == "loudness")
    assert row.unit == "higher is better" and row.primary
    assert all(cell.prompts == 12 and " to " in cell.interval for cell in row.cells)
    (row,) = failures.rows
    assert row.unit == "%, lower is better" and row.cells[0].value == "0 %"


def test_a_cell_is_better_or_worse_than_the_first_system(cache):
    table = table_of(cache, "other", "model", "third")
    assert table.systems == ("model", "other", "third")  # the evaluated model is first
    row = next(row for group in table.groups for row in group.rows if row.title == "loudness")
    own, other, third = row.cells
    assert not own.mark and (other.mark, third.mark) == ("worse", "better")
    assert other.difference.startswith("-0.") and third.difference.startswith("+0.")
    assert other.shown and third.shown


def test_a_metric_that_no_group_knows_is_among_the_other_scores(cache):
    table = table_of(cache, "model", "other", metrics=(Loudness(),))
    assert [group.title for group in table.groups] == ["Failures", "Other scores"]


def test_every_metric_has_a_group():
    known = {name for topic in TOPICS for name in topic.metrics}
    names = {"wer", "second_wer", "recogniser_disagreement", "mos", "dnsmos", "utmos", "turns", "nonverbals"}
    assert names <= known and len(known) == len(METRICS)


@pytest.mark.parametrize(
    ("name", "wanted", "unwanted"),
    [
        ("elevenlabs", "ElevenLabs v3", "Dia"),
        ("dia_transformers", "Dia-0626", "CSM"),
        ("nari-labs/Dia-1.6B-0626", "Dia-0626", "Dia"),
        ("sesame_csm", "CSM", "Dia"),
        ("Orpheus", "Orpheus", "CSM"),
    ],
)
def test_published_results_belong_to_systems_of_their_name(name, wanted, unwanted):
    matches = {item.system for item in published_of(name, load_published())}
    assert wanted in matches and unwanted not in matches


@pytest.mark.parametrize("name", ["model", "dia_nano", "", "/", "baseline", "日本語", "v3"])
def test_no_published_result_belongs_to_another_name(name):
    assert published_of(name, load_published()) == []


def test_published_results_are_beside_the_system_with_their_protocol(cache):
    results = results_of(*systems(cache, ("model", "elevenlabs")))
    page = render_report(results, load_published())
    protocol = next(item.condition for item in load_published() if item.system == "ElevenLabs Flash")
    own = page.index("Published results of these systems")
    others = page.index("Published results of other systems")
    assert own < page.index(protocol.partition(";")[0]) < others
    assert (
        "published: ElevenLabs Flash 2.59 % (DSM-TTS (Kyutai))" in page
        and "more published results below" in page
    )
    table = score_table(results.suites[0], published_by_system(results, load_published()))
    assert {item.system for group in table.groups for item in group.published} >= {"ElevenLabs Flash"}


def test_the_terminal_prints_what_the_report_says(cache):
    results: EvaluationResults = results_of(*systems(cache, ("a", "b", "elevenlabs")), checkpoint="")
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    print_report(results, load_published(), console)
    text = console.file.getvalue()
    (result,) = results.suites
    words = explain(main_verdict(result), result)
    page = render_report(results, load_published())
    for part in (words.answer, words.certainty, words.basis, "better than every other system"):
        assert part in text and part in page, part
    places = [text.index(part) for part in (words.answer, "quick: Words", "▲ better (+", "Suite quick")]
    assert places[-1] < places[0] < places[1] < places[2]
    assert "published: ElevenLabs Flash" in text
