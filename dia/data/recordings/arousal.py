"""Arousal from prosody: how high, loud and fast a stretch is spoken, against the same voice in the same recording.

What carries over between speakers is arousal alone (pitch, energy and rate rise with it; valence leaves no such trace), so
nothing else is claimed. A voice that is heard too little to know what is usual for it gets no label.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dia.data.clip import Emotion
from dia.data.dialogues import TimedTurn
from dia.data.recordings.measures import Arrays
from dia.data.recordings.stages import HIGHEST, LOWEST

FRAMES = 100  # of pitch and energy in a second
FEWEST = 6  # stretches of a voice that tell what is usual for it
QUIET = 25.0  # decibels below a stretch's loudest frames that are no voice


def with_arousal(pieces: list[TimedTurn], prosody: Arrays, origin: str) -> list[TimedTurn]:
    """Return the pieces, those of well-known voices with their arousal, -1..1."""
    features = [_features(piece, prosody) for piece in pieces]
    by_voice: dict[str, list[int]] = {}
    for number, piece in enumerate(pieces):
        if np.isfinite(features[number]).all():
            by_voice.setdefault(piece.turn.voice, []).append(number)
    labelled = list(pieces)
    for numbers in by_voice.values():
        if len(numbers) < FEWEST:
            continue
        scores = _usual_apart(np.stack([features[number] for number in numbers]))
        for number, score in zip(numbers, scores, strict=True):
            emotion = Emotion(origin, arousal=float(np.tanh(score / 2)), confidence=min(1.0, len(numbers) / 20))
            labelled[number] = replace(pieces[number], turn=replace(pieces[number].turn, emotions=(emotion,)))
    return labelled


def _features(piece: TimedTurn, prosody: Arrays) -> NDArray[np.float64]:
    """Log pitch, energy in decibels, and characters a second of a stretch; NaN where it has no voice."""
    first, last = int(piece.start * FRAMES), int(piece.end * FRAMES)
    pitch, energy = prosody["pitch"][first:last].astype(np.float64), prosody["energy"][first:last].astype(np.float64)
    if len(energy) < FRAMES // 4:
        return np.full(3, np.nan)
    loud = energy > np.percentile(energy, 95) - QUIET
    voiced = loud & (pitch > 1.02 * LOWEST) & (pitch < 0.98 * HIGHEST)
    if voiced.sum() < 10:
        return np.full(3, np.nan)
    rate = len(piece.turn.text) / max(piece.end - piece.start, 0.1)
    return np.array([np.median(np.log2(pitch[voiced])), energy[loud].mean(), rate])


def _usual_apart(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each row is from the usual one, in robust standard deviations, mean over the features."""
    middle = np.median(features, axis=0)
    spread = 1.4826 * np.median(np.abs(features - middle), axis=0)
    return ((features - middle) / np.maximum(spread, 1e-3)).clip(-4, 4).mean(axis=1)
