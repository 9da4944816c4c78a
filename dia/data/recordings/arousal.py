"""Arousal from prosody: how high, loud and fast a stretch is spoken, against the same voice in the same
recording.

A voice that is heard too little to know what is usual for it gets no label. What is measured:
`dia/judges/prosody.py`.
"""

from dataclasses import replace

import numpy as np

from dia.data.clip import Emotion
from dia.data.recordings.measures import Arrays
from dia.data.segmentation import TimedTurn
from dia.judges.prosody import Contour, arousal_features, robust_deviation

FEWEST = 6  # stretches of a voice that tell what is usual for it


def with_arousal(pieces: list[TimedTurn], prosody: Arrays, origin: str) -> list[TimedTurn]:
    """Return the pieces, those of well-known voices with their arousal, -1..1."""
    whole = Contour(prosody["pitch"].astype(np.float32), prosody["energy"].astype(np.float32))
    features = [
        arousal_features(whole.part(piece.start, piece.end), len(piece.turn.text)) for piece in pieces
    ]
    by_voice: dict[str, list[int]] = {}
    for number, piece in enumerate(pieces):
        if np.isfinite(features[number]).all():
            by_voice.setdefault(piece.turn.voice, []).append(number)
    labelled = list(pieces)
    for numbers in by_voice.values():
        if len(numbers) < FEWEST:
            continue
        scores = robust_deviation(np.stack([features[number] for number in numbers]))
        for number, score in zip(numbers, scores, strict=True):
            emotion = Emotion(
                origin, arousal=float(np.tanh(score / 2)), confidence=min(1.0, len(numbers) / 20)
            )
            labelled[number] = replace(pieces[number], turn=replace(pieces[number].turn, emotions=(emotion,)))
    return labelled
