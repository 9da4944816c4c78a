"""Which model a score comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Model, version, sample rate in hertz, licence, whether the same sound gives the same score, and what
    was set.
    """

    model: str
    version: str
    sample_rate: int
    licence: str
    deterministic: bool
    settings: str = ""
