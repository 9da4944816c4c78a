"""Read the config.yaml of a run, as plain text: it may come from someone else.

A text such as ``${oc.env:HOME}`` stays that text, and the file has the limits of :mod:`dia.documents`. A
stored config says what a run was; whoever uses one takes neither a program nor an action from it. Configs of
earlier versions have old key names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from omegaconf.errors import OmegaConfBaseException

from dia.config.aliases import TRAIN_ALIASES, rename_flat, rename_nested
from dia.config.choices import Task
from dia.config.keys import key_types
from dia.config.train import TASKS, RunConfig
from dia.config.values import typed
from dia.documents import read_yaml_mapping
from dia.errors import UserError, one_line

SCHEMAS: dict[str, type[RunConfig]] = {task.value: schema for task, schema in TASKS.items()}
Schema = TypeVar("Schema")


def read_run_config(path: Path) -> RunConfig:
    """Return the config.yaml of a run as the dataclass of its task.

    Raises:
        UserError: When the file is missing, beyond a limit, or no config of a run.
    """
    content = _read(path)
    return _typed(_schema(content), _of_task(content), path)


def read_run_group(path: Path, group: str, schema: type[Schema]) -> Schema:
    """Return one group of keys of a run's config.yaml, such as ``model`` or ``data``.

    Raises as :func:`read_run_config` does.
    """
    content = _read(path).get(group)
    if not isinstance(content, dict):
        raise UserError(f"{path} has no {group}; restore the file that training wrote")
    return _typed(schema, content, path)


def present_keys(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flat training config, as checkpoints store it, with the keys of its task under their present
    names."""
    return _of_task(rename_flat(flat))


def _read(path: Path) -> dict[str, Any]:
    try:
        content, _ = rename_nested(read_yaml_mapping(path), TRAIN_ALIASES)
    except (OSError, ValueError, TypeError, AttributeError) as error:  # the last two: a group that is none
        raise UserError(
            f"{path} is not the config of a run ({one_line(error)}); name a run folder"
        ) from error
    return content


def _typed(schema: type[Schema], content: Mapping[str, Any], path: Path) -> Schema:
    try:
        return typed(schema, content)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not the config of a run ({one_line(error)}); restore the file that training wrote"
        ) from error


def _schema(content: Mapping[str, Any]) -> type[RunConfig]:
    return SCHEMAS.get(str(content.get("task", "dia")), TASKS[Task.dia])


def _of_task(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a config, nested or flat, without those that only other tasks have."""
    own = _top_level(_schema(content))
    other = {key for schema in SCHEMAS.values() for key in _top_level(schema)} - own
    return {key: value for key, value in content.items() if key.partition(".")[0] not in other}


def _top_level(schema: type) -> set[str]:
    return {key.partition(".")[0] for key in key_types(schema)}
