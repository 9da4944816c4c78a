"""Failures are detected where they were inserted, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.dialogue import Script
from dia.evaluation.metrics.failures import (
    KINDS,
    Failures,
    is_other_text,
    is_repeated,
    missing_last_words,
    repeated_phrase,
)
from dia.evaluation.metrics.protocol import ClipScore, Context
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import match_words
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord

SCRIPT = "[S1] we walked along the river until the light was gone and then we went home again."
WORDS = Script.parse(SCRIPT).words().rstrip(".").split()
RATE = 16_000


class FixedTranscript:
    def __init__(self, words):
        self.said = words

    def words(self, _):
        return [
            RecognisedWord(f" {word}", 0.3 * place, 0.3 * place + 0.25)
            for place, word in enumerate(self.said)
        ]


def noise(seconds=5.5):
    waveform = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))
    waveform[-RATE // 4 :] *= 0.01
    return waveform.astype(np.float32)


def failures_of(words=WORDS, waveform=None, ended=True):
    made = Recording(
        "p", "s", Script.parse(SCRIPT), noise() if waveform is None else waveform, RATE, ended=ended
    )
    metric = Failures(SharedModels(recogniser=FixedTranscript(words)))
    values = metric.measure(made, Context(Prompt("p", SCRIPT)))
    rows = {
        row.name: row.estimate.value
        for row in metric.summarise([ClipScore(Prompt("p", SCRIPT), 0, values)])
        if row.measured
    }
    assert rows["failed"] == float(bool(values["found"])) and {f"failed/{kind}" for kind in KINDS} < set(rows)
    return set(values["found"])


def test_ordinary_speech_does_not_fail():
    assert failures_of() == set()


def test_a_cut_end_is_truncation_and_no_hurry():
    assert failures_of(WORDS[:9], noise(2.6)) == {"truncated"}
    assert failures_of(WORDS[:-1]) == set()  # one missing word may be the error of the ASR model


def test_loops_silence_hurry_and_no_end():
    assert failures_of(WORDS + ["home", "again"] * 3) == {"loop"}
    assert failures_of([], np.zeros(3 * RATE, np.float32)) == {"silence", "truncated"}
    assert failures_of(WORDS, noise(2.5)) == {"too_fast"}
    assert failures_of(ended=False) == {"no_end"}
    assert failures_of(waveform=noise()[: 5 * RATE]) == {"clipped_end"}


def test_text_that_is_spoken_twice_and_the_clip_of_another_text_fail():
    assert failures_of(WORDS * 2, noise(11)) == {"repeated"}
    assert failures_of([*WORDS, *WORDS[6:13]], noise(8)) == {"repeated"}  # a part of it
    stumbling = [word if place % 5 else "uh" for place, word in enumerate(WORDS * 2)]
    assert failures_of(stumbling, noise(11)) == {"repeated"}
    other = [
        "my",
        "sister",
        "has",
        "bought",
        "three",
        "yellow",
        "lemons",
        "at",
        "that",
        "market",
        "over",
        "there",
        "on",
        "Monday",
        "morning",
    ]
    assert "other_text" in failures_of(other) and "repeated" not in failures_of(other)
    assert "other_text" not in failures_of(WORDS[:9] + other[9:])  # half of the words


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_a_script_as_written_is_neither_repeated_nor_another_text(words):
    assert not is_repeated(words, words) and not is_other_text(words, words)
    assert len(words) < 3 or is_repeated(words * 2, words)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.integers(1, 3), st.integers(1, 4))
def test_the_script_itself_never_loops(words, length, rounds):
    script = words + words[-length:] * rounds
    assert repeated_phrase(script, script) == ""
    assert repeated_phrase(script + ["x", "y"] * 5, script) != ""


@pytest.mark.parametrize(
    "recognised, missing", [(WORDS, 0), (WORDS[:-2], 0), (WORDS[:-3], 3), ([], len(WORDS))]
)
def test_missing_words_at_the_end(recognised, missing):
    assert (
        missing_last_words(match_words(Script.parse(SCRIPT), FixedTranscript(recognised).words(None)))
        == missing
    )


def test_a_short_script_can_be_missing_as_a_whole():
    assert missing_last_words(match_words(Script.parse("[S1] Yes."), [])) == 1
