"""Open, save and convert checkpoints; saved folders can also be opened by transformers.

A folder holds config.json, generation_config.json and model.safetensors, and is written atomically.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dia.checkpoint import nari_layout, transformers_layout
from dia.checkpoint.files import write_json
from dia.checkpoint.locate import CONFIG, GENERATION, WEIGHTS
from dia.checkpoint.source import DEFAULT_SAMPLING, Source, read_source
from dia.codecs.registry import codec_shape
from dia.errors import UserError
from dia.network import DiaConfig, DiaNetwork

NARI_CODEC = "dac_44khz"  # the codec of nari's checkpoints, which their configs do not name
SHOWN = 5  # number of problems that a message lists


@dataclass(frozen=True)
class CodecReference:
    """The codec of a model: the name or path that opens it, and its fingerprint (empty when unknown)."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: the network in eval mode, its codec (None when unknown), its sampling values."""

    network: DiaNetwork
    codec: CodecReference | None
    sampling: dict[str, Any]


def load_checkpoint(
    path: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    cross_rope: bool | None = None,
    before_placing: Callable[[DiaNetwork], None] | None = None,
    config_path: str | Path | None = None,
) -> Checkpoint:
    """Open a checkpoint of any layout.

    Args:
        path: A folder, a weights file, or a Hub id.
        device: Device of the network.
        dtype: Type of the weights; norms stay in fp32.
        cross_rope: Overrides the generation that follows from the config.
        before_placing: Is called with the network while its weights are memory-mapped and of their own type,
            for example to quantize them without ever holding them in memory in full.
        config_path: A config.json that does not lie beside the weights.

    Raises:
        UserError: When files are missing, damaged, or of another architecture.
    """
    source = read_source(path, cross_rope, config_path)
    network, codec, sampling = network_of(source), codec_of(source), source.sampling
    del source  # it holds every tensor
    if before_placing is not None:
        before_placing(network)
    for name, parameter in network.named_parameters():
        parameter.data = parameter.data.to(device, torch.float32 if "norm" in name else dtype)
    return Checkpoint(network.eval(), codec, sampling)


def network_of(source: Source) -> DiaNetwork:
    """Return the network of a source with its weights in their own types; raises :class:`UserError`."""
    try:
        with torch.device("meta"):
            network = DiaNetwork(source.config)
    except ValueError as error:
        raise UserError(f"{source.located.path}: {error}") from error
    if problems := shape_problems(network, source.tensors):
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        shown = "; ".join(problems[:SHOWN]) + more
        raise UserError(f"the weights in {source.located.path} do not fit its config: {shown}; copy it again")
    network.load_state_dict(source.tensors, assign=True)
    return network


def shape_problems(network: DiaNetwork, tensors: dict[str, Tensor]) -> list[str]:
    """Return which tensors are missing, unknown, or of another shape than the network's."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    stored = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"{name} is missing" for name in sorted(expected.keys() - stored.keys())]
    problems += [f"{name} is unknown" for name in sorted(stored.keys() - expected.keys())]
    return problems + [
        f"{name} is {stored[name]}, its config requires {expected[name]}"
        for name in sorted(expected.keys() & stored.keys())
        if expected[name] != stored[name]
    ]


def codec_of(source: Source) -> CodecReference | None:
    """Return the codec that a source names; without a name, a model of DAC's shape is one of nari's."""
    if reference := source.extra.get("codec"):
        return CodecReference(reference["name"], reference["fingerprint"])
    shape = codec_shape(NARI_CODEC)
    if shape is None or (shape.channels, shape.codebook_size) != (
        source.config.channels,
        source.config.decoder.codebook_size,
    ):
        return None
    return CodecReference(NARI_CODEC, "")


def save_checkpoint(
    network: DiaNetwork, folder: Path, codec: CodecReference | None, sampling: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint folder that this package and transformers open, replacing an older one.

    Raises:
        OSError: As the file system does; the older folder is unchanged then.
    """
    save_state(network.config, network.state_dict(), folder, codec, sampling)


def save_state(
    config: DiaConfig,
    state: dict[str, Tensor],
    folder: Path,
    codec: CodecReference | None,
    sampling: dict[str, Any] | None = None,
) -> None:
    """Write the checkpoint folder of a state dict; see :func:`save_checkpoint`."""
    extra = {"codec": asdict(codec)} if codec else {}
    full_precision = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in state.items()}
    write_folder(
        folder,
        lambda temporary: _write_transformers(
            temporary, config, full_precision, extra, sampling or DEFAULT_SAMPLING
        ),
    )


def convert(source: Source, layout: str, folder: Path) -> None:
    """Write a source in the layout ``nari`` or ``transformers``, each tensor in its own type.

    Raises:
        UserError: For another layout, and when the weights do not fit the config.
    """
    if layout not in CONVERTERS:
        raise UserError(f"there is no layout {layout!r} to convert to; choose one of {', '.join(CONVERTERS)}")
    network_of(source)  # raises for weights that do not fit
    write_folder(
        folder,
        lambda temporary: CONVERTERS[layout](
            temporary, source.config, source.tensors, source.extra, source.sampling
        ),
    )


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary folder beside the target, then rename it to the target."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(temporary)
        os.chmod(temporary, 0o755)
        _replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_transformers(
    temporary: Path,
    config: DiaConfig,
    state: dict[str, Tensor],
    extra: dict[str, Any],
    sampling: dict[str, Any],
) -> None:
    content = transformers_layout.to_config_json(config, extra)
    content["dtype"] = str(state["decoder.layers.0.mlp.down_proj.weight"].dtype).removeprefix("torch.")
    write_json(temporary / CONFIG, content)
    write_json(temporary / GENERATION, transformers_layout.generation_config(config, sampling))
    save_file(transformers_layout.to_tensors(state), temporary / WEIGHTS, metadata={"format": "pt"})


def _write_nari(
    temporary: Path,
    config: DiaConfig,
    state: dict[str, Tensor],
    extra: dict[str, Any],
    sampling: dict[str, Any],
) -> None:
    """Write nari's layout, without sampling values; the first generation has a nested config.json."""
    flat = transformers_layout.to_config_json(config, extra)
    for part in ("encoder_config", "decoder_config"):
        flat[part]["rope_theta"] = config.rope_theta  # the name that nari's reader expects
    write_json(
        temporary / CONFIG, nari_layout.to_nested_config(config) if config.cross_rope and not extra else flat
    )
    save_file(nari_layout.to_nari_tensors(state, config), temporary / WEIGHTS, metadata={"format": "pt"})


CONVERTERS = {"transformers": _write_transformers, "nari": _write_nari}


def _replace(temporary: Path, folder: Path) -> None:
    """Rename ``temporary`` to ``folder``; an older folder is renamed first and removed last."""
    if not folder.exists():
        temporary.rename(folder)
        return
    older = folder.with_name(f".{folder.name}-older-{os.getpid()}")
    folder.rename(older)
    temporary.rename(folder)
    shutil.rmtree(older)
