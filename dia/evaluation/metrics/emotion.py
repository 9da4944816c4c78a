"""Predicted arousal, dominance and valence, and whether arousal follows what was asked."""

from collections.abc import Sequence

from dia.evaluation.metrics.prosody import arousal_rows
from dia.evaluation.metrics.protocol import (
    NOT_MEASURED,
    Clip,
    Context,
    Origin,
    Row,
    Values,
    not_measured,
    origin_of,
    parts_of,
    ratio,
)
from dia.judges.emotion import DIMENSIONS, DimensionalEmotion
from dia.judges.recording import Recording

SHORT = "the recording is shorter than .3 s"


class PredictedEmotion:
    """By a model with a head of three dimensions."""

    name, version, reads = "emotion", "1", ()

    def __init__(self, judge: DimensionalEmotion) -> None:
        self.judge = judge

    def provenance(self) -> Origin:
        """Return the model."""
        return origin_of(self.judge)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the dimensions, 0..1."""
        return self.judge.predict(recording) or {NOT_MEASURED: SHORT}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return the mean of each dimension, and agreement and difference of arousal where prompts ask for
        high and low.
        """
        reasons = not_measured(clips)
        means = [
            ratio(f"emotion_{name}", parts_of(clips, name), SHORT, not_measured=reasons)
            for name in DIMENSIONS
        ]
        scored = [(clip, float(clip.values["arousal"])) for clip in clips if clip.measured]
        return [*means, *arousal_rows("emotion_arousal", scored)]
