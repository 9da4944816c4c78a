"""Report, terminal and scores.json are rendered from one results object; the answer is in plain words."""

import io
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dia.evaluation.cache import ContentCache
from dia.evaluation.coverage import unmeasured_sentences
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.not_measured import NOT_CHOSEN, NotMeasured
from dia.evaluation.published import load_published
from dia.evaluation.report import render_report
from dia.evaluation.results import GenerationSpeed, LearningCurve
from dia.evaluation.suites import Suite
from dia.evaluation.terminal import headline_table, next_commands, print_results
from dia.evaluation.verdicts import verdicts_of
from tests.evaluation.loudness import METRICS, prompt, results_of, system_of


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path)


def test_the_page_escapes_and_states_what_was_not_measured(cache):
    results = results_of(
        system_of("<model>", [0.2, 0.6, 0.4], cache, [(prompt(0), "<b>bad</b>")]),
        system_of("truth", [0.3, 0.5, 0.7], cache),
        checkpoint="x<y",
        problems=("<i>hash</i>",),
        suites_not_measured={"full": NotMeasured("no clips")},
        speed=GenerationSpeed(2, 5.0, 3.0),
    )
    page = render_report(results, load_published())
    for text in (
        "x&lt;y",
        "&lt;b&gt;bad&lt;/b&gt;",
        "&lt;i&gt;hash&lt;/i&gt;",
        "no model is named",
        "no clips",
        "3.00 times real time",
        escape(load_published()[0].system),
        escape(load_published()[0].test),
    ):
        assert text in page, text
    assert "<b>bad" not in page and "<model>" not in page and page.count("data:audio/flac") == 4
    assert 'src="http' not in page and 'href="http' not in page and 'name="viewport"' in page


def test_the_answer_is_first_and_audio_is_before_tables(cache):
    page = render_report(results_of(*two_systems(cache, 0.3)), [])
    parts = ("model is better than baseline", "data:audio/flac", "<table", "What was not measured, and why (")
    places = [page.index(text) for text in parts]
    assert places == sorted(places)


def two_systems(cache, difference, prompts=12):
    rng = np.random.default_rng(0)
    levels = rng.uniform(0.2, 0.4, prompts)
    changed = levels + difference + rng.normal(0, 0.02, prompts)
    return system_of("baseline", levels, cache), system_of("model", changed, cache)


def test_the_model_is_the_subject_and_references_come_last(cache):
    levels = np.linspace(0.2, 0.4, 5)
    names = ("ground truth", "codec round trip", "baseline", "model", "other")
    (result,) = results_of(*(system_of(name, levels, cache) for name in names)).suites
    pairs = [(verdict.subject, verdict.other) for verdict in verdicts_of(result)]
    assert pairs[:4] == [
        ("model", "baseline"),
        ("model", "other"),
        ("model", "codec round trip"),
        ("model", "ground truth"),
    ]
    assert len(pairs) == 9 and ("codec round trip", "ground truth") not in pairs


def printed(results):
    console = Console(width=200, file=io.StringIO())
    print_results(results, Path("report.html"), console)
    return console.file.getvalue()


def test_the_terminal_ends_with_what_was_measured_the_answer_the_report_and_commands(cache):
    curve = LearningCurve([(1, 5.0), (2, 4.25)], [], 4.5)
    text = printed(results_of(*two_systems(cache, 0.0), learning=curve, speed=GenerationSpeed(2, 5.0, 3.0)))
    for part in (
        "Training loss 4.250 nats",
        "3.00 times real time",
        "4 of 10 takes and scores came from the cache",
        "Measured on the suite quick (12 prompts): baseline, model.",
        "cannot be decided with 12 prompts whether",
        str(Path("report.html").resolve()),
    ):
        assert part in text, part
    assert text.count("\n  python -m dia.") == 3 and "ckpt=runs/one" in text


def test_the_terminal_states_which_of_three_systems_is_best(cache):
    levels = np.linspace(0.2, 0.4, 12)
    shifts = {"a": 0, "b": 0.3, "c": 0}
    results = results_of(*(system_of(name, levels + shift, cache) for name, shift in shifts.items()))
    assert "\nquick: b is better than every other system: a and c.\nquick: " in printed(results)


def test_the_terminal_states_why_a_primary_score_has_no_value(cache):
    results = results_of(*two_systems(cache, 0.1))
    (result,) = results.suites
    primary = replace(result.suite, primary=("loudness", "utmos"))
    text = printed(replace(results, suites=(replace(result, suite=primary),)))
    assert "\n  utmos is not measured: no model is named.\n" in text and "loudness is not" not in text
    left_out = [*METRICS[:1], UnavailableMetric("utmos", NOT_CHOSEN)]
    system = system_of("model", [0.2, 0.3], cache, metrics=left_out)
    (result,) = results_of(system, metrics=left_out).suites
    assert unmeasured_sentences(replace(result, suite=primary)) == []


def test_one_system_alone_has_nothing_to_compare_with(cache):
    results = results_of(system_of("model", [0.2, 0.3], cache))
    assert "no second system to compare with" in printed(results)
    assert "no second system to compare with" in render_report(results, [])


def test_commands_after_recordings_alone_do_not_name_a_checkpoint_that_is_missing(cache):
    results = results_of(system_of("other", [0.2], cache), checkpoint="", recordings=("outputs/o/1", "o/2"))
    assert next_commands(results)[0] == "python -m dia.eval listen outputs/o/1 o/2 out=listen.html"


def test_a_listening_test_is_suggested_for_two_recordings_not_for_one(cache):
    results = results_of(system_of("other", [0.2], cache), checkpoint="", recordings=("outputs/o/1",))
    assert not any(" listen " in command for command in next_commands(results))


def test_commands_after_recordings_name_the_file_of_ones_own_prompts(cache):
    results = results_of(system_of("other", [0.2], cache), checkpoint="", recordings=("outputs/o/1",))
    (result,) = results.suites
    own = Suite("my prompts", 0, 3, 4, file="a folder/my prompts.jsonl")
    results = replace(results, suites=(replace(result, suite=own),))
    assert next_commands(results)[0].endswith("suite='a folder/my prompts.jsonl'")


def test_the_page_states_the_takes_that_exist_not_those_of_the_suite(cache):
    results = results_of(
        system_of("one", [0.2, 0.3], cache), system_of("other", [0.3], cache, [(prompt(1), "lost")] * 3)
    )
    (result,) = results.suites
    own = replace(result, suite=Suite("own", 0, 3, 4, file="own.jsonl"))
    page = render_report(replace(results, suites=(own,)), load_published())
    assert "2 prompts, 1 to 3 takes each" in page
    assert own.takes("one") == (1, 1) and own.takes() == (1, 3)


def test_the_table_has_headline_results_only(cache):
    (result,) = results_of(*two_systems(cache, 0.1)).suites
    table = headline_table(result)
    assert list(table.columns[0].cells) == [
        "takes that failed (%, lower is better)",
        "loudness (higher is better)",
    ]
