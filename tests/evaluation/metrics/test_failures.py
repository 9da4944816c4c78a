"""Failures where they were put, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.dialogue import Script
from dia.evaluation.metrics.failures import KINDS, Failures, looped, lost_at_the_end
from dia.evaluation.metrics.protocol import Clip, Context
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import Hearing
from dia.evaluation.turn_alignment import match_words
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord

SCRIPT = "[S1] we walked along the river until the light was gone and then we went home again."
WORDS = Script.parse(SCRIPT).words().rstrip(".").split()
RATE = 16_000


class Ear:
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


def found(words=WORDS, waveform=None, ended=True):
    made = Recording(
        "p", "s", Script.parse(SCRIPT), noise() if waveform is None else waveform, RATE, ended=ended
    )
    metric = Failures(Hearing(recogniser=Ear(words)))
    values = metric.measure(made, Context(Prompt("p", SCRIPT)))
    rows = {
        row.name: row.estimate.value
        for row in metric.summarise([Clip(Prompt("p", SCRIPT), 0, values)])
        if row.estimate
    }
    assert rows["failed"] == float(bool(values["found"])) and {f"failed/{kind}" for kind in KINDS} < set(rows)
    return set(values["found"])


def test_ordinary_speech_does_not_fail():
    assert found() == set()


def test_a_cut_end_is_truncation_and_no_hurry():
    assert found(WORDS[:9], noise(2.6)) == {"truncated"}
    assert found(WORDS[:-1]) == set()  # one word that is not heard is the recogniser's


def test_loops_silence_hurry_and_no_end():
    assert found(WORDS + ["home", "again"] * 3) == {"loop"}
    assert found([], np.zeros(3 * RATE, np.float32)) == {"silence", "truncated"}
    assert found(WORDS, noise(2.5)) == {"too_fast"}
    assert found(ended=False) == {"no_end"}
    assert found(waveform=noise()[: 5 * RATE]) == {"clipped_end"}


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.integers(1, 3), st.integers(1, 4))
def test_the_script_itself_never_loops(words, length, rounds):
    script = words + words[-length:] * rounds
    assert looped(script, script) == ""
    assert looped(script + ["x", "y"] * 5, script) != ""


@pytest.mark.parametrize("heard, lost", [(WORDS, 0), (WORDS[:-2], 0), (WORDS[:-3], 3), ([], len(WORDS))])
def test_lost_words(heard, lost):
    assert lost_at_the_end(match_words(Script.parse(SCRIPT), Ear(heard).words(None))) == lost


def test_a_short_script_can_be_lost():
    assert lost_at_the_end(match_words(Script.parse("[S1] Yes."), [])) == 1
