from dataclasses import replace

import numpy as np
import pytest

from dia.config.judges import JudgesConfig
from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.metrics.registry import build_metrics
from dia.evaluation.prompts import suite_prompts
from dia.evaluation.suites import PRIMARY, Suite, load_suites, suite_of
from dia.evaluation.turn_alignment import match_words, times_of_turns
from dia.judges.events import Calibration, calibrate
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
    scores = [{"laughs": 0.9, "sighs": 0.5}] * 10 + [{"laughs": 0.1, "sighs": 0.5}] * 10
    found = calibrate(scores, [{"laughs", "sighs"}] * 10 + [set()] * 10)
    assert found["laughs"].measurable and found["laughs"].sensitivity == 1 and not found["sighs"].measurable
    few = calibrate(scores[5:15], [{"laughs", "sighs"}] * 5 + [set()] * 5)["laughs"]
    assert few.sensitivity == few.specificity == 1 and not few.measurable


def test_the_interval_of_a_detector_s_value_is_newcombe_s():
    """56 of 70 against 48 of 80: Newcombe 1998, table II (a), method 10."""
    assert Calibration(0.5, 0.8, 0.4, 70, 80).least_informedness == pytest.approx(0.0524, abs=5e-5)


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
        (
            {"split": "test", "prompts": 1, "seeds": 1, "shown": 1, "without": "mos", "primary": [1]},
            ["without='mos'", "primary=[1]"],
        ),
        (
            {"file": "voices", "prompts": 1, "seeds": 1, "shown": 1, "versions": "tags"},
            ["versions, which apply to a split only"],
        ),
        ({"split": "test", "prompts": 1, "seeds": 1, "shown": 1, "versions": "loud"}, ["versions='loud'"]),
        (
            {
                "file": "f",
                "prompts": 1,
                "seeds": 1,
                "shown": 1,
                "protocols": {
                    "a": {"pieces": 3},
                    "b": {"piece_seconds": -1, "retries": 0.5},
                    "c": {"context": True},
                    "d": {"context": 1},
                },
            },
            [
                "protocols.a has the unknown key pieces",
                "b.piece_seconds=-1",
                "b.retries=0.5",
                "c has a context, which needs pieces",
                "d.context=1",
            ],
        ),
        ({"file": "f", "prompts": 1, "seeds": 1, "shown": 1, "protocols": ["a"]}, ["protocols must be"]),
    ],
)
def test_all_problems_of_a_suite_are_reported_at_once(content, problems):
    with pytest.raises(UserError) as caught:
        suite_of("wrong", content)
    for part in problems:
        assert part in str(caught.value), part


def test_the_shipped_suites_load_and_full_contains_all_of_them():
    (quick,) = load_suites("quick")
    primary = ("wer", "similarity", "mos", "failed")
    without = ("second_wer", "recogniser_disagreement", "dnsmos", "prosody")
    assert quick == Suite("quick", 48, 1, 6, split="test", without=without, primary=primary)
    assert quick.limited(0, 3) == replace(quick, seeds=3)
    names = {metric.name for metric in build_metrics(JudgesConfig(), {})}
    assert all(set(suite.without) <= names for suite in [quick, *load_suites("full")])
    names = {path.stem for path in resource("eval/suites").glob("*.yaml")}
    assert {suite.name for suite in load_suites("full")} == names - {
        "quick",
        "full",
        "protocols",
        "plays",
        "cloning",
    }
    assert load_suites("mine/own.jsonl") == [Suite("own", 0, 3, 4, file="mine/own.jsonl", primary=PRIMARY)]
    for suite in [*load_suites("full"), *load_suites("protocols"), *load_suites("plays")]:
        assert not suite.file or suite_prompts(suite.file)


def test_every_suite_declares_a_few_primary_scores_that_have_a_direction():
    directions = {
        result.name: result.better
        for metric in build_metrics(JudgesConfig(), {})
        for result in metric.summarise([])
    }
    own = load_suites("mine/own.jsonl")
    for suite in [*own, *load_suites("quick"), *load_suites("full"), *load_suites("protocols")]:
        assert 1 < len(suite.primary) <= 5
        assert all(directions[name] for name in suite.primary), suite


@pytest.mark.parametrize("own, limit, most", [(48, 0, 48), (48, 5, 5), (48, 99, 48), (0, 5, 5), (0, 0, 0)])
def test_a_limit_never_enlarges_a_suite(own, limit, most):
    assert Suite("s", own, 2, 1, split="test").limited(limit, 0) == Suite("s", most, 2, 1, split="test")


def test_an_unknown_suite_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match="quick"):
        load_suites("nope")
