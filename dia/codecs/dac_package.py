"""The package descript-audio-codec, imported on first use and without its deprecation warnings.

The import takes seconds. The package uses ``torch.jit.script`` and ``torch.nn.utils.weight_norm``; torch
warns of both on every start.
"""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dac
    from dac.nn.quantize import ResidualVectorQuantize


def dac_package() -> ModuleType:
    """Import and return ``dac``."""
    with _without_deprecations():
        return importlib.import_module("dac")


def build_dac(**settings: Any) -> "dac.DAC":
    """Return ``dac.DAC(**settings)``, with random weights."""
    package = dac_package()
    with _without_deprecations():
        return package.DAC(**settings)


def build_quantizer(*settings: Any) -> "ResidualVectorQuantize":
    """Return ``dac.nn.quantize.ResidualVectorQuantize(*settings)``, with random weights."""
    package = dac_package()
    with _without_deprecations():
        return package.nn.quantize.ResidualVectorQuantize(*settings)


@contextmanager
def _without_deprecations() -> Iterator[None]:
    with warnings.catch_warnings():
        for name in ("jit.script", "nn.utils.weight_norm"):
            warnings.filterwarnings("ignore", f"`torch.{name}` is deprecated", FutureWarning)
        # from Python 3.12 on, docstrings of audiotools that are compiled for the first time
        warnings.filterwarnings("ignore", "invalid escape sequence", SyntaxWarning)
        yield
