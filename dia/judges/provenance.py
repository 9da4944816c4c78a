"""Identification of the model that computed a score."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Model, version, sample rate in hertz, licence, determinism and settings of a judge."""

    model: str
    version: str
    sample_rate: int
    licence: str
    deterministic: bool
    settings: str = ""
