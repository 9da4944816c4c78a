"""Arousal from prosody: pitch, loudness and rate of a segment relative to the same voice in the recording.

Voices with too few segments for a reference get no label. The features are those of `dia/judges/prosody.py`.
"""

from dataclasses import replace

import numpy as np

from dia.data.clip import Emotion
from dia.data.recordings.stage_cache import Arrays
from dia.data.segmentation import TimedTurn
from dia.judges.prosody import Contour, arousal_features, robust_deviation

MIN_SEGMENTS = 6  # of a voice, for a reference


def label_arousal(segments: list[TimedTurn], prosody: Arrays, origin: str) -> list[TimedTurn]:
    """Return the segments; those of voices with a reference get an arousal label in -1..1."""
    contour = Contour(prosody["pitch"].astype(np.float32), prosody["energy"].astype(np.float32))
    features = [
        arousal_features(contour.part(segment.start, segment.end), len(segment.turn.text))
        for segment in segments
    ]
    by_voice: dict[str, list[int]] = {}
    for number, segment in enumerate(segments):
        if np.isfinite(features[number]).all():
            by_voice.setdefault(segment.turn.voice, []).append(number)
    labelled = list(segments)
    for numbers in by_voice.values():
        if len(numbers) < MIN_SEGMENTS:
            continue
        scores = robust_deviation(np.stack([features[number] for number in numbers]))
        for number, score in zip(numbers, scores, strict=True):
            emotion = Emotion(
                origin, arousal=float(np.tanh(score / 2)), confidence=min(1.0, len(numbers) / 20)
            )
            labelled[number] = replace(
                segments[number], turn=replace(segments[number].turn, emotions=(emotion,))
            )
    return labelled
