"""Stored training configurations, including those of earlier versions with old key names."""

from collections.abc import Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from dia.config.aliases import TRAIN_ALIASES, rename_flat, rename_nested
from dia.config.keys import key_types
from dia.config.train import CodecTrainConfig, RunConfig, TrainConfig

SCHEMAS: dict[str, type[RunConfig]] = {"dia": TrainConfig, "codec": CodecTrainConfig}


def read_run_config(content: DictConfig) -> RunConfig:
    """Return the config.yaml of a run as the dataclass of its task. Raises as OmegaConf does."""
    present, _ = rename_nested(cast(dict[str, Any], OmegaConf.to_container(content)), TRAIN_ALIASES)
    merged = OmegaConf.merge(OmegaConf.structured(_schema(present)), _of_task(present))
    return cast(RunConfig, OmegaConf.to_object(merged))


def present_keys(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flat training config, as checkpoints store it, with the keys of its task under their present
    names."""
    return _of_task(rename_flat(flat))


def _schema(content: Mapping[str, Any]) -> type[RunConfig]:
    return SCHEMAS.get(str(content.get("task", "dia")), TrainConfig)


def _of_task(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a config, nested or flat, without those that only the other task has."""
    own = _top_level(_schema(content))
    other = {key for schema in SCHEMAS.values() for key in _top_level(schema)} - own
    return {key: value for key, value in content.items() if key.partition(".")[0] not in other}


def _top_level(schema: type) -> set[str]:
    return {key.partition(".")[0] for key in key_types(schema)}
