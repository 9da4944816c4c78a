"""Each known failure is detected where it was inserted, and nowhere else; retries are logged."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.inference import GuardLimits, Speech
from dia.inference.guard import check_speech, levels_of, loop_period, synthesize_guarded

RATE, HOP = 16_000, 640
TEXT = "[S1] We walked along the river until the light was gone. (sighs)"  # 4.6 s at an ordinary pace
FRAMES = 115


def speech(waveform=None, codes=None, ended=True, seed=0):
    """Noise with pauses and a quiet end; no two consecutive frames have the same codes."""
    if waveform is None:
        waveform = 0.1 * np.random.default_rng(seed).standard_normal(FRAMES * HOP)
        waveform[30 * HOP : 35 * HOP] = 0
        waveform[-5 * HOP :] *= 0.01
    frames = len(waveform) // HOP
    if codes is None:
        codes = torch.randint(0, 512, (frames, 4), generator=torch.Generator().manual_seed(seed))
    return Speech(waveform.astype(np.float32), RATE, codes, seed, ended)


def kinds(*arguments):
    return {finding.kind for finding in check_speech(*arguments)}


@given(st.integers(0, 99))
@settings(max_examples=20)
def test_ordinary_speech_has_no_failure(seed):
    assert check_speech(speech(seed=seed), TEXT) == []


def test_a_take_without_an_end_is_detected():
    assert kinds(speech(ended=False), TEXT) == {"no_end"}


@pytest.mark.parametrize("waveform", [np.zeros(0), np.zeros(30 * HOP), np.full(30 * HOP, 1e-5)])
def test_a_silent_take_is_detected(waveform):
    assert kinds(speech(waveform), TEXT) == {"silence"}
    assert kinds(speech(waveform, ended=False), TEXT) == {"silence", "no_end"}


def test_a_gap_in_the_middle_is_detected():
    waveform = speech().waveform.copy()
    waveform[20 * HOP : 96 * HOP] = 0  # 3.04 s
    assert kinds(speech(waveform), TEXT) == {"silence"}
    assert kinds(speech(waveform), TEXT, GuardLimits(longest_silence=3.1)) == set()


def test_hurried_and_drawn_out_speech_is_detected():
    assert kinds(
        speech(), TEXT + " [S2] And then, as so often before, we said that it had been a good day." * 2
    ) == {"too_fast"}
    assert kinds(speech(), "[S1] Yes.") == {"too_slow"}


def test_a_truncated_end_is_detected():
    waveform = speech().waveform[: -5 * HOP]
    assert kinds(speech(waveform), TEXT) == {"clipped_end"}


@given(st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=30)
def test_a_loop_is_detected_with_its_period(period, seed):
    codes = speech(seed=seed).codes_TC.clone()
    rounds = max(4, -(-50 // period))  # two seconds are 50 frames
    begin, end = 36, 36 + min(rounds * period, 74)
    codes[begin:end] = codes[begin : begin + period].repeat(rounds, 1)[: end - begin]
    loops = [
        finding for finding in check_speech(speech(seed=seed, codes=codes), TEXT) if finding.kind == "loop"
    ]
    assert len(loops) == 1 and f"{period / 25:.2f} s" in loops[0].message


def test_repetition_in_silence_or_for_too_short_is_no_loop():
    codes = speech().codes_TC.clone()
    codes[40:80] = codes[40]  # 1.6 s, below the two seconds
    assert kinds(speech(codes=codes), TEXT) == set()
    loud = torch.ones(FRAMES, dtype=torch.bool)
    codes[40:100] = codes[40]
    assert loop_period(codes, loud, 50, 4) == 1
    loud[30:110] = False
    assert loop_period(codes, loud, 50, 4) is None
    assert loop_period(codes[:0], loud[:0], 50, 4) is None


@given(st.integers(0, 5_000))
@settings(max_examples=30)
def test_levels_equal_those_of_separate_windows(length):
    waveform = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    wanted = [
        np.sqrt(np.square(waveform[begin : begin + 320].astype(np.float64)).mean())
        for begin in range(0, length, 320)
    ]
    np.testing.assert_allclose(levels_of(waveform, RATE), wanted)


def scripted(outcomes, calls):
    """A synthesizer that returns the outcome defined for each place and seed."""

    def synthesize(places, seeds):
        calls.append((list(places), list(seeds)))
        return [outcomes[place, seed] for place, seed in zip(places, seeds, strict=True)]

    return synthesize


def test_only_failed_takes_are_generated_again_and_logged(caplog):
    calls, bad, worse = [], speech(ended=False), speech(speech().waveform[: -5 * HOP], ended=False)
    outcomes = {
        (0, 5): speech(seed=5),
        (1, 5): bad,
        (2, 5): bad,
        (1, 6): worse,
        (2, 6): speech(seed=6),
        (1, 7): bad,
    }
    with caplog.at_level(logging.WARNING):
        best = synthesize_guarded(scripted(outcomes, calls), [TEXT] * 3, [5, 5, 5], retries=2)
    assert calls == [([0, 1, 2], [5, 5, 5]), ([1, 2], [6, 6]), ([1], [7])]
    assert [item.attempts for item in best] == [1, 3, 2]
    assert best[1].speech is bad and [finding.kind for finding in best[1].findings] == [
        "no_end"
    ]  # the earliest of the best
    assert best[2].speech.seed == 6 and not best[2].findings
    messages = [record.getMessage() for record in caplog.records]
    assert (
        len(messages) == 3
        and all("before EOS" in line for line in messages)
        and "trying seed 7" in messages[2]
    )


def test_without_retries_failures_are_still_reported():
    best = synthesize_guarded(scripted({(0, 0): speech(ended=False)}, []), [TEXT], [0], retries=0)
    assert best[0].attempts == 1 and best[0].findings[0].kind == "no_end"
