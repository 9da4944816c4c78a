"""A checkpoint folder: config.json, generation_config.json, model.safetensors; written whole or not at all.

Weights are read as safetensors only; nothing is unpickled.
"""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dia.checkpoint.transformers_layout import (
    from_config_json,
    from_tensors,
    generation_config,
    to_config_json,
    to_tensors,
)
from dia.errors import UserError
from dia.network import DiaNetwork

CONFIG, GENERATION, WEIGHTS, INDEX = (
    "config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json",
)  # fmt: skip
DEFAULT_SAMPLING = {"cfg_scale": 3.0, "temperature": 1.2, "top_p": 0.95, "cfg_filter_top_k": 45}


@dataclass(frozen=True)
class CodecReference:
    """Which codec a model's codes are of: the name or path it opens by, and the sha256 over its weights."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: the network in eval mode, its codec (None when the folder names none), its sampling values."""

    network: DiaNetwork
    codec: CodecReference | None
    sampling: dict[str, Any]


def save_checkpoint(
    network: DiaNetwork, folder: Path, codec: CodecReference | None, sampling: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint folder that both this package and transformers open; an older one there is replaced.

    Raises ``OSError`` as the file system does; then the older folder is still whole.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        extra = {"codec": asdict(codec)} if codec else {}
        _write_json(made / CONFIG, to_config_json(network.config, extra))
        _write_json(made / GENERATION, generation_config(network.config, sampling or DEFAULT_SAMPLING))
        state = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in network.state_dict().items()}
        save_file(to_tensors(state), made / WEIGHTS, metadata={"format": "pt"})
        os.chmod(made, 0o755)
        _replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Open a checkpoint folder or Hub id. Norms stay fp32 whatever ``dtype`` is.

    Raises :class:`UserError` when the folder or a file is missing, damaged, or of another architecture.
    """
    folder = find_folder(path)
    content = _read_json(folder / CONFIG)
    network = _empty_network(content, folder)
    tensors = from_tensors(_read_tensors(folder))
    _require_same_tensors(network, tensors, folder)
    network.load_state_dict(tensors, assign=True)
    for name, parameter in network.named_parameters():
        parameter.data = parameter.data.to(device, torch.float32 if "norm" in name else dtype)
    reference = content.get("dia", {}).get("codec")
    codec = CodecReference(reference["name"], reference["fingerprint"]) if reference else None
    return Checkpoint(network.eval(), codec, _sampling(folder))


def find_folder(path: str | Path) -> Path:
    """Return the folder of a checkpoint: a folder with config.json, a run folder (its `model`), or a Hub download."""
    folder = Path(path)
    for candidate in (folder, folder / "model"):
        if (candidate / CONFIG).is_file():
            return candidate
    if folder.exists():
        raise UserError(f"{folder} holds no checkpoint: there is no {CONFIG} in it or in its `model`; name a run or model folder")
    if str(path).count("/") != 1 or str(path).startswith((".", "/")):
        raise UserError(f"there is no checkpoint at {path}; name a run folder, a model folder or a Hub id (owner/name)")
    return _download(str(path))


def _download(hub_id: str) -> Path:
    """Fetch a checkpoint from the Hub into its cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=[CONFIG, GENERATION, "*.safetensors", INDEX]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{hub_id} is no folder here and cannot be had from the Hub ({type(error).__name__}); check name and network"
        ) from error


def _empty_network(content: dict[str, Any], folder: Path) -> DiaNetwork:
    try:
        with torch.device("meta"):
            return DiaNetwork(from_config_json(content))
    except KeyError as error:
        raise UserError(f"{folder / CONFIG} is not a Dia config in the transformers layout: it lacks {error}") from error


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    index = folder / INDEX
    names = sorted(set(_read_json(index)["weight_map"].values())) if index.is_file() else [WEIGHTS]
    tensors: dict[str, Tensor] = {}
    for name in names:
        try:
            tensors |= load_file(folder / name)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{folder / name} is missing or damaged ({error}); copy or download it again") from error
    return tensors


def _require_same_tensors(network: DiaNetwork, tensors: dict[str, Tensor], folder: Path) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted == found:
        return
    problems = [f"lacks {name}" for name in sorted(wanted.keys() - found.keys())]
    problems += [f"has the unknown {name}" for name in sorted(found.keys() - wanted.keys())]
    problems += [
        f"{name} is {found[name]}, its config says {wanted[name]}"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    raise UserError(f"the weights in {folder} do not fit its config: {shown}")


def _sampling(folder: Path) -> dict[str, Any]:
    """Sampling values of the checkpoint; what its generation config leaves out is Dia's default."""
    names = {"cfg_scale": "guidance_scale", "temperature": "temperature", "top_p": "top_p", "cfg_filter_top_k": "top_k"}
    content = _read_json(folder / GENERATION) if (folder / GENERATION).is_file() else {}
    return {ours: content.get(theirs, DEFAULT_SAMPLING[ours]) for ours, theirs in names.items()}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy or download it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold a JSON object; copy or download it again")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _replace(made: Path, folder: Path) -> None:
    """Put ``made`` in the place of ``folder``; between the two renames the older one has another name, never a hole."""
    if not folder.exists():
        made.rename(folder)
        return
    older = folder.with_name(f".{folder.name}-older-{os.getpid()}")
    folder.rename(older)
    made.rename(folder)
    shutil.rmtree(older)
