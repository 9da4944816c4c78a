"""Adapters of low rank: what LoRA learned, apart from the checkpoint that it was learned on.

A folder in PEFT's layout, `adapter_config.json` and `adapter_model.safetensors`, so that PEFT opens it on
transformers' own Dia (our submodules carry transformers' names). The key `dia` of the config, which PEFT
ignores, tells the base: its shape, and a fingerprint of its weights.

Legend: O output features, I input features, R rank.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from dia.checkpoint.files import read_json, read_tensors, write_json
from dia.checkpoint.folder import write_folder
from dia.checkpoint.transformers_layout import HEAD, PREFIX
from dia.config.aliases import MODEL_ALIASES, rename_nested
from dia.errors import UserError
from dia.network import DiaConfig, DiaNetwork
from dia.types import flatten

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
DOWN, UP = ".lora_A", ".lora_B"  # (R, I) and (O, R), under PEFT's names
UNKNOWN = (
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "lora_bias",
    "modules_to_save",
)  # of PEFT's
SHOWN = 5  # problems that are listed
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """The checkpoint that an adapter was learned on: the name it was opened by, and
    :func:`weights_fingerprint`.
    """

    name: str
    fingerprint: str


@dataclass(frozen=True)
class Adapter:
    """Matrices by name (``<module>.lora_A`` (R, I) and ``<module>.lora_B`` (O, R)), and what they belong to.

    ``targets`` are the endings of the modules' names; a weight becomes ``W + alpha / rank * B A``. PEFT's own
    adapters tell neither the base's fingerprint nor its ``config``.
    """

    rank: int
    alpha: float
    targets: list[str]
    base: Base
    config: DiaConfig | None
    tensors: dict[str, Tensor]

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied by."""
        return self.alpha / self.rank

    @property
    def modules(self) -> list[str]:
        """Names of the modules that have an adapter, sorted."""
        return sorted({name.rpartition(".")[0] for name in self.tensors})


def weights_fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return a sha256 over names, shapes and first rows: training moves every row, and gigabytes need not be
    read.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor[:1].detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_adapter(adapter: Adapter, folder: Path) -> None:
    """Write an adapter's folder, whole or not at all; an older one there is replaced. Raises ``OSError`` as
    files do.
    """
    write_folder(folder, lambda made: _write(adapter, made))


def load_adapter(path: str | Path) -> Adapter:
    """Read the folder of an adapter, or the `adapter` of a run folder.

    Raises :class:`UserError` when there is none, it is damaged, or it is of a kind that is not merged here.
    """
    folder = next(
        (place for place in (Path(path), Path(path) / "adapter") if (place / CONFIG).is_file()), None
    )
    if folder is None:
        raise UserError(
            f"there is no adapter at {path}: neither it nor its `adapter` holds {CONFIG}; name the folder of one"
        )
    content = read_json(folder / CONFIG)
    if unknown := [key for key in UNKNOWN if content.get(key)]:
        raise UserError(
            f"{folder / CONFIG} has {', '.join(unknown)}, which is not merged here; merge it with PEFT"
        )
    try:
        about = content.get(
            "dia", {"base": {"name": content.get("base_model_name_or_path") or "unknown", "fingerprint": ""}}
        )
        base, config = Base(**about["base"]), _config_of(about["config"]) if about.get("config") else None
        rank, alpha, targets = (
            int(content["r"]),
            float(content["lora_alpha"]),
            list(content["target_modules"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / CONFIG} describes no adapter ({error!r}); copy it again") from error
    tensors = {_our_name(name): tensor for name, tensor in read_tensors([folder / WEIGHTS]).items()}
    return Adapter(rank, alpha, targets, base, config, tensors)


def merge_adapter(network: DiaNetwork, adapter: Adapter, name: str = "the adapter") -> None:
    """Add an adapter to a network's weights, in place, each in its own type.

    Raises :class:`UserError` with all that does not fit when the adapter was made for a network of another
    shape; other weights than those it was learned on are only warned of.
    """
    if problems := adapter_problems(network, adapter):
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(
            f"{name} does not fit this checkpoint: {'; '.join(problems[:SHOWN])}{more}; take the base {adapter.base.name}"
        )
    if adapter.base.fingerprint not in ("", weights_fingerprint(network.state_dict().items())):
        log.warning(
            "%s was learned on %s, which has other weights than this checkpoint", name, adapter.base.name
        )
    for module in adapter.modules:
        weight = network.get_parameter(f"{module}.weight")
        weight.data = merged(
            weight.data, adapter.tensors[module + DOWN], adapter.tensors[module + UP], adapter.scale
        )


def merge_tensors(state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Return a state dict without the adapters that lie beside its weights: their products have been added to
    these.
    """
    alone = {name: tensor for name, tensor in state.items() if not name.endswith((DOWN, UP))}
    for module in (name.removesuffix(DOWN) for name in state if name.endswith(DOWN)):
        key = f"{module}.weight"
        alone[key] = merged(alone[key], state[module + DOWN], state[module + UP], scale)
    return alone


def merged(weight_OI: Tensor, down_RI: Tensor, up_OR: Tensor, scale: float) -> Tensor:
    """Return W + scale * B A, computed in fp32, in the weight's own type and place."""
    added_OI = scale * (up_OR.to(weight_OI.device).float() @ down_RI.to(weight_OI.device).float())
    return (weight_OI.float() + added_OI).to(weight_OI.dtype)


def adapter_problems(network: DiaNetwork, adapter: Adapter) -> list[str]:
    """Return what of an adapter has no place in a network: facts of its shape, matrices without a weight or
    of another size.
    """
    wanted, given = flatten(asdict(network.config)), flatten(asdict(adapter.config or network.config))
    problems = [
        f"{key} is {given[key]} there and {value} here"
        for key, value in wanted.items()
        if given.get(key) != value
    ]
    weights = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for module in adapter.modules:
        down, up = (adapter.tensors.get(module + end) for end in (DOWN, UP))
        if down is None or up is None:
            problems.append(f"{module} lacks one of its two matrices")
        elif (found := weights.get(f"{module}.weight")) != (len(up), down.shape[1]) or len(down) != up.shape[
            1
        ]:
            problems.append(f"{module} is {tuple(up.shape)} times {tuple(down.shape)}, its weight {found}")
    return problems


def _write(adapter: Adapter, made: Path) -> None:
    content = {
        "peft_type": "LORA", "r": adapter.rank, "lora_alpha": adapter.alpha, "target_modules": adapter.targets,
        "bias": "none", "fan_in_fan_out": False, "inference_mode": True, "task_type": None,
        "base_model_name_or_path": adapter.base.name,
        "dia": {"base": asdict(adapter.base), "config": asdict(adapter.config) if adapter.config else None},
    }  # fmt: skip
    write_json(made / CONFIG, content)
    tensors = {
        _peft_name(name): tensor.detach().cpu().contiguous() for name, tensor in adapter.tensors.items()
    }
    save_file(tensors, made / WEIGHTS, metadata={"format": "pt"})


def _peft_name(name: str) -> str:
    return f"{PEFT_PREFIX}{'' if name.startswith(HEAD) else PREFIX}{name}.weight"


def _our_name(name: str) -> str:
    return name.removeprefix(PEFT_PREFIX).removeprefix(PREFIX).removesuffix(".weight")


def _config_of(content: dict[str, Any]) -> DiaConfig:
    """The config that :func:`asdict` wrote. Raises ``KeyError`` and ``TypeError`` for anything else."""
    content, _ = rename_nested(content, MODEL_ALIASES)  # adapters of earlier versions
    made = DiaConfig()
    return DiaConfig(**{
        **content, "encoder": type(made.encoder)(**content["encoder"]), "decoder": type(made.decoder)(**content["decoder"]),
    })  # fmt: skip
