"""Read files of tensors from outside with ``weights_only=True``, and write them with errors that say why.

Nothing is unpickled but tensors and plain values. A file costs no more memory than it has bytes: a tensor
that claims more values than are stored is refused, and so is a file whose opening could wait for ever, such
as a FIFO.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dia.errors import UserError, one_line
from dia.files import require_regular_file


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, memory-mapped.

    Raises:
        UserError: When it is missing or damaged.
    """
    try:
        require_regular_file(path)
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} is missing or damaged ({one_line(error)}); copy or download it again"
        ) from error


def read_pickled(path: Path, *, mmap: bool = True) -> Any:
    """Return what `torch.save` wrote: tensors and plain values.

    Raises:
        UserError: When the file is missing, damaged, or holds anything else.
    """
    try:
        require_regular_file(path)
        _require_uncompressed(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch's reader raises errors of any type for bytes that torch did not write
        raise UserError(
            f"{path} is missing or damaged, or holds more than weights "
            f"({type(error).__name__}); copy or download "
            "it again"
        ) from error


def write_pickled(content: Mapping[str, Any], path: str | Path) -> None:
    """Write tensors and plain values as `torch.save` does; :func:`read_pickled` reads them.

    Python writes the file: torch's own writer loses the `errno` of a write that the file system refuses.

    Raises:
        OSError: When the file system refuses a write (:func:`dia.files.refused_write` takes it from torch's
            error, too).
    """
    with open(path, "wb") as file:
        torch.save(content, file)


def _require_uncompressed(path: Path) -> None:
    """Raise ``ValueError`` for an archive that is larger unpacked; `torch.save` does not compress."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("the archive is compressed")


def tensor_problems(tensors: Mapping[Any, Any]) -> list[str]:
    """Return which values are no ordinary tensors that are stored as a whole.

    A pickle of a few bytes can describe a tensor of any size whose values are all the same one; its first
    copy would take the memory.
    """
    problems = []
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            problems.append(f"{name!r} is no tensor with a name")
        elif tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            problems.append(f"{name} is no dense tensor")
        elif tensor.nbytes > tensor.untyped_storage().nbytes():
            problems.append(f"{name} of the shape {tuple(tensor.shape)} is larger than what is stored of it")
    return problems


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return a sentence for each tensor that has NaN or infinite values."""
    return [
        f"{name} has values that are not finite"
        for name, tensor in sorted(tensors.items())
        if not is_finite(tensor)
    ]


def is_finite(tensor: Tensor) -> bool:
    """Return whether all values are finite: one pass without a copy, also over memory-mapped weights."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = tensor.detach().aminmax()  # NaN if any value is NaN
    return bool(low.isfinite() & high.isfinite())
