import json

import numpy as np
import pytest
from scipy import stats

from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.events import calibrate
from dia.evaluation.recording import Recording
from dia.evaluation.report import page
from dia.evaluation.scoring import ClipScores, summarise
from dia.evaluation.speakers import TurnSimilarity
from dia.evaluation.statistics import estimate_mean
from dia.evaluation.suites import load_suite
from dia.evaluation.transcription import HeardWord
from dia.evaluation.turns import find_turns
from dia.evaluation.words import WordErrors, word_errors

SCRIPT = Script.parse("[S1] I feel very tired. (laughs) [S2] Are you hungry?")


def test_laughter_is_no_insertion_and_a_spoken_tag_is_counted():
    assert word_errors(SCRIPT, "I feel very tired. Ha ha ha! Are you hungry?").errors == 0
    spoken = word_errors(SCRIPT, "I feel very tired laughs are you hungry")
    assert (spoken.errors, spoken.spoken_tags, spoken.words) == (1, 1, 7)
    assert word_errors(SCRIPT, "").rate == 1.0


def test_turns_are_found_by_their_words():
    said = ["I", "feel", "very", "tired", "are", "hungry"]
    heard = [HeardWord(f" {word}", float(place), place + 0.9) for place, word in enumerate(said)]
    assert find_turns(SCRIPT, heard) == [(0.0, 3.9), (4.0, 5.9)]
    assert find_turns(SCRIPT, heard[:2]) == [(0.0, 1.9), None] and find_turns(SCRIPT, []) == [None, None]


def test_interval_matches_scipy():
    values = np.random.default_rng(0).normal(3, 1, 60)
    ours = estimate_mean(list(values), [str(number) for number in range(60)])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=0).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.03) and ours.high == pytest.approx(theirs.high, abs=0.03)


def test_takes_of_one_prompt_do_not_narrow_the_interval():
    values = np.random.default_rng(0).normal(3, 1, 20)
    once = estimate_mean(list(values), [str(number) for number in range(20)])
    thrice = estimate_mean(list(np.repeat(values, 3)), [str(number) for number in np.repeat(range(20), 3)])
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high)) and thrice.prompts == 20


def test_calibration_says_what_it_cannot_measure():
    scores = [{"laughs": 0.9, "sighs": 0.5}] * 5 + [{"laughs": 0.1, "sighs": 0.5}] * 5
    found = calibrate(scores, [{"laughs", "sighs"}] * 5 + [set()] * 5)
    assert found["laughs"].measurable and found["laughs"].sensitivity == 1 and not found["sighs"].measurable


def test_report_escapes_and_counts_failures():
    wave = np.zeros(8_000, dtype=np.float32)
    clips = [
        ClipScores(
            Recording("1", system, SCRIPT, wave, 16_000, ended=system != "model"),
            "<script>",
            WordErrors(2, 7, 0),
            [None, None],
            3.0,
            None,
        )
        for system in ("ground truth", "model")
    ]
    systems = summarise(clips, "not measured: no detector")
    assert systems["model"]["missed_eos"] == 1.0 and systems["model"]["turns_not_measured"] == 2
    results = {
        "checkpoint": "x<y",
        "suite": {"name": "quick", "seeds": 1, "shown": 1},
        "prompts": 1,
        "systems": systems,
        "provenance": {},
    }
    made = page(results, clips, None)
    assert "<script>" not in made and "x&lt;y" in made and "not measured: no detector" in made


def test_one_voice_has_no_margin_and_missing_scores_are_counted():
    recording = Recording("1", "ground truth", SCRIPT, np.zeros(8_000, dtype=np.float32), 16_000)
    alone = TurnSimilarity(0.9, float("nan"))
    row = summarise([ClipScores(recording, "", WordErrors(7, 7, 0), [alone, None], None, None)], "none")["ground truth"]
    json.dumps(row, allow_nan=False)
    assert row["similarity_margin"].startswith("not measured") and row["mos_not_measured"] == 1


def test_unknown_suite_lists_what_exists():
    with pytest.raises(UserError, match="quick"):
        load_suite("nope")
