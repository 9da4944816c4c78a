"""The second step of an evaluation: the takes of one system on a suite, and the names of our own systems."""

from collections.abc import Sequence
from dataclasses import dataclass

from dia.evaluation.ground_truth import REFERENCE
from dia.evaluation.prompts import Prompt
from dia.judges.recording import Recording

ROUND_TRIP = "codec round trip"
BASELINE = "baseline"
MODEL = "model"
REFERENCES = (ROUND_TRIP, REFERENCE)  # compared with systems, and never tested against each other
OWN = (REFERENCE, ROUND_TRIP, BASELINE, MODEL)  # names that recorded systems may not have


@dataclass(frozen=True)
class SystemTakes:
    """The recordings of a system on one suite, and the takes that failed, each with its prompt and reason.

    ``in_voices_of_data`` is whether the system speaks in the voices of the prepared data.
    """

    name: str
    recordings: Sequence[Recording]
    failures: Sequence[tuple[Prompt, str]] = ()
    in_voices_of_data: bool = False
