"""What the models that run here have in common: a device, a seed, and sound as the bytes of a float WAV
file.
"""

import io
from collections.abc import Callable
from typing import Any, TypeVar

import soundfile
import torch

from dia.errors import UserError, one_line
from dia.systems.declaration import Declaration
from dia.types import Waveform

Loaded = TypeVar("Loaded")


def device_of(declaration: Declaration) -> torch.device:
    """Return the device that ``settings.device`` names, else a GPU when there is one."""
    named = declaration.settings.get("device")
    return torch.device(named or ("cuda" if torch.cuda.is_available() else "cpu"))


def load(declaration: Declaration, read: Callable[[], Loaded]) -> Loaded:
    """Return what ``read`` loads. Raises :class:`UserError` with the reason when the model is not to be had
    here.
    """
    try:
        return read()
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"system {declaration.name} is not available here: {declaration.model} cannot be opened ({one_line(error)}); "
            "download it, or name a folder with system.model=PATH"
        ) from error


def pinned(declaration: Declaration) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` that say which commit of a Hub id."""
    return {"revision": declaration.revision} if declaration.revision else {}


def placed(network: Any, declaration: Declaration) -> Any:
    """Return a network on its device, ready to generate."""
    return network.to(device_of(declaration)).eval()


def told(body: dict[str, Any], network: Any) -> dict[str, Any]:
    """Return a request's body with the commit that the network was loaded from, None for a folder."""
    return {**body, "revision": getattr(network.config, "_commit_hash", None)}


def generation(declaration: Declaration) -> dict[str, Any]:
    """Return the arguments of ``generate``: the settings, less those that are ours."""
    return {key: value for key, value in declaration.settings.items() if key not in ("device", "codec")}


def wav_bytes(waveform: Waveform, sample_rate: int) -> bytes:
    """Return a waveform (samples,) as the bytes of a WAV file of 32-bit floats: what the model made, to the
    bit.
    """
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype="FLOAT")
    return file.getvalue()
