"""A checkpoint of a run, in one file or in shards, becomes a model folder that transformers opens. One
process is enough.
"""

from pathlib import Path
from typing import cast

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
from dia.config.compose import read_train_config
from dia.config.train import TrainConfig
from dia.errors import UserError, one_line
from dia.network import DiaNetwork
from dia.pipelines.build_model import spoken_sampling
from dia.training.checkpointing import CHECKPOINTS, newest
from dia.training.lora import add_adapters
from dia.training.run_folder import CONFIG

AVERAGE_PREFIX = "average.weights."
STATE_PREFIX = "state_dict."  # what Lightning puts before the names in shards


def consolidate(run: Path, out: Path) -> int:
    """Write the newest whole checkpoint of a run folder as a model folder, and return its step.

    As the run itself would export it: the average of the weights where one is kept, adapters merged. Raises
    :class:`UserError` when there is none, or ``out`` exists.
    """
    if out.exists():
        raise UserError(f"out={out} exists; name a folder that does not")
    config, kept = read_run_config(run), newest(run / CHECKPOINTS)
    if kept is None:
        raise UserError(
            f"{run} holds no whole checkpoint; name the folder of a run that has come as far as its first"
        )
    state = network_state(read_state(kept.path), config)
    if config.lora.rank:
        state = merge_tensors(state, config.lora.alpha / config.lora.rank)
    codec = load_codec(config.codec.name)
    sampling = OmegaConf.to_container(OmegaConf.structured(spoken_sampling(config)))
    save_state(config.model, state, out, CodecReference(codec.name, codec.fingerprint), cast(dict, sampling))
    return kept.manifest.step


def read_run_config(run: Path) -> TrainConfig:
    """Return the config that a run was started with. Raises :class:`UserError` when it is missing or no
    run's.
    """
    try:
        return read_train_config(cast(DictConfig, OmegaConf.load(run / CONFIG)))
    except (OmegaConfBaseException, OSError, ValueError) as error:
        raise UserError(
            f"{run / CONFIG} is no run's config ({one_line(error)}); name the folder of a run"
        ) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, without the optimizer's: of one file, or of a folder of
    shards.
    """
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
    """Return the network's tensors of a task's, the trained ones averaged where the task has an average."""
    with torch.device("meta"):
        network = DiaNetwork(config.model)
        if config.lora.rank:
            add_adapters(network, config.lora)
    found = {name: state[LIGHTNING_PREFIX + name] for name in network.state_dict()}
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    if config.ema.decay:
        found |= {name: state[f"{AVERAGE_PREFIX}{number}"] for number, name in enumerate(trained)}
    return found
