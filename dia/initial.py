"""What training starts from, as the config says it: `init` names a checkpoint, and the shape of the model is that checkpoint's.

`model=checkpoint` leaves the shape open; what a config says of it all the same must agree with the checkpoint.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dia.checkpoint import read_config
from dia.errors import UserError
from dia.network import DiaConfig
from dia.opening import shipped_or

SHOWN = 5  # contradictions that are listed


def fill_shape(composed: DictConfig) -> None:
    """Put the shape of the checkpoint `init` into those keys of `model` that are open, in place.

    A checkpoint that cannot be read leaves the shape of Dia-1.6B: :func:`initial_problems` tells what is wrong with it. Raises
    :class:`UserError` when keys are open and there is no `init`.
    """
    missing = [key for key in _keys(asdict(DiaConfig())) if OmegaConf.is_missing(*_parent(composed.model, key))]
    if not missing:
        return
    if not composed.init:
        raise UserError("model=checkpoint takes its shape from a checkpoint, and init is empty; give init=PATH or a Hub id")
    try:
        shape = asdict(read_config(shipped_or(composed.init)))
    except UserError:
        shape = asdict(DiaConfig())
    for key in missing:
        OmegaConf.update(composed.model, key, _value(shape, key))


def initial_problems(init: str, model: DiaConfig) -> list[str]:
    """Return what is wrong with a checkpoint to start from, and what of the model's shape contradicts it."""
    try:
        shape = asdict(read_config(shipped_or(init)))
    except UserError as error:
        return [f"init={init}: {error}"]
    given = asdict(model)
    wrong = [key for key in _keys(shape) if _value(given, key) != _value(shape, key)]
    if not wrong:
        return []
    listed = ", ".join(f"model.{key}={_value(given, key)} (it has {_value(shape, key)})" for key in wrong[:SHOWN])
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return [f"init={init} contradicts {listed}{more}; leave them out, and take model=checkpoint"]


def _keys(content: dict[str, Any], before: str = "") -> Iterator[str]:
    """The dotted keys of all values."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{before}{key}.")
        else:
            yield before + key


def _value(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content[part]
    return content


def _parent(model: DictConfig, key: str) -> tuple[DictConfig, str]:
    before, _, last = key.rpartition(".")
    return (model[before] if before else model), last
