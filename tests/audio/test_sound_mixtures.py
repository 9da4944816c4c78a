"""Mixtures have the given length, and every sound where its times say, apart from the speech or over it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.sound_mixtures import LONGEST_SOUND, mix

RATE = 8_000


def tone(hertz, seconds, silence=0.0):
    times = np.arange(round(seconds * RATE)) / RATE
    quiet = np.zeros(round(silence * RATE), dtype=np.float32)
    return np.concatenate([quiet, 0.3 * np.sin(2 * np.pi * hertz * times), quiet]).astype(np.float32)


def band_power(waveform, hertz, width=40):
    """Return the power of each frame of .02 s near a frequency."""
    frames = waveform[: len(waveform) // 160 * 160].reshape(-1, 160)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(160), 1024)) ** 2
    place = round(hertz / RATE * 1024)
    return spectrum[:, place - width // 8 : place + width // 8 + 1].sum(axis=1)


@given(
    st.lists(st.floats(0.3, 1.5), min_size=1, max_size=3),
    st.lists(st.floats(0.2, 1.0), max_size=3),
    st.floats(4.0, 9.0),
    st.integers(0, 99),
)
def test_every_sound_lies_where_its_times_say(utterances, sounds, seconds, seed):
    speech = [tone(400, length) for length in utterances]
    named = [(f"tag{place}", tone(1_500 + 700 * place, length, 0.3)) for place, length in enumerate(sounds)]
    made = mix(speech, named, RATE, seconds, np.random.default_rng(seed))
    assert len(made.waveform) == round(seconds * RATE) and made.waveform.dtype == np.float32
    assert np.abs(made.waveform).max() <= 1
    assert sorted(sound.tag for sound in made.sounds) == [tag for tag, _ in named]
    for sound in made.sounds:
        length = sounds[int(sound.tag[3:])]
        assert sound.end - sound.start == pytest.approx(length, abs=0.05), "its silence is cut"
        power = band_power(made.waveform, 1_500 + 700 * int(sound.tag[3:]))
        first, last = round(sound.start * 50), round(sound.end * 50)
        inside, outside = power[first + 1 : last - 1], np.delete(power, slice(max(0, first - 1), last + 1))
        assert inside.min() > outside.max()


def test_half_of_the_sounds_stand_between_words_and_half_over_them():
    places = [
        mix([tone(400, 1)], [("laughs", tone(1_500, 0.5))], RATE, 5, np.random.default_rng(seed)).sounds[0]
        for seed in range(200)
    ]
    assert 70 < sum(place.over_speech for place in places) < 130


def test_a_sound_between_words_has_silence_around_it():
    for seed in range(20):
        made = mix([tone(400, 1)], [("laughs", tone(1_500, 0.5))], RATE, 6, np.random.default_rng(seed))
        (sound,) = made.sounds
        if not sound.over_speech:
            speech = band_power(made.waveform, 400)
            first, last = round((sound.start - 0.04) * 50), round((sound.end + 0.04) * 50)
            assert speech[max(0, first) : last].max() < 0.01 * speech.max()


def test_long_sounds_are_cut_and_levels_differ():
    random = np.random.default_rng(0)
    loud, quiet = tone(400, 1), 0.001 * tone(400, 1)
    assert np.allclose(
        np.abs(mix([loud], [], RATE, 3, np.random.default_rng(1)).waveform).max(),
        np.abs(mix([quiet], [], RATE, 3, np.random.default_rng(1)).waveform).max(),
        rtol=0.01,
    )
    (sound,) = mix([loud], [("laughs", tone(1_500, 5))], RATE, 9, random).sounds
    assert sound.end - sound.start == pytest.approx(LONGEST_SOUND, abs=0.03)


def test_the_generator_decides_everything():
    parts = [tone(400, 1), tone(300, 0.4)], [("laughs", tone(1_500, 0.5))], RATE, 5
    first, second = (mix(*parts, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.waveform, second.waveform) and first.sounds == second.sounds
    assert not np.array_equal(first.waveform, mix(*parts, np.random.default_rng(4)).waveform)
