"""Composition of configurations: Hydra's groups (configs/) and recipes, then the keys of the command line.

`configs/` holds groups (one file is one choice), `recipes/*.yaml` whole experiments. Recipes are registered
in Hydra's store as group `recipe` in package `_global_`, so that `+recipe=base` works from any directory, in
a notebook and in sweeps. Hydra composes the groups; the keys are read here, by their type
(dia/config/values.py), because Hydra's grammar would interpret the characters of paths and scripts. All
problems of a command line are reported together. Ranges are checked by the `problems` of each dataclass,
checkpoints and files by dia/pipelines/check_config.py.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from dia.config.aliases import ALIASES, rename_arguments, rename_nested, warn_of_old_names
from dia.config.bench import BenchConfig, BenchPrepareConfig, BenchServeConfig, BenchTrainConfig
from dia.config.bench_suite import BenchCompareConfig, BenchSuiteConfig
from dia.config.checks import bullet_list
from dia.config.command_line import Argument, several_values, split_arguments
from dia.config.eval import CompareConfig, EvalConfig
from dia.config.generate import GenerateConfig
from dia.config.judges import CalibrateConfig
from dia.config.keys import has_part, key_defaults, key_types, leaves, nearest_keys, type_of, unknown_key
from dia.config.listening_test import ListenConfig, VotesConfig
from dia.config.publishing import PushDataConfig
from dia.config.reads import ineffective_keys
from dia.config.recipes import (
    chosen_recipes,
    recipe_values,
    recipes,
    register_recipe_files,
    store_recipe,
)
from dia.config.serve import ServeConfig
from dia.config.system_file import is_system_file, register_system_file
from dia.config.systems import RecordConfig
from dia.config.train import TASKS
from dia.config.values import escaped, plain_text, read_value
from dia.errors import UserError, one_line
from dia.resources import resource

CONFIGS = str(resource("configs").resolve())
RUNS = {"dia": "train"} | {task.value: f"train_{task.value}" for task in list(TASKS)[1:]}
"""The configuration of `train` for each task."""
SCHEMAS: dict[str, type] = {
    **{RUNS[task.value]: schema for task, schema in TASKS.items()},
    "eval": EvalConfig,
    "generate": GenerateConfig,
    "serve": ServeConfig,
    "bench": BenchConfig,
    "bench_prepare": BenchPrepareConfig,
    "bench_train": BenchTrainConfig,
    "bench_serve": BenchServeConfig,
    "bench_suite": BenchSuiteConfig,
    "bench_compare": BenchCompareConfig,
    "calibrate": CalibrateConfig,
    "compare": CompareConfig,
    "listen": ListenConfig,
    "votes": VotesConfig,
    "record": RecordConfig,
    "push_data": PushDataConfig,
}


def register() -> None:
    """Put the schemas, the recipes and the systems to record into Hydra's store.

    A broken recipe fails when it is chosen, and names its file.
    """
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)
    for name in recipes():
        store_recipe(name)
    for path in sorted(resource("eval/systems").glob("*.yaml")):
        store.store(group="system", name=path.stem, node=OmegaConf.load(path))


def compose(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """Return the config that command-line arguments compose: `GROUP=CHOICE`, `+recipe=NAME`, `KEY=VALUE`.

    Raises :class:`UserError` with every problem of the arguments: unknown keys with the nearest ones, wrong
    values with the allowed ones, and keys that nothing reads.
    """
    renamed = register_recipe_files(rename_arguments(overrides, ALIASES.get(config_name, {})))
    named = chosen_recipes(renamed)
    by_recipe = recipe_values(named)
    groups, keys = split_arguments(renamed, group_names(config_name))
    if config_name == "train":
        config_name = RUNS.get(_task(keys, by_recipe), config_name)
    schema = SCHEMAS[config_name]
    types = key_types(schema)
    problems = [
        unknown_key(key, str(value), types)
        for key, value in by_recipe.items()
        if type_of(key, schema) is None
    ]
    if problems:
        raise UserError(bullet_list(f"the recipe {', '.join(named)} has unknown keys:", problems))
    config = _compose_groups(config_name, groups, schema)
    given, problems = _set_keys(config, config_name, keys)
    if not problems:
        changed = [argument.key for argument in (*groups, *keys)]
        problems = ineffective_keys(config, given, by_recipe, changed, key_defaults(schema))
    if problems:
        raise UserError(
            "\n".join(problems)
            if len(problems) == 1
            else bullet_list("the arguments have problems:", problems)
        )
    return config


@cache
def group_names(config_name: str) -> dict[str, tuple[str, ...]]:
    """Return the groups of a configuration, with the names that can be chosen for each."""
    folder = resource("configs")
    content = cast(DictConfig, OmegaConf.load(folder / f"{config_name}.yaml"))
    defaults = content.get("defaults", [])
    used = [str(next(iter(item))) for item in defaults if not isinstance(item, str)]
    groups = {
        name: tuple(sorted(path.stem for path in (folder / name).glob("*.yaml")))
        for name in used
        if not name.startswith("override")
    }
    if "system" in groups:
        groups["system"] = tuple(sorted(path.stem for path in resource("eval/systems").glob("*.yaml")))
    if config_name in RUNS.values():
        groups["recipe"] = tuple(recipes())
    return groups


def typed(composed: DictConfig) -> Any:
    """Return a composed config as the dataclass of its schema."""
    return OmegaConf.to_object(composed)


def _task(keys: Sequence[Argument], by_recipe: dict[str, Any]) -> str:
    given = [argument.value for argument in keys if argument.key == "task"]
    return given[-1] if given else str(by_recipe.get("task", "dia"))


def _compose_groups(config_name: str, groups: Sequence[Argument], schema: type) -> DictConfig:
    """Compose groups and recipes with Hydra. Raises :class:`UserError` with the names that can be chosen."""
    known = group_names(config_name)
    problems = []
    for argument in groups:
        if argument.key not in known:
            problems.append(f"{argument.text}: {config_name} has no group {argument.key}")
        elif is_system_file(argument.text):
            continue
        elif argument.key != "recipe" and argument.value not in known[argument.key]:
            choices = known[argument.key]
            near = nearest_keys(argument.value, choices)
            hint = f"; did you mean {' or '.join(f'{argument.key}={name}' for name in near)}?" if near else ""
            problems.append(f"{argument.text} is unknown{hint}; choose one of {', '.join(choices)}")
    if problems:
        raise UserError("\n".join(problems))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(CONFIGS, version_base="1.3"):
            overrides = [register_system_file(argument.text) for argument in groups]
            return hydra_compose(config_name, overrides=overrides)
    except (HydraException, OmegaConfBaseException) as error:
        causes = [error, *([error.__cause__] if isinstance(error.__cause__, Exception) else [])]
        raise UserError("; ".join(dict.fromkeys(one_line(cause) for cause in causes))) from error


def _set_keys(
    config: DictConfig, config_name: str, keys: Sequence[Argument]
) -> tuple[dict[str, Any], list[str]]:
    """Set keys of the command line in a config; return their values and the problems."""
    schema, given, problems = SCHEMAS[config_name], dict[str, Any](), []
    for argument in keys:
        key, value = argument.key, argument.value
        try:
            if (hint := type_of(key, schema)) is not None:
                given[key] = read_value(key, value, hint)
                with open_dict(config):
                    OmegaConf.update(config, key, escaped(given[key]), merge=True, force_add="." in key)
            elif has_part(key, schema) and value.strip().startswith("{"):
                below, more = _set_keys(config, config_name, _arguments_in(key, value, config_name))
                given |= below
                problems += more
            elif has_part(key, schema):
                names = ", ".join(name for name in key_types(schema) if name.startswith(f"{key}."))
                problems.append(f"{argument.text}: {key} is a group of keys: {names}")
            else:
                problems.append(_unknown(argument, config_name))
        except (ValueError, OmegaConfBaseException) as error:
            is_ours = not isinstance(error, OmegaConfBaseException)
            text = str(error) if is_ours else f"{argument.text}: {one_line(error)}"
            problems.append(
                several_values(argument, config_name) if text.endswith("has several values") else text
            )
    return given, problems


def _arguments_in(key: str, value: str, config_name: str) -> list[Argument]:
    """Return the arguments that a dictionary as the value of a group of keys stands for."""
    content = read_value(key, value, dict[str, Any])
    for name in reversed(key.split(".")):
        content = {name: content}
    aliases = ALIASES.get("train" if config_name in RUNS.values() else config_name, {})
    present, outdated = rename_nested(content, aliases)
    warn_of_old_names(outdated, aliases, "the command line")
    return [Argument(f"{name}={plain_text(item)}", name, plain_text(item)) for name, item in leaves(present)]


def _unknown(argument: Argument, config_name: str) -> str:
    """Return the problem of an unknown key; a key of another task of training is named as such."""
    tasks = {name: task for task, name in RUNS.items()}
    if config_name in tasks:
        readers = [task for task, name in RUNS.items() if type_of(argument.key, SCHEMAS[name]) is not None]
        if readers:
            return (
                f"{argument.text}: {argument.key} is a key of task={' and '.join(readers)}, and this run has "
                f"task={tasks[config_name]}; leave it out"
            )
    return unknown_key(argument.key, argument.value, key_types(SCHEMAS[config_name]))


register()
