"""Verdicts in plain words: the answer, how sure it is, what it rests on; which of several systems is best."""

import numpy as np
import pytest

from dia.evaluation.cache import ContentCache
from dia.evaluation.score_format import format_difference, format_ends, format_value, plain_list
from dia.evaluation.sentences import describe, explain, overall_sentence
from dia.evaluation.verdicts import main_verdict, verdicts_of
from tests.evaluation.loudness import prompt, results_of, system_of
from tests.evaluation.test_report import two_systems


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path)


def explained(systems):
    (result,) = results_of(*systems).suites
    return explain(main_verdict(result), result)


@pytest.mark.parametrize(
    ("difference", "answer", "certainty"),
    [
        (0.3, "model is better than baseline.", "differ this much in fewer than 1 of 1,000"),
        (-0.1, "model is worse than baseline.", "differ this much in fewer than 1 of 1,000"),
        (
            0.0,
            "It cannot be decided with 12 prompts whether model or baseline is better.",
            "about 126 prompts would decide the clearest difference, loudness (-0.00501)",
        ),
    ],
)
def test_a_verdict_is_an_answer_its_certainty_and_its_basis(cache, difference, answer, certainty):
    words = explained(two_systems(cache, difference))
    assert words.answer == answer
    assert words.certainty.startswith("How sure: ") and certainty in words.certainty
    assert words.scores.endswith("in 1 of 2 tested scores (loudness).") == (difference != 0)
    assert words.basis == "On what: 12 prompts of the suite quick, 1 take each."


def test_the_numbers_come_after_the_sentences_and_have_intervals(cache):
    words = explained(two_systems(cache, 0.3))
    assert "interval" not in words.text() and any(
        line.startswith("loudness: +0.295, 95 % interval +0.") for line in words.numbers
    )


def test_the_sentences_of_a_verdict_are_short(cache):
    for difference in (0.3, 0.0, -0.1):
        words = explained(two_systems(cache, difference))
        for sentence in (words.answer, words.certainty, words.basis):
            assert all(len(part) < 200 for part in sentence.split(". "))


def test_too_few_prompts_for_any_test_are_named_with_the_number_that_is_needed(cache):
    words = explained(two_systems(cache, 0.3, prompts=5))  # the smallest p of five prompts is 2 / 2**5
    assert words.answer.startswith("It cannot be decided with 5 prompts")
    assert "1 test needs at least 6 prompts" in words.certainty


def test_systems_without_a_shared_prompt_are_not_compared(cache):
    one = system_of("model", [0.2, 0.3], cache)
    other = system_of("other", [0.2], cache)
    (result,) = results_of(one, other).suites
    verdict = main_verdict(result)
    empty = type(verdict)(verdict.suite, verdict.subject, verdict.other, 0, 0, ())
    words = explain(empty, result)
    assert words.answer.startswith("model and other cannot be compared") and not words.certainty


def test_missing_takes_that_make_the_difference_are_said_to(cache):
    levels = np.linspace(0.2, 0.4, 8)
    half = system_of("model", levels, cache, [(prompt(number), "left out") for number in range(8, 16)])
    whole = system_of("baseline", [*levels, *levels], cache)
    (result,) = results_of(half, whole).suites
    verdict = main_verdict(result)
    for item in verdict.differences:
        assert "of which both have takes" not in describe(item) or item.complete_case is not None


def three(cache, *shifts):
    rng = np.random.default_rng(0)
    levels = rng.uniform(0.2, 0.4, 12)
    noise = [rng.normal(0, 0.01, 12) for _ in shifts]
    return [
        system_of(name, levels + shift + own, cache)
        for name, shift, own in zip("abc", shifts, noise, strict=True)
    ]


@pytest.mark.parametrize(
    ("shifts", "sentence"),
    [
        ((0.3, 0.0, 0.1), "a is better than every other system: b and c."),
        ((0.0, 0.3, 0.1), "b is better than every other system: a and c."),
        ((0.3, 0.3, 0.0), "No system is better than all others. Not shown to be worse than any: a and b."),
        ((0.0, 0.0, 0.0), "No system is shown to be better than another."),
    ],
)
def test_the_best_of_three_systems_is_named_if_there_is_one(cache, shifts, sentence):
    (result,) = results_of(*three(cache, *shifts)).suites
    assert overall_sentence(verdicts_of(result)) == sentence


def test_two_systems_need_no_overall_sentence(cache):
    (result,) = results_of(*two_systems(cache, 0.3)).suites
    assert overall_sentence(verdicts_of(result)) == ""


def test_values_have_units_and_differences_of_percentages_are_points():
    assert format_value(0.553, "%") == "55.3 %" and format_difference(0.453, "%") == "+45.3 points"
    assert format_difference(-1.0, "points") == "-100 points" and format_value(3.14159, "1 to 5") == "3.14"
    assert format_value(-1e-17, "%") == "0 %" and format_difference(0.0) == "0"
    assert format_ends(0.05, 0.16, "%") == "5 to 16" and format_ends(None, 1.0) == ""
    assert format_ends(-0.05, 0.16, "%", signed=True) == "-5 to +16"


def test_lists_read_as_a_sentence():
    assert [plain_list(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
