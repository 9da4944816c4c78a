"""The placeholder of a metric that cannot run: it appears in the report with the reason."""

from collections.abc import Sequence

from dia.evaluation.metrics.protocol import ClipScore, Context, Models, Values
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.not_measured import NotMeasured
from dia.judges.recording import Recording


class UnavailableMetric:
    """A metric that scores nothing, for ``reason``."""

    version, reads = "1", ()

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.missing = name, NotMeasured(reason)

    def provenance(self) -> Models:
        """Return the reason."""
        return self.missing

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return the reason."""
        return self.missing

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return one result with the reason."""
        return [MetricResult(self.name, self.missing)]


def no_model(name: str, key: str) -> UnavailableMetric:
    """Return the placeholder of a metric for which the configuration names no model."""
    return UnavailableMetric(name, f"no model is named; give one with judges.{key}=...")
