"""Clips of running speech with nonverbal sounds between and over the words, and the times of each sound.

A detector of nonverbal sounds is trained and calibrated on such clips: they are as long as the clips that are
evaluated, and most of their sound is speech.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dia.types import Waveform

SPEECH_LEVEL = 0.07  # root mean square of active speech, -23 dB of full scale
PAUSES = 0.15, 0.6  # seconds between two utterances
MARGIN = 0.08  # seconds of silence around a sound that stands between words
RELATIVE_LEVELS = -6.0, 6.0  # decibels of a sound relative to the speech around it
FRAME = 0.02  # seconds over which a level is measured
FLOOR = 30.0  # decibels below the loudest frame, above which a sound is active
LONGEST_SOUND = 3.0  # seconds; a longer one is cut
FADE = 0.01  # seconds at both ends of a cut


@dataclass(frozen=True)
class PlacedSound:
    """A sound in a clip: its tag, its start and end in seconds, and whether it lies over speech."""

    tag: str
    start: float
    end: float
    over_speech: bool


@dataclass(frozen=True)
class Mixture:
    """A clip (samples,) with the sounds in it."""

    waveform: Waveform
    sounds: tuple[PlacedSound, ...]


def mix(
    speech: Sequence[Waveform],
    sounds: Sequence[tuple[str, Waveform]],
    sample_rate: int,
    seconds: float,
    random: np.random.Generator,
) -> Mixture:
    """Return a clip of ``seconds`` in which every sound occurs once.

    Utterances follow each other in the given order, with pauses, and start again when they end. Each sound
    has a level of -6 to 6 dB relative to the speech; half of them stand in a pause, half over the words.

    Args:
        speech: Utterances (samples,), at least one that is not silent.
        sounds: Tags and waveforms (samples,).
        sample_rate: Of all waveforms, in hertz.
        seconds: Length of the clip.
        random: Draws pauses, places and levels.
    """
    longest = round(LONGEST_SOUND * sample_rate)
    cut = [(tag, _at_level(_active(sound, sample_rate, longest), sample_rate)) for tag, sound in sounds]
    between = [random.random() < 0.5 for _ in cut]
    inserted = [item for item, apart in zip(cut, between, strict=True) if apart]
    over = [item for item, apart in zip(cut, between, strict=True) if not apart]
    waveform, placed = _sequence(speech, inserted, sample_rate, round(seconds * sample_rate), random)
    for tag, sound in over:
        sound = sound[: len(waveform)]
        start = int(random.integers(len(waveform) - len(sound) + 1))
        waveform[start : start + len(sound)] += _gain(random) * sound
        placed.append(PlacedSound(tag, start / sample_rate, (start + len(sound)) / sample_rate, True))
    peak = float(np.abs(waveform).max())
    scaled = waveform / peak * 0.99 if peak > 0.99 else waveform
    return Mixture(scaled.astype(np.float32), tuple(sorted(placed, key=lambda item: item.start)))


def _sequence(
    speech: Sequence[Waveform],
    sounds: Sequence[tuple[str, Waveform]],
    sample_rate: int,
    samples: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], list[PlacedSound]]:
    """Return utterances and sounds one after another (samples,), and the places of the sounds."""
    utterances = [_at_level(_active(item, sample_rate), sample_rate) for item in speech]
    margin = round(MARGIN * sample_rate)
    room = samples - sum(len(sound) + 2 * margin for _, sound in sounds)
    # the speech, cut to the room that the sounds leave
    pieces: list[NDArray[np.float64]] = []
    while sum(map(len, pieces)) < room:
        pieces.append(utterances[(len(pieces) // 2) % len(utterances)].astype(np.float64))
        pieces.append(np.zeros(round(random.uniform(*PAUSES) * sample_rate)))
    gaps = sorted(
        random.integers(len(pieces) // 2 + 1, size=len(sounds))
    )  # before the utterance of this number
    placed, parts, length, waiting = [], [], 0, list(zip(gaps, sounds, strict=True))
    for number in range(0, len(pieces) + 1, 2):
        while waiting and waiting[0][0] * 2 == number:
            tag, sound = waiting.pop(0)[1]
            parts += [np.zeros(margin), _gain(random) * sound, np.zeros(margin)]
            start = length + margin
            placed.append(PlacedSound(tag, start / sample_rate, (start + len(sound)) / sample_rate, False))
            length += len(sound) + 2 * margin
        for piece in pieces[number : number + 2]:
            parts.append(piece[: max(0, room)])
            room -= len(parts[-1])
            length += len(parts[-1])
    waveform = np.concatenate(parts) if parts else np.zeros(0)
    return np.pad(waveform, (0, max(0, samples - len(waveform))))[:samples], placed


def _active(waveform: Waveform, sample_rate: int, longest: int | None = None) -> Waveform:
    """Return a waveform without the silence at its ends, at most ``longest`` samples, with short fades."""
    levels = _levels(waveform, sample_rate)
    loud = np.flatnonzero(levels > levels.max() - FLOOR)
    frame = round(FRAME * sample_rate)
    start = int(loud[0]) * frame
    end = (int(loud[-1]) + 1) * frame
    cut = waveform[start : end if longest is None else min(end, start + longest)].copy()
    fade = min(round(FADE * sample_rate), len(cut) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=cut.dtype)
        cut[:fade] *= ramp
        cut[-fade:] *= ramp[::-1]
    return cut


def _at_level(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return a waveform whose active frames have ``SPEECH_LEVEL``; silence stays silent."""
    levels = _levels(waveform, sample_rate)
    active = levels > levels.max() - FLOOR
    level = np.sqrt(np.mean(10 ** (levels[active] / 10)))
    scaled: Waveform = waveform * (SPEECH_LEVEL / level) if level > 1e-5 else waveform
    return scaled


def _levels(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    """Return the level of each frame (frames,) in decibels."""
    frame = round(FRAME * sample_rate)
    padded = np.pad(
        waveform.astype(np.float64), (0, -len(waveform) % frame or (frame if not len(waveform) else 0))
    )
    power = np.mean(padded.reshape(-1, frame) ** 2, axis=1)
    decibels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-12))
    return decibels


def _gain(random: np.random.Generator) -> float:
    return float(10 ** (random.uniform(*RELATIVE_LEVELS) / 20))
