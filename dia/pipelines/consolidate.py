"""Convert a training checkpoint, in one file or in shards, to a model folder; one process suffices."""

from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import OmegaConf
from torch import Tensor

from dia.checkpoint import CodecReference
from dia.checkpoint.adapter import merge_tensors
from dia.checkpoint.codec import codec_reference
from dia.checkpoint.files import read_tensors
from dia.checkpoint.save import save_state
from dia.checkpoint.source import LIGHTNING_PREFIX, read_description
from dia.codecs.protocol import Codec
from dia.codecs.registry import load_codec, load_stated_codec
from dia.config.stored import read_run_config as parse_run_config
from dia.config.train import TrainConfig
from dia.errors import UserError
from dia.network import DiaNetwork
from dia.pipelines.build_model import inference_sampling
from dia.training.checkpointing import CHECKPOINTS, newest
from dia.training.lora import add_adapters
from dia.training.run_folder import CONFIG
from dia.training.run_inputs import read_inputs
from dia.training.shards import read_shards

AVERAGE_PREFIX = "average.weights."
STATE_PREFIX = "state_dict."  # of names in Lightning's sharded checkpoints


def consolidate(run: Path, out: Path, codec_name: str = "") -> int:
    """Write the newest intact checkpoint of a run folder as a model folder, and return its step.

    The result is what the run itself would export: averaged weights if it has an EMA, adapters merged.
    ``codec_name`` opens the codec in place of the name in the run's config.

    Raises:
        UserError: When there is no checkpoint, when it is damaged, or when ``out`` exists.
    """
    if out.exists():
        raise UserError(f"out={out} exists; choose a folder that does not exist")
    config, saved = read_run_config(run), newest(run / CHECKPOINTS)
    if saved is None:
        raise UserError(f"{run} holds no intact checkpoint; name a run folder that has one")
    state = network_state(read_state(saved.path), config)
    if config.lora.rank:
        state = merge_tensors(state, config.lora.alpha / config.lora.rank)
    codec = load_codec(codec_name) if codec_name else _codec_of(run, config)
    sampling = OmegaConf.to_container(OmegaConf.structured(inference_sampling(config)))
    save_state(
        config.model,
        state,
        out,
        CodecReference(codec.name, codec.fingerprint),
        cast(dict[str, Any], sampling),
    )
    return saved.manifest.step


def _codec_of(run: Path, config: TrainConfig) -> Codec:
    """Open the codec of a run, by the fingerprint that the run recorded. Raises :class:`UserError`."""
    inputs = read_inputs(run)
    if not inputs.codec_fingerprint and (run / "model").is_dir():
        exported = codec_reference(*read_description(run / "model"))
        return load_stated_codec(config.codec.name, exported.fingerprint if exported else "", str(run))
    return load_stated_codec(config.codec.name, inputs.codec_fingerprint, str(run))


def read_run_config(run: Path) -> TrainConfig:
    """Return the config of a run folder. Raises :class:`UserError` when it is missing or invalid."""
    config = parse_run_config(run / CONFIG)
    if not isinstance(config, TrainConfig):
        raise UserError(f"{run} is a run of task={config.task}; its codec is in {run / 'model'}")
    return config


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint file or folder of shards by name, without the optimizer's.

    Raises :class:`UserError` when it is damaged, or of an earlier version.
    """
    return read_tensors([path]) if path.is_file() else read_shards(path, STATE_PREFIX)


def network_state(state: dict[str, Tensor], config: TrainConfig) -> dict[str, Tensor]:
    """Return the network's tensors from the Lightning module's, from its EMA if it has one.

    Raises :class:`UserError` for a state of another network than the config describes.
    """
    if problems := config.model.problems():
        raise UserError("the config of the run describes no network: " + "; ".join(problems))
    with torch.device("meta"):
        network = DiaNetwork(config.model)
        if config.lora.rank:
            add_adapters(network, config.lora)
    names = {name: LIGHTNING_PREFIX + name for name in network.state_dict()}
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    if config.ema.decay:
        names |= {name: f"{AVERAGE_PREFIX}{number}" for number, name in enumerate(trained)}
    if missing := sorted(stored for stored in names.values() if stored not in state):
        raise UserError(
            f"the checkpoint lacks {missing[0]}, which its config describes; {len(missing)} tensors in all"
        )
    return {name: state[stored] for name, stored in names.items()}
