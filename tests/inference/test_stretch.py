import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.audio.stretch import stretch
from dia.errors import UserError

RATE = 16_000


def tone(hertz, seconds=2.0):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def pitch(waveform):
    """Return the strongest frequency, in hertz, of the middle of a waveform."""
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    return spectrum.argmax() * RATE / (1 << 18)


@given(st.floats(0.5, 2.0), st.sampled_from([110.0, 220.0, 440.0, 1_500.0]))
@settings(max_examples=20)
def test_stretching_changes_the_pace_but_not_the_pitch(speed, hertz):
    result = stretch(tone(hertz), RATE, speed)
    assert result.dtype == np.float32 and len(result) == round(2 * RATE / speed)
    assert abs(pitch(result) / hertz - 1) < 0.01
    assert (
        0.15 < np.sqrt(np.square(result[len(result) // 4 : -len(result) // 4]).mean()) < 0.27
    )  # a tone of .3 has .21


@pytest.mark.parametrize("speed", [0.6, 0.8, 1.25, 1.8])
def test_both_ends_of_the_audio_are_preserved(speed):
    """Audio from 0.5 s to 1.5 s of 2 s has the same relative position in the stretched waveform."""
    waveform = np.zeros(2 * RATE, dtype=np.float32)
    waveform[RATE // 2 : 3 * RATE // 2] = tone(200, 1.0)
    loud = np.flatnonzero(np.abs(stretch(waveform, RATE, speed)) > 0.05) * speed / RATE
    assert abs(loud[0] - 0.5) < 0.06 and abs(loud[-1] - 1.5) < 0.06


@given(st.integers(0, 3_000), st.floats(0.5, 2.0))
@settings(max_examples=20)
def test_short_waveforms_are_stretched_in_proportion(length, speed):
    result = stretch(np.full(length, 0.1, dtype=np.float32), RATE, speed)
    assert len(result) == round(length / speed) and np.isfinite(result).all()


def test_a_speed_of_one_changes_nothing():
    assert np.array_equal(stretch(tone(200), RATE, 1.0), tone(200))


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.49, 2.01, float("nan")])
def test_speeds_out_of_range_are_refused(speed):
    with pytest.raises(UserError, match="speed="):
        stretch(tone(200), RATE, speed)
