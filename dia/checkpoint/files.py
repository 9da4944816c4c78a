"""Read and write the files of checkpoints: JSON and tensors."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from dia.documents import read_json_object
from dia.errors import UserError, one_line
from dia.tensor_files import read_pickled, read_safetensors, tensor_problems


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises :class:`UserError` when it is missing or damaged."""
    try:
        return read_json_object(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}); copy or download it again") from error


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
        tensors |= read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return tensors


def _read_torch(path: Path) -> dict[str, Tensor]:
    content = read_pickled(path)
    # Lightning stores the weights under this key, beside the optimizer's state
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} holds no tensors by name; give the file of a Dia checkpoint")
    if problems := tensor_problems(state):
        raise UserError(f"{path} holds no tensors by name: {problems[0]}; give the file of a Dia checkpoint")
    return state
