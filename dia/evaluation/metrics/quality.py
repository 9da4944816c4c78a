"""Predicted mean opinion scores (MOS).

No predictor measures expressiveness, and predictors disagree among themselves.
"""

from collections.abc import Sequence
from typing import Any

from dia.evaluation.metrics.inputs import MetricInputs
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
from dia.evaluation.metrics.result import MOS, MetricResult, summarise_mean
from dia.evaluation.metrics.unavailable import no_model
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.judges.quality import DNSMOS_ANSWERS, DistillMos, DnsMos, UtMos
from dia.judges.recording import Recording

PREDICTORS = {
    "mos": "DistillMOS",
    "utmos": "UTMOS",
    "dnsmos_overall": "DNSMOS, overall",
    "dnsmos_signal": "DNSMOS, of the voice",
    "dnsmos_background": "DNSMOS, of the background",
    "dnsmos_p808": "DNSMOS P.808",
}
SHORT = "the recording is shorter than .3 s"


class PredictedQuality:
    """A MOS predictor with one score (DistillMOS, UTMOS), or several by name (DNSMOS: ``scores``)."""

    version, reads = "1", ()

    def __init__(
        self, judge: Any, name: str = "mos", scores: tuple[str, ...] = (), *, headline: bool = False
    ) -> None:
        self.judge, self.name, self.scores, self.headline = judge, name, scores, headline

    def provenance(self) -> Models:
        """Return the predictor."""
        return provenance_of(self.judge)

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return the score, or the scores by name."""
        predicted = self.judge.predict(recording)
        if predicted is None:
            return NotMeasured(SHORT)
        return dict(predicted) if self.scores else {"score": predicted}

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return the lowest score of the scale, also for a recording that is too short."""
        return dict.fromkeys(self.scores or ("score",), MOS[0]) if reason in ("", SHORT) else None

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return the mean of each score."""
        keys = {f"{self.name}_{score}": score for score in self.scores} or {self.name: "score"}
        reasons = count_reasons(clips)
        return [
            summarise_mean(
                name,
                contributions_of(clips, key),
                SHORT,
                1,
                bounds=MOS,
                label=f"predicted quality by {PREDICTORS.get(name, name)}",
                unit="1 to 5",
                headline=self.headline,
                not_measured=reasons,
            )
            for name, key in keys.items()
        ]


def build(inputs: MetricInputs) -> Metric:
    """Return DistillMOS, whose weights a package carries."""
    return PredictedQuality(DistillMos(), headline=True)


def build_dnsmos(inputs: MetricInputs) -> Metric:
    """Return DNSMOS with its three scores."""
    return PredictedQuality(DnsMos(), "dnsmos", tuple(DNSMOS_ANSWERS.values()))


def build_utmos(inputs: MetricInputs) -> Metric:
    """Return UTMOS, where a file of its weights is named."""
    if not inputs.config.utmos:
        return no_model("utmos", "utmos")
    return PredictedQuality(UtMos(inputs.config.utmos), "utmos")
