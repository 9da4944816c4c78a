"""Type aliases and small value helpers that several packages share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
"""Mono samples of shape (samples,), float32, nominally in -1..1."""


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys: ``{"a": {"b": 1}}`` gives ``{"a.b": 1}``.

    An empty mapping is a leaf. ``prefix`` is put before every key.
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
