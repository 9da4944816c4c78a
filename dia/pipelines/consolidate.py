"""Convert a training checkpoint, in one file or in shards, to a model folder; one process suffices."""

from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader, load
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from dia.checkpoint import CodecReference
from dia.checkpoint.adapter import merge_tensors
from dia.checkpoint.folder import save_state
from dia.checkpoint.source import LIGHTNING_PREFIX
from dia.codecs.registry import load_codec
from dia.config.stored import read_run_config as parse_run_config
from dia.config.train import TrainConfig
from dia.errors import UserError, one_line
from dia.network import DiaNetwork
from dia.pipelines.build_model import inference_sampling
from dia.training.checkpointing import CHECKPOINTS, newest
from dia.training.lora import add_adapters
from dia.training.run_folder import CONFIG

AVERAGE_PREFIX = "average.weights."
STATE_PREFIX = "state_dict."  # of names in Lightning's sharded checkpoints


def consolidate(run: Path, out: Path) -> int:
    """Write the newest intact checkpoint of a run folder as a model folder, and return its step.

    The result is what the run itself would export: averaged weights if it has an EMA, adapters merged. Raises
    :class:`UserError` when there is no checkpoint, or ``out`` exists.
    """
    if out.exists():
        raise UserError(f"out={out} exists; choose a folder that does not exist")
    config, saved = read_run_config(run), newest(run / CHECKPOINTS)
    if saved is None:
        raise UserError(f"{run} holds no intact checkpoint; name a run folder that has one")
    state = network_state(read_state(saved.path), config)
    if config.lora.rank:
        state = merge_tensors(state, config.lora.alpha / config.lora.rank)
    codec = load_codec(config.codec.name)
    sampling = OmegaConf.to_container(OmegaConf.structured(inference_sampling(config)))
    save_state(
        config.model,
        state,
        out,
        CodecReference(codec.name, codec.fingerprint),
        cast(dict[str, Any], sampling),
    )
    return saved.manifest.step


def read_run_config(run: Path) -> TrainConfig:
    """Return the config of a run folder. Raises :class:`UserError` when it is missing or invalid."""
    try:
        config = parse_run_config(cast(DictConfig, OmegaConf.load(run / CONFIG)))
    except (OmegaConfBaseException, OSError, ValueError) as error:
        raise UserError(
            f"{run / CONFIG} is not the config of a run ({one_line(error)}); name a run folder"
        ) from error
    if not isinstance(config, TrainConfig):
        raise UserError(f"{run} is a run of task={config.task}; its codec is in {run / 'model'}")
    return config


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint file or folder of shards by name, without the optimizer's."""
    if path.is_file():
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return cast(dict[str, Tensor], content["state_dict"])
    reader = FileSystemReader(path)
    stored = reader.read_metadata().state_dict_metadata
    state = {
        name: torch.empty(tensor.size, dtype=tensor.properties.dtype)
        for name, tensor in stored.items()
        if name.startswith(STATE_PREFIX) and isinstance(tensor, TensorStorageMetadata)
    }
    load(state, storage_reader=reader, no_dist=True)
    return {name.removeprefix(STATE_PREFIX): tensor for name, tensor in state.items()}


def network_state(state: dict[str, Tensor], config: TrainConfig) -> dict[str, Tensor]:
    """Return the network's tensors from the Lightning module's, from its EMA if it has one."""
    with torch.device("meta"):
        network = DiaNetwork(config.model)
        if config.lora.rank:
            add_adapters(network, config.lora)
    tensors = {name: state[LIGHTNING_PREFIX + name] for name in network.state_dict()}
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    if config.ema.decay:
        tensors |= {name: state[f"{AVERAGE_PREFIX}{number}"] for number, name in enumerate(trained)}
    return tensors
