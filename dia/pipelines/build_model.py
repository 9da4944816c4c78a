"""Build the network that a run starts with: random or a checkpoint's, with adapters, and its objective."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L

from dia.checkpoint import load_checkpoint
from dia.checkpoint.adapter import Base, weights_fingerprint
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.protocol import Codec, require_codec
from dia.config.sampling import Sampling
from dia.config.train import TrainConfig
from dia.documents import read_json_object
from dia.errors import UserError, one_line
from dia.files import write_text
from dia.network import DiaNetwork
from dia.training.lora import add_adapters
from dia.training.objectives import Objective, objective_type

BASE = "base.json"  # in the run folder: which weights training started from


@dataclass(frozen=True)
class InitialModel:
    """The network to train, its objective, and the checkpoint that it comes from (None: random weights)."""

    network: DiaNetwork
    objective: Objective
    base: Base | None


def build_model(config: TrainConfig, codec: Codec) -> InitialModel:
    """Return what a run starts with, a function of the config, its seed and the checkpoint only.

    Raises :class:`UserError` when the checkpoint is missing, corrupt, or belongs to another codec.
    """
    L.seed_everything(config.seed, verbose=False)
    network = initial_network(config, codec)
    base = (
        Base(config.init_from, weights_fingerprint(network.state_dict().items()))
        if config.init_from
        else None
    )
    objective = objective_type(config.objective).from_config(config, network)
    if config.lora.rank:
        add_adapters(network, config.lora)
    return InitialModel(network.train(), objective, base)


def initial_network(config: TrainConfig, codec: Codec) -> DiaNetwork:
    """Return random weights, or those of the checkpoint `init_from`. Raises as :func:`build_model` does."""
    if not config.init_from:
        return DiaNetwork(config.model, config.initializer_range)
    loaded = load_checkpoint(resolve_checkpoint(config.init_from))
    if loaded.codec is not None and loaded.codec.fingerprint:
        require_codec(codec, loaded.codec.fingerprint, f"init_from={config.init_from}")
    return loaded.network


def write_base(folder: Path, base: Base | None) -> None:
    """Record in the run folder which weights the run started from."""
    if base is not None:
        write_text(folder / BASE, json.dumps(asdict(base)) + "\n")


def require_same_base(folder: Path, base: Base | None) -> None:
    """Raise :class:`UserError` if the checkpoint `init_from` has changed since the run started."""
    note = folder / BASE
    if base is None or not note.is_file():
        return
    try:
        recorded = read_json_object(note).get("fingerprint")
    except (OSError, ValueError) as error:
        raise UserError(f"{note} is damaged ({one_line(error)}); restore it, or start another run") from error
    if recorded != base.fingerprint:
        raise UserError(
            f"init_from={base.name} has other weights than at the start of the run {folder}, which therefore "
            "cannot be resumed exactly; restore the old checkpoint, or start another run"
        )


def inference_sampling(config: TrainConfig) -> Sampling:
    """Return the sampling of the trained network, which its objective may change."""
    return objective_type(config.objective).inference_sampling(config.sampling)
