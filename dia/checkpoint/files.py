"""Read and write the files of checkpoints: JSON and tensors, without unpickling (`weights_only=True`)."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dia.errors import UserError, one_line


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises :class:`UserError` when it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy or download it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold a JSON object; copy or download it again")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_tensors(files: list[Path]) -> dict[str, Tensor]:
    """Return all tensors of the files (safetensors, or written by `torch.save`), each in its own type.

    Raises:
        UserError: When a file is missing, damaged, or holds anything but tensors by name.
    """
    tensors: dict[str, Tensor] = {}
    for path in files:
        tensors |= _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} is missing or damaged ({one_line(error)}); copy or download it again"
        ) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} is damaged, or holds more than weights ({type(error).__name__}); download it again"
        ) from error
    # Lightning stores the weights under this key, beside the optimizer's state
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(tensor, Tensor) for tensor in state.values())
    ):
        raise UserError(f"{path} holds no tensors by name; give the file of a Dia checkpoint")
    return state
