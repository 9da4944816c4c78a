"""A metric whose model nobody named: it keeps its place in the report and says so."""

from collections.abc import Sequence

from dia.evaluation.metrics.protocol import NOT_MEASURED, Clip, Context, Origin, Row, Values
from dia.judges.recording import Recording


class Unavailable:
    """Measures nothing, for ``reason``."""

    version, reads = "1", ()

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason

    def provenance(self) -> Origin:
        """Return the reason."""
        return f"not measured: {self.reason}"

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the reason."""
        return {NOT_MEASURED: self.reason}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return one row with the reason."""
        return [Row(self.name, None, self.reason)]
