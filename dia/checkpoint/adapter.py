"""LoRA adapters as separate folders in PEFT's layout: save, load, and merge into a network.

A folder holds `adapter_config.json` and `adapter_model.safetensors`, so that PEFT opens it on transformers'
Dia (our submodules have transformers' names). The key `dia` of the config, which PEFT ignores, describes the
base checkpoint: its shape, and a fingerprint of its weights.

Legend: O output features, I input features, R rank.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from dia.checkpoint.files import read_json, read_tensors, write_json
from dia.checkpoint.save import write_folder
from dia.checkpoint.transformers_layout import HEAD, PREFIX
from dia.config.aliases import MODEL_ALIASES, rename_nested
from dia.errors import UserError
from dia.network import DecoderConfig, DiaConfig, DiaNetwork, EncoderConfig
from dia.tensor_files import is_finite, not_finite
from dia.types import flatten

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
DOWN, UP = ".lora_A", ".lora_B"  # (R, I) and (O, R), under PEFT's names
UNSUPPORTED = (  # keys of PEFT
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "lora_bias",
    "modules_to_save",
)
FIRST_GENERATION_TYPE = "DIA_FIRST_GENERATION_LORA"
SHOWN = 5  # number of problems that a message lists
LARGEST_ALPHA = 1e30
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """The checkpoint an adapter was trained on: its name when opened, and :func:`weights_fingerprint`."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: a weight W of a target module becomes ``W + alpha / rank * B A``.

    Attributes:
        rank: Rank of the matrices.
        alpha: Scale of their product, before division by the rank.
        targets: Suffixes of the names of the adapted modules.
        base: The base checkpoint; adapters written by PEFT itself have an empty fingerprint.
        config: Shape of the base; None in adapters written by PEFT itself.
        tensors: The matrices by name: ``<module>.lora_A`` (R, I) and ``<module>.lora_B`` (O, R).
    """

    rank: int
    alpha: float
    targets: list[str]
    base: Base
    config: DiaConfig | None
    tensors: dict[str, Tensor]

    @property
    def scale(self) -> float:
        """Factor of the product of the two matrices."""
        return self.alpha / self.rank

    @property
    def modules(self) -> list[str]:
        """Sorted names of the adapted modules."""
        return sorted({name.rpartition(".")[0] for name in self.tensors})


def weights_fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return the SHA-256 over names, shapes and first rows of tensors.

    Training changes every row, so that the first ones suffice and gigabytes need not be read.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor[:1].detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_adapter(adapter: Adapter, folder: Path) -> None:
    """Write an adapter's folder atomically, replacing an older one. Raises :class:`StorageError`."""
    write_folder(folder, lambda temporary: _write(adapter, temporary))


def load_adapter(path: str | Path) -> Adapter:
    """Read the folder of an adapter, or the subfolder `adapter` of a run.

    Raises:
        UserError: When there is none, when it is damaged, or when it uses features of PEFT that are not
            supported.
    """
    folder = next(
        (place for place in (Path(path), Path(path) / "adapter") if (place / CONFIG).is_file()), None
    )
    if folder is None:
        raise UserError(
            f"there is no adapter at {path}: neither it nor its subfolder `adapter` holds {CONFIG}; give "
            "its folder"
        )
    content = read_json(folder / CONFIG)
    if unsupported := [key for key in UNSUPPORTED if content.get(key)]:
        raise UserError(
            f"{folder / CONFIG} uses {', '.join(unsupported)}, which is not supported here; merge it with "
            "PEFT"
        )
    description = _description(content, folder / CONFIG)
    tensors = {_our_name(name): tensor for name, tensor in read_tensors([folder / WEIGHTS]).items()}
    adapter = replace(description, tensors=tensors)
    if problems := [*_value_problems(adapter), *_matrix_problems(adapter), *not_finite(tensors)]:
        raise UserError(
            f"{folder} holds no usable adapter: {_shown(problems)}; copy it again, or train it again"
        )
    return adapter


def _description(content: dict[str, Any], path: Path) -> Adapter:
    """Return what an adapter_config.json states, without matrices. Raises :class:`UserError`."""
    try:
        base_name = content.get("base_model_name_or_path") or "unknown"
        about = content.get("dia", {"base": {"name": base_name, "fingerprint": ""}})
        base = Base(**about["base"])
        config = _config_of(about["config"]) if about.get("config") else None
        rank, alpha, targets = content["r"], content["lora_alpha"], content["target_modules"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} describes no adapter ({error!r}); copy it again") from error
    return Adapter(rank, alpha, targets if isinstance(targets, list) else [targets], base, config, {})


def _value_problems(adapter: Adapter) -> list[str]:
    """Return which stated values are of a wrong type or out of range."""
    problems = [] if adapter.config is None else adapter.config.problems()
    if type(adapter.rank) is not int or adapter.rank < 1:
        problems.append(f"its rank r={adapter.rank!r} is no whole number above 0")
    if type(adapter.alpha) not in (int, float) or not 0 < abs(adapter.alpha) <= LARGEST_ALPHA:
        problems.append(f"lora_alpha={adapter.alpha!r} is no number other than 0")
    if not all(
        isinstance(text, str) for text in (*adapter.targets, adapter.base.name, adapter.base.fingerprint)
    ):
        problems.append("target_modules and base are no texts")
    return problems


def _matrix_problems(adapter: Adapter) -> list[str]:
    """Return which matrices lack their partner or have another rank than the adapter."""
    problems = [] if adapter.tensors else ["it has no matrices"]
    for module in adapter.modules:
        down, up = (adapter.tensors.get(module + suffix) for suffix in (DOWN, UP))
        if down is None or up is None or down.ndim != 2 or up.ndim != 2:
            problems.append(f"{module} lacks one of its two matrices")
        elif not (len(down) == up.shape[1] == adapter.rank):
            problems.append(
                f"{module} has matrices of rank {len(down)} and {up.shape[1]}, its config "
                f"states r={adapter.rank}"
            )
    return problems


def merge_adapter(network: DiaNetwork, adapter: Adapter, name: str = "the adapter") -> None:
    """Add an adapter to a network's weights in place, each in its own type; ``name`` appears in messages.

    A base with other weights than the adapter was trained on causes a warning only.

    Raises:
        UserError: With all problems when the adapter is for a network of another shape.
    """
    if problems := adapter_problems(network, adapter):
        raise UserError(
            f"{name} does not fit this checkpoint: {_shown(problems)}; use it with its base "
            f"{adapter.base.name}"
        )
    if adapter.base.fingerprint not in ("", weights_fingerprint(network.state_dict().items())):
        logger.warning(
            "%s was trained on %s, which has other weights than this checkpoint", name, adapter.base.name
        )
    for module in adapter.modules:
        weight = network.get_parameter(f"{module}.weight")
        weight.data = merged(
            weight.data, adapter.tensors[module + DOWN], adapter.tensors[module + UP], adapter.scale
        )
        if not is_finite(weight.data):
            raise UserError(
                f"{name} gives {module} weights that are not finite; its "
                f"lora_alpha={adapter.alpha} is too large, or it "
                "is damaged: copy it again"
            )


def merge_tensors(state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Return a state dict with the adapters in it merged into the weights beside them."""
    state_without_adapters = {name: tensor for name, tensor in state.items() if not name.endswith((DOWN, UP))}
    for module in (name.removesuffix(DOWN) for name in state if name.endswith(DOWN)):
        key = f"{module}.weight"
        state_without_adapters[key] = merged(
            state_without_adapters[key], state[module + DOWN], state[module + UP], scale
        )
    return state_without_adapters


def merged(weight_OI: Tensor, down_RI: Tensor, up_OR: Tensor, scale: float) -> Tensor:
    """Return W + scale * B A, computed in fp32, in the weight's type and on its device."""
    added_OI = scale * (up_OR.to(weight_OI.device).float() @ down_RI.to(weight_OI.device).float())
    return (weight_OI.float() + added_OI).to(weight_OI.dtype)


def adapter_problems(network: DiaNetwork, adapter: Adapter) -> list[str]:
    """Return why an adapter does not fit a network: other shapes, or matrices without a weight."""
    shape = flatten(asdict(network.config))
    base_shape = flatten(asdict(adapter.config or network.config))
    problems = [
        f"{key} is {base_shape[key]} in the adapter's base and {value} in the network"
        for key, value in shape.items()
        if base_shape.get(key) != value
    ]
    weights = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    problems += _matrix_problems(adapter)
    for module in adapter.modules if not problems else ():
        down, up = (adapter.tensors[module + suffix] for suffix in (DOWN, UP))
        weight = weights.get(f"{module}.weight")
        if weight != (len(up), down.shape[1]):
            problems.append(f"{module} is {tuple(up.shape)} times {tuple(down.shape)}, its weight {weight}")
    return problems


def _shown(problems: list[str]) -> str:
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more


def _write(adapter: Adapter, folder: Path) -> None:
    first_generation = adapter.config is not None and adapter.config.cross_rope
    content = {
        # PEFT adds adapters to transformers' Dia, which runs the first generation wrongly
        "peft_type": FIRST_GENERATION_TYPE if first_generation else "LORA",
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "target_modules": adapter.targets,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "task_type": None,
        "base_model_name_or_path": adapter.base.name,
        "dia": {"base": asdict(adapter.base), "config": asdict(adapter.config) if adapter.config else None},
    }
    write_json(folder / CONFIG, content)
    tensors = {
        _peft_name(name): tensor.detach().cpu().contiguous() for name, tensor in adapter.tensors.items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _peft_name(name: str) -> str:
    return f"{PEFT_PREFIX}{'' if name.startswith(HEAD) else PREFIX}{name}.weight"


def _our_name(name: str) -> str:
    return name.removeprefix(PEFT_PREFIX).removeprefix(PREFIX).removesuffix(".weight")


def _config_of(content: dict[str, Any]) -> DiaConfig:
    """Return the config that :func:`asdict` wrote. Raises ``KeyError`` or ``TypeError`` otherwise."""
    content, _ = rename_nested(content, MODEL_ALIASES)  # adapters of earlier versions
    encoder = EncoderConfig(**content["encoder"])
    decoder = DecoderConfig(**content["decoder"])
    return DiaConfig(**{**content, "encoder": encoder, "decoder": decoder})
