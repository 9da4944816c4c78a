"""Open a checkpoint by name with its codec, adapter and quantization, for `Dia` and the benchmark."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import torch

from dia.checkpoint import Checkpoint, load_checkpoint
from dia.checkpoint.adapter import load_adapter, merge_adapter
from dia.checkpoint.codec import CodecReference
from dia.checkpoint.hub import Selection
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.protocol import Codec, require_codec
from dia.codecs.registry import load_codec, load_stated_codec
from dia.errors import UserError
from dia.inference.quantization import quantize
from dia.network import DiaNetwork

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class ComputeDtype(StrEnum):
    """Data types to compute in, under the names of nari-labs/dia."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"

    def to_dtype(self) -> torch.dtype:
        """Return torch's data type."""
        return DTYPES[self.value]


def torch_dtype(compute_dtype: str | ComputeDtype | torch.dtype) -> torch.dtype:
    """Return the data type of a name. Raises :class:`UserError` for an unknown one."""
    name = str(compute_dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise UserError(f"compute_dtype={compute_dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
    return DTYPES[name]


def default_device() -> torch.device:
    """Return a GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def open_checkpoint(
    name: str,
    compute_dtype: torch.dtype,
    device: torch.device,
    cross_rope: bool | None,
    quantization: str | None,
    config_path: str | Path | None,
    adapter: str | None = None,
    selection: Selection = Selection(),
) -> Checkpoint:
    """Open a checkpoint, merge an adapter into its weights and quantize it, as requested.

    On a CPU the network is quantized while its weights are still memory-mapped, so that the full-precision
    weights never need memory; on a GPU it is quantized after it was moved there.

    Raises:
        UserError: For an unknown quantization, for an adapter that does not fit, and as
            :func:`dia.checkpoint.load_checkpoint` does.
    """
    quantize_mapped = quantization is not None and device.type == "cpu"

    def before_placing(network: DiaNetwork) -> None:
        if adapter is not None:
            merge_adapter(network, load_adapter(adapter), f"the adapter {adapter}")
        if quantization and quantize_mapped:
            quantize(network, quantization)

    checkpoint = load_checkpoint(
        resolve_checkpoint(name), device, compute_dtype, cross_rope, before_placing, config_path, selection
    )
    if quantization and not quantize_mapped:
        quantize(checkpoint.network, quantization)
    return checkpoint if adapter is None else replace(checkpoint, vocabulary=None)  # it may teach words


def open_codec(reference: CodecReference | None, codec: str | None, name: str, device: torch.device) -> Codec:
    """Open the codec that the checkpoint ``name`` refers to, or ``codec`` in its place.

    Raises:
        UserError: When no codec is named, when it cannot be opened, and when it is not the codec that the
            checkpoint was trained with.
    """
    if reference is None and codec is None:
        raise UserError(f"{name} names no codec; give one with codec=... (dac_44khz for Dia-1.6B)")
    if codec is None and reference is not None:
        return load_stated_codec(reference.name, reference.fingerprint, name, str(device))
    opened = load_codec(codec or "", str(device))
    if reference and reference.fingerprint:
        require_codec(opened, reference.fingerprint, name)
    return opened
