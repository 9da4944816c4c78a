from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dia.config.judges import JudgesConfig
from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.metrics.registry import build_metrics
from dia.evaluation.prompts import suite_prompts
from dia.evaluation.statistics import difference_of_rates, estimate_mean, estimate_rate
from dia.evaluation.suites import Suite, load_suites, suite_of
from dia.evaluation.turn_alignment import match_words, times_of_turns
from dia.judges.events import calibrate
from dia.judges.transcription import RecognisedWord
from dia.judges.words import transcript_words, word_errors
from dia.resources import resource

SCRIPT = Script.parse("[S1] I feel very tired. (laughs) [S2] Are you hungry?")


def test_laughter_is_no_insertion_and_a_tag_read_aloud_is_counted():
    assert word_errors(SCRIPT, "I feel very tired. Ha ha ha! Are you hungry?").errors == 0
    spoken = word_errors(SCRIPT, "I feel very tired laughs are you hungry")
    assert (spoken.errors, spoken.spoken_tags, spoken.words) == (1, 1, 7)
    assert word_errors(SCRIPT, "").rate == 1.0


@pytest.mark.parametrize(
    "laughter", ["Ha ha!", "hahaha", "hahah", "hehe", "he he he", "heheh.", "Hee hee", "ho, ho, ho", "ha"]
)
def test_laughter_counts_on_neither_side(laughter):
    assert word_errors(SCRIPT, f"I feel very tired. {laughter} Are you hungry?").errors == 0
    written = Script.parse(f"[S1] I feel very tired. {laughter} [S2] Are you hungry?")
    assert word_errors(written, "I feel very tired. Are you hungry?").errors == 0


@pytest.mark.parametrize("text", ["he had a hat", "her house", "aha that is it", "hey hello"])
def test_words_like_laughter_stay(text):
    assert len(transcript_words(text)) == len(text.split())


@pytest.mark.parametrize("heard", ["seven nine twelve", "7, 9, 12", "7912"])
def test_numbers_in_a_row_cost_nothing(heard):
    script = Script.parse("[S1] The code is seven nine twelve.")
    assert word_errors(script, f"The code is {heard}").errors == 0
    assert word_errors(script, "The code is 7913").errors == 1


def test_tags_read_aloud_in_any_spelling_are_counted_and_words_of_the_script_are_not():
    assert word_errors(SCRIPT, "I feel very tired clears her throat are you hungry laughing").spoken_tags == 2
    assert (
        word_errors(Script.parse("[S1] They sing and laugh. (laughs)"), "They sing and laugh").spoken_tags
        == 0
    )
    assert word_errors(Script.parse("[S1] They laugh. (coughs)"), "They coughs").spoken_tags == 1


def turns_of(script, recognised):
    return times_of_turns(match_words(script, recognised), len(script.turns))


def test_turns_are_located_by_amounts():
    script = Script.parse("[S1] Twenty dollars. [S2] Thirty?")
    for words in (["Twenty", "dollars", "thirty"], ["$20.", "30?"]):
        heard = [RecognisedWord(word, float(place), place + 0.5) for place, word in enumerate(words)]
        found = turns_of(script, heard)
        assert found[0] is not None and found[1] == (float(len(words) - 1), len(words) - 0.5)


def test_turns_are_located_by_their_words():
    said = ["I", "feel", "very", "tired", "are", "hungry"]
    heard = [RecognisedWord(f" {word}", float(place), place + 0.9) for place, word in enumerate(said)]
    assert turns_of(SCRIPT, heard) == [(0.0, 3.9), (4.0, 5.9)]
    assert turns_of(SCRIPT, heard[:2]) == [(0.0, 1.9), None] and turns_of(SCRIPT, []) == [None, None]


def test_interval_matches_scipy():
    values = np.random.default_rng(0).normal(3, 1, 60)
    ours = estimate_mean(list(values), [str(number) for number in range(60)])
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=0
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.03) and ours.high == pytest.approx(
        theirs.high, abs=0.03
    )


def test_takes_of_one_prompt_do_not_narrow_the_interval():
    values = np.random.default_rng(0).normal(3, 1, 20)
    once = estimate_mean(list(values), [str(number) for number in range(20)])
    thrice = estimate_mean(list(np.repeat(values, 3)), [str(number) for number in np.repeat(range(20), 3)])
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high)) and thrice.prompts == 20


@pytest.mark.parametrize("hits, trials", [(7, 7), (0, 5), (3, 10), (56, 70)])
def test_interval_of_a_rate_matches_scipy(hits, trials):
    ours = estimate_rate([1.0] * hits + [0.0] * (trials - hits), [str(number) for number in range(trials)])
    theirs = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (hits / trials, theirs.low, theirs.high), abs=1e-6
    )


def test_interval_of_a_difference_is_the_published_one():
    """Newcombe 1998, table II, 56 of 70 against 48 of 80, method 10."""
    rates = [
        estimate_rate([1.0] * hits + [0.0] * (trials - hits), [str(number) for number in range(trials)])
        for hits, trials in ((56, 70), (48, 80))
    ]
    found = difference_of_rates(*rates)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_seeds_of_one_prompt_do_not_narrow_a_rate():
    once, thrice = (estimate_rate([1.0, 0.0, 1.0] * seeds, ["a", "b", "c"] * seeds) for seeds in (1, 3))
    assert (once.low, once.high) == (thrice.low, thrice.high) and thrice.clips == 9


def test_calibration_of_noise_does_not_look_informed():
    """Chosen and stated on the same clips, a threshold on noise would look better than random."""
    random = np.random.default_rng(0)
    stated = []
    for _ in range(40):
        scores = [{"laughs": float(value)} for value in random.random(40)]
        found = calibrate(scores, [{"laughs"} if number < 10 else set() for number in range(40)])["laughs"]
        stated.append(found.sensitivity + found.specificity - 1)
    assert abs(np.mean(stated)) < 0.1


def test_calibration_marks_tags_that_it_cannot_measure():
    scores = [{"laughs": 0.9, "sighs": 0.5}] * 5 + [{"laughs": 0.1, "sighs": 0.5}] * 5
    found = calibrate(scores, [{"laughs", "sighs"}] * 5 + [set()] * 5)
    assert found["laughs"].measurable and found["laughs"].sensitivity == 1 and not found["sighs"].measurable


@pytest.mark.parametrize(
    "content, problems",
    [
        (None, ["has no keys"]),
        ([1], ["has no keys"]),
        (
            {"split": 3, "prompts": "many", "seeds": True, "shown": -1, "colour": 1},
            ["split=3", "prompts='many'", "seeds=True", "shown=-1", "unknown key colour"],
        ),
        ({"split": "test", "prompts": 1.5, "seeds": 0}, ["prompts=1.5", "seeds=0", "lacks shown"]),
        ({"split": "test", "file": "voices", "prompts": 1, "seeds": 1, "shown": 1}, ["either split"]),
        ({"split": "test", "prompts": 1, "seeds": 1, "shown": 1, "without": "mos"}, ["without='mos'"]),
        (
            {"file": "voices", "prompts": 1, "seeds": 1, "shown": 1, "versions": "tags"},
            ["versions, which apply to a split only"],
        ),
        ({"split": "test", "prompts": 1, "seeds": 1, "shown": 1, "versions": "loud"}, ["versions='loud'"]),
    ],
)
def test_all_problems_of_a_suite_are_reported_at_once(content, problems):
    with pytest.raises(UserError) as caught:
        suite_of("wrong", content)
    for part in problems:
        assert part in str(caught.value), part


def test_the_shipped_suites_load_and_full_contains_all_of_them():
    (quick,) = load_suites("quick")
    assert quick == Suite("quick", 48, 1, 6, split="test", without=("second_wer", "dnsmos", "prosody"))
    assert quick.limited(0, 3) == replace(quick, seeds=3)
    names = {metric.name for metric in build_metrics(JudgesConfig(), {})}
    assert all(set(suite.without) <= names for suite in [quick, *load_suites("full")])
    names = {path.stem for path in resource("eval/suites").glob("*.yaml")}
    assert {suite.name for suite in load_suites("full")} == names - {"quick", "full"}
    assert load_suites("mine/own.jsonl") == [Suite("own", 0, 3, 4, file="mine/own.jsonl")]
    for suite in load_suites("full"):
        assert not suite.file or suite_prompts(suite.file)


@pytest.mark.parametrize("own, limit, most", [(48, 0, 48), (48, 5, 5), (48, 99, 48), (0, 5, 5), (0, 0, 0)])
def test_a_limit_never_enlarges_a_suite(own, limit, most):
    assert Suite("s", own, 2, 1, split="test").limited(limit, 0) == Suite("s", most, 2, 1, split="test")


def test_an_unknown_suite_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match="quick"):
        load_suites("nope")
