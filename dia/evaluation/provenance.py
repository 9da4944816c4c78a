"""Which model a score comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Model, version, sample rate in hertz, licence, and whether the same sound gives the same score."""

    model: str
    version: str
    sample_rate: int
    licence: str
    deterministic: bool
