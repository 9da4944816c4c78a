"""Configuration: typed schemas of every front door, composition over Hydra, validation and help.

``DiaConfig``, ``EncoderConfig`` and ``DecoderConfig`` are those of nari-labs/dia (:mod:`dia.config.nari`),
for programs written for it; they are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dia.config.nari import DecoderConfig, DiaConfig, EncoderConfig

__all__ = ["DecoderConfig", "DiaConfig", "EncoderConfig"]


def __getattr__(name: str) -> Any:
    """Import a class of nari's configuration when it is first used (PEP 562)."""
    if name in __all__:
        from dia.config import nari

        return getattr(nari, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
