"""Opening and saving checkpoints. What is saved is a folder that transformers opens too: config.json,
generation_config.json, model.safetensors; written whole or not at all.
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
from dia.errors import UserError
from dia.network import DiaConfig, DiaNetwork

DAC_SHAPE = (
    9,
    1024,
)  # channels and codebook of dac_44khz, which nari's checkpoints speak through without saying so


@dataclass(frozen=True)
class CodecReference:
    """Which codec a model's codes are of: the name or path it opens by, and the sha256 over its weights
    (empty: not known).
    """

    name: str
    fingerprint: str


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: the network in eval mode, its codec (None when nothing names one), its sampling
    values.
    """

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
    """Open a checkpoint of any layout: a folder, a file or a Hub id. Norms stay fp32 whatever ``dtype`` is.

    ``config_path`` is a config.json that does not lie beside the weights.
    ``before_placing`` may change the network while its weights still lie in the file (in their own type,
    mapped): what makes them smaller needs no memory for the whole.

    Raises :class:`UserError` when something is missing, damaged, or of another architecture.
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
    """Return the network that a source describes, its weights in their own types."""
    try:
        with torch.device("meta"):
            network = DiaNetwork(source.config)
    except ValueError as error:
        raise UserError(f"{source.located.path}: {error}") from error
    if problems := shape_problems(network, source.tensors):
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise UserError(f"the weights in {source.located.path} do not fit its config: {shown}")
    network.load_state_dict(source.tensors, assign=True)
    return network


def shape_problems(network: DiaNetwork, tensors: dict[str, Tensor]) -> list[str]:
    """Return which tensors are missing, unknown, or of another shape than the network's."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"lacks {name}" for name in sorted(wanted.keys() - found.keys())]
    problems += [f"has the unknown {name}" for name in sorted(found.keys() - wanted.keys())]
    return problems + [
        f"{name} is {found[name]}, its config says {wanted[name]}"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]


def codec_of(source: Source) -> CodecReference | None:
    """Return the codec that a source names; one that says nothing and has DAC's shape is one of nari's."""
    if reference := source.extra.get("codec"):
        return CodecReference(reference["name"], reference["fingerprint"])
    shape = source.config.channels, source.config.decoder.codebook_size
    return CodecReference("dac_44khz", "") if shape == DAC_SHAPE else None


def save_checkpoint(
    network: DiaNetwork, folder: Path, codec: CodecReference | None, sampling: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint folder that both this package and transformers open; an older one there is replaced.

    Raises ``OSError`` as the file system does; then the older folder is still whole.
    """
    save_state(network.config, network.state_dict(), folder, codec, sampling)


def save_state(
    config: DiaConfig,
    state: dict[str, Tensor],
    folder: Path,
    codec: CodecReference | None,
    sampling: dict[str, Any] | None = None,
) -> None:
    """Write what :func:`save_checkpoint` does of a network of which the state is at hand. Raises as it
    does.
    """
    extra = {"codec": asdict(codec)} if codec else {}
    whole = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in state.items()}
    write_folder(
        folder, lambda made: _write_transformers(made, config, whole, extra, sampling or DEFAULT_SAMPLING)
    )


def convert(source: Source, layout: str, folder: Path) -> None:
    """Write a source in the layout ``nari`` or ``transformers``, every tensor in its own type.

    Raises :class:`UserError` for another layout and when the weights do not fit the config.
    """
    if layout not in CONVERTERS:
        raise UserError(f"there is no layout {layout!r} to convert to; choose one of {', '.join(CONVERTERS)}")
    network_of(source)  # refuses weights that do not fit
    write_folder(
        folder,
        lambda made: CONVERTERS[layout](made, source.config, source.tensors, source.extra, source.sampling),
    )


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder beside the target, then put it in the target's place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(made)
        os.chmod(made, 0o755)
        _replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write_transformers(
    made: Path, config: DiaConfig, state: dict[str, Tensor], extra: dict[str, Any], sampling: dict[str, Any]
) -> None:
    content = transformers_layout.to_config_json(config, extra)
    content["dtype"] = str(state["decoder.layers.0.mlp.down_proj.weight"].dtype).removeprefix("torch.")
    write_json(made / CONFIG, content)
    write_json(made / GENERATION, transformers_layout.generation_config(config, sampling))
    save_file(transformers_layout.to_tensors(state), made / WEIGHTS, metadata={"format": "pt"})


def _write_nari(
    made: Path, config: DiaConfig, state: dict[str, Tensor], extra: dict[str, Any], sampling: dict[str, Any]
) -> None:
    """The first generation gets its nested config.json, which is what tells it apart; sampling values have no
    place here.
    """
    flat = transformers_layout.to_config_json(config, extra)
    for part in ("encoder_config", "decoder_config"):
        flat[part]["rope_theta"] = config.rope_theta  # nari's reader knows it under this name
    write_json(
        made / CONFIG, nari_layout.to_nested_config(config) if config.cross_rope and not extra else flat
    )
    save_file(nari_layout.to_nari_tensors(state, config), made / WEIGHTS, metadata={"format": "pt"})


CONVERTERS = {"transformers": _write_transformers, "nari": _write_nari}


def _replace(made: Path, folder: Path) -> None:
    """Put ``made`` in the place of ``folder``; between the two renames the older one has another name, never
    a hole.
    """
    if not folder.exists():
        made.rename(folder)
        return
    older = folder.with_name(f".{folder.name}-older-{os.getpid()}")
    folder.rename(older)
    made.rename(folder)
    shutil.rmtree(older)
