"""Predicted arousal, dominance and valence, and whether arousal follows the script."""

from collections.abc import Sequence

from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.prosody import summarise_arousal
from dia.evaluation.metrics.protocol import (
    ClipScore,
    Context,
    Metric,
    Models,
    Values,
    contributions_of,
    count_reasons,
    provenance_of,
)
from dia.evaluation.metrics.result import MetricResult, summarise_mean
from dia.evaluation.metrics.unavailable import no_model
from dia.evaluation.not_measured import NotMeasured
from dia.judges.emotion import DIMENSIONS, DimensionalEmotion
from dia.judges.recording import Recording

SHORT = "the recording is shorter than .3 s"


class PredictedEmotion:
    """Emotion in three dimensions by a regression model."""

    name, version, reads = "emotion", "1", ()

    def __init__(self, judge: DimensionalEmotion) -> None:
        self.judge = judge

    def provenance(self) -> Models:
        """Return the model."""
        return provenance_of(self.judge)

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return the dimensions, each in 0..1."""
        return self.judge.predict(recording) or NotMeasured(SHORT)

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return the mean of each dimension, and agreement and difference of arousal between versions."""
        reasons = count_reasons(clips)
        means = [
            summarise_mean(
                f"emotion_{name}",
                contributions_of(clips, name),
                SHORT,
                bounds=(0.0, 1.0),
                label=f"predicted {name}",
                unit="0 to 1",
                not_measured=reasons,
            )
            for name in DIMENSIONS
        ]
        scores = [(clip, float(clip.values["arousal"])) for clip in clips if clip.measured]
        return [*means, *summarise_arousal("emotion_arousal", scores)]


def build(inputs: MetricInputs) -> Metric:
    """Return the metric of the model that the configuration names."""
    if not inputs.config.emotion:
        return no_model("emotion", "emotion")
    return PredictedEmotion(DimensionalEmotion(inputs.config.emotion))
