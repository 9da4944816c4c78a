"""Save and convert checkpoints; saved folders can also be opened by transformers.

A folder holds config.json, generation_config.json, the weights, a model card, and the files of transformers'
processor (:mod:`dia.checkpoint.model_card`); it is written atomically.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dia.checkpoint import nari_layout, transformers_layout
from dia.checkpoint.codec import CodecReference, codec_reference
from dia.checkpoint.files import write_json
from dia.checkpoint.load import network_of
from dia.checkpoint.model_card import model_card, processor_files
from dia.checkpoint.names import CONFIG, FIRST_GENERATION_WEIGHTS, GENERATION, VOCABULARY, WEIGHTS
from dia.checkpoint.source import DEFAULT_SAMPLING, Source
from dia.config.config_json import to_config_json, to_nested_config
from dia.errors import UserError
from dia.files import make_folder, storing
from dia.network import DiaConfig, DiaNetwork

CARD = "README.md"
FIRST_MODEL_TYPE = "dia_first_generation"


def save_checkpoint(
    network: DiaNetwork, folder: Path, codec: CodecReference | None, sampling: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint folder that this package and transformers open, replacing an older one.

    A network of the first generation is written so that transformers does not open it.

    Raises:
        StorageError: When the folder cannot be written; the older folder is unchanged then.
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
    chosen = sampling or DEFAULT_SAMPLING
    others = transformers_layout.extra_sampling(chosen)
    extra = ({"codec": asdict(codec)} if codec else {}) | ({"sampling": others} if others else {})
    full_precision = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in state.items()}
    write = _write_first_generation if config.cross_rope else _write_transformers
    write_folder(folder, lambda temporary: write(temporary, config, full_precision, extra, chosen))


def convert(source: Source, layout: str, folder: Path) -> None:
    """Write a source in the layout ``nari`` or ``transformers``, each tensor in its own type.

    Raises:
        UserError: For another layout, for the first generation in the layout of transformers, which would run
            it wrongly, and when the weights do not fit the config.
    """
    if layout not in CONVERTERS:
        raise UserError(f"there is no layout {layout!r} to convert to; choose one of {', '.join(CONVERTERS)}")
    if layout == "transformers":
        transformers_layout.require_transformers_generation(source.config, source.located.path)
    network_of(source)  # raises for weights that do not fit
    write_folder(folder, lambda temporary: _write_source(CONVERTERS[layout], temporary, source))


def write_model_files(source: Source, folder: Path, codec: CodecReference | None) -> None:
    """Write the files of a model into an existing folder, each tensor in its own type.

    ``codec`` replaces the codec that the source names. Raises :class:`UserError` for weights that do not fit
    the config.
    """
    network_of(source)
    extra = source.extra | ({"codec": asdict(codec)} if codec else {})
    write = _write_first_generation if source.config.cross_rope else _write_transformers
    _write_source(write, folder, replace(source, extra=extra))


def _write_source(write: Callable[..., None], folder: Path, source: Source) -> None:
    write(folder, source.config, source.tensors, source.extra, source.sampling)
    if source.vocabulary is not None:
        source.vocabulary.write(folder / VOCABULARY)


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary folder beside the target, then rename it to the target.

    Raises:
        StorageError: When the folder cannot be written; nothing of it remains then.
    """
    make_folder(folder.parent)
    with storing(folder):
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
    content = to_config_json(config, extra) | {"dtype": _dtype_name(state)}
    codec = codec_reference(config, extra)
    write_json(temporary / CONFIG, content)
    write_json(temporary / GENERATION, transformers_layout.generation_config(config, sampling))
    for name, description in processor_files(config, codec).items():
        write_json(temporary / name, description)
    _write_card(temporary, config, codec, sampling)
    save_file(transformers_layout.to_tensors(state), temporary / WEIGHTS, metadata={"format": "pt"})


def _write_first_generation(
    temporary: Path,
    config: DiaConfig,
    state: dict[str, Tensor],
    extra: dict[str, Any],
    sampling: dict[str, Any],
) -> None:
    """Write weights under a name that transformers does not look for: it would run them wrongly."""
    content = to_config_json(config, extra) | {"dtype": _dtype_name(state), "model_type": FIRST_MODEL_TYPE}
    write_json(temporary / CONFIG, content | {"architectures": []})
    write_json(temporary / GENERATION, transformers_layout.generation_config(config, sampling))
    _write_card(temporary, config, codec_reference(config, extra), sampling)
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(tensors, temporary / FIRST_GENERATION_WEIGHTS, metadata={"format": "pt"})


def _write_nari(
    temporary: Path,
    config: DiaConfig,
    state: dict[str, Tensor],
    extra: dict[str, Any],
    sampling: dict[str, Any],
) -> None:
    """Write nari's layout, without sampling values; the first generation has a nested config.json."""
    if config.cross_rope:  # nari's code of today has no rotary cross-attention, its first release reads this
        content = to_nested_config(config) | ({"dia": extra} if extra else {})
    else:
        content = to_config_json(config, extra)
        for part in ("encoder_config", "decoder_config"):
            content[part]["rope_theta"] = config.rope_theta  # the name that nari's reader expects
    write_json(temporary / CONFIG, content)
    save_file(nari_layout.to_nari_tensors(state, config), temporary / WEIGHTS, metadata={"format": "pt"})


def _write_card(
    folder: Path, config: DiaConfig, codec: CodecReference | None, sampling: dict[str, Any]
) -> None:
    """Write the model card of a checkpoint folder."""
    (folder / CARD).write_text(model_card(config, codec, sampling), encoding="utf-8")


def _dtype_name(state: dict[str, Tensor]) -> str:
    return str(state["decoder.layers.0.mlp.down_proj.weight"].dtype).removeprefix("torch.")


CONVERTERS = {"transformers": _write_transformers, "nari": _write_nari}


def _replace(temporary: Path, folder: Path) -> None:
    """Rename ``temporary`` to ``folder``; an older folder is renamed first and removed last."""
    if not folder.exists():
        temporary.rename(folder)
        return
    older = folder.with_name(f".{folder.name}-older-{os.getpid()}")
    folder.rename(older)
    try:
        temporary.rename(folder)
    except OSError:
        older.rename(folder)
        raise
    shutil.rmtree(older)
