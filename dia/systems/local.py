"""Helpers of the systems that run on this machine: loading, devices, seeds, and float WAV bytes."""

import io
from collections.abc import Callable
from typing import Any, TypeVar

import soundfile
import torch

from dia.errors import UserError, one_line
from dia.systems.declaration import SystemDeclaration
from dia.types import Waveform

Loaded = TypeVar("Loaded")
NOT_FOR_GENERATE = ("device", "codec")  # settings that are not arguments of `generate`


def device_of(declaration: SystemDeclaration) -> torch.device:
    """Return the device of ``settings.device``; by default a GPU if there is one."""
    name = declaration.settings.get("device")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def load_model(declaration: SystemDeclaration, load: Callable[[], Loaded]) -> Loaded:
    """Return the result of ``load``. Raises :class:`UserError` when the model cannot be loaded."""
    try:
        return load()
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"system {declaration.name} is not available: cannot load {declaration.model} "
            f"({one_line(error)}); download it, or give a local folder with system.model=PATH"
        ) from error


def revision_arguments(declaration: SystemDeclaration) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` that select the commit of a Hub id."""
    return {"revision": declaration.revision} if declaration.revision else {}


def place_network(network: Any, declaration: SystemDeclaration) -> Any:
    """Return the network on its device, in evaluation mode."""
    return network.to(device_of(declaration)).eval()


def with_revision(body: dict[str, Any], network: Any) -> dict[str, Any]:
    """Return a request's body with the commit of the loaded network, None for a folder."""
    return {**body, "revision": getattr(network.config, "_commit_hash", None)}


def generation_arguments(declaration: SystemDeclaration) -> dict[str, Any]:
    """Return the settings that are arguments of ``generate``."""
    return {key: value for key, value in declaration.settings.items() if key not in NOT_FOR_GENERATE}


def float_wav_bytes(waveform: Waveform, sample_rate: int) -> bytes:
    """Return a waveform (samples,) as a WAV file of 32-bit floats, without any rounding."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype="FLOAT")
    return file.getvalue()
