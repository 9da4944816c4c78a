"""Random channels change a sound and keep it a sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.audio import channels
from dia.audio.channels import RandomChannel

RATE = 16_000


def tone(samples, hertz=440.0):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)).astype(np.float32)


@given(st.integers(1, 4000), st.integers(0, 999))
def test_the_generator_decides_and_the_result_is_a_waveform(samples, seed):
    first, second = (RandomChannel(RATE)(tone(samples), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32 and first.ndim == 1 and np.isfinite(first).all()
    assert 0.8 * samples - 2 < len(first) < 1.2 * samples + 2


@given(st.integers(1, 2000), st.integers(0, 99))
def test_silence_stays_silent(samples, seed):
    assert not RandomChannel(RATE)(np.zeros(samples, np.float32), np.random.default_rng(seed)).any()


def test_channels_differ():
    lengths = {len(RandomChannel(RATE)(tone(RATE), np.random.default_rng(seed))) for seed in range(20)}
    assert len(lengths) > 5


@pytest.mark.parametrize("hertz, passes", [(20.0, False), (1000.0, True), (7900.0, False)])
def test_a_filter_removes_the_ends_of_the_spectrum(monkeypatch, hertz, passes):
    monkeypatch.setattr(channels, "LOWEST", (200.0, 300.0))
    monkeypatch.setattr(channels, "HIGHEST", (3000.0, 4000.0))
    wave = tone(RATE, hertz)
    filtered = RandomChannel(RATE)._filtered(wave, np.random.default_rng(0))
    gain = np.std(filtered) / np.std(wave)
    assert 0.4 < gain < 2 if passes else gain < 0.1


def test_noise_lies_below_the_sound():
    wave = tone(RATE)
    noise = RandomChannel(RATE)._with_noise(wave, np.random.default_rng(0)) - wave
    decibels = 20 * np.log10(np.std(noise) / np.std(wave))
    assert -56 < decibels < -24


def test_a_room_rings_after_the_sound():
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0
    ringing = RandomChannel(RATE)._in_room(click, np.random.default_rng(0))
    assert not ringing[:99].round(6).any() and np.abs(ringing[101:1000]).max() > 1e-3
    assert abs(ringing[100]) == np.abs(ringing).max()
