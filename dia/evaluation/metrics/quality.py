"""Predicted mean opinion scores. None of them hears whether speech is expressive, and each has its own
taste.
"""

from collections.abc import Sequence
from typing import Any

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
from dia.judges.recording import Recording

SHORT = "the recording is shorter than .3 s"


class PredictedQuality:
    """A predictor that gives one score (DistillMOS, UTMOS), or several by name (DNSMOS: ``scores``)."""

    version, reads = "1", ()

    def __init__(self, judge: Any, name: str = "mos", scores: tuple[str, ...] = ()) -> None:
        self.judge, self.name, self.scores = judge, name, scores

    def provenance(self) -> Origin:
        """Return the predictor."""
        return origin_of(self.judge)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the score, or the scores by name."""
        found = self.judge.predict(recording)
        if found is None:
            return {NOT_MEASURED: SHORT}
        return dict(found) if self.scores else {"score": found}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return a row for each score."""
        named = {f"{self.name}_{score}": score for score in self.scores} or {self.name: "score"}
        reasons = not_measured(clips)
        return [
            ratio(name, parts_of(clips, key), SHORT, 1, not_measured=reasons) for name, key in named.items()
        ]
