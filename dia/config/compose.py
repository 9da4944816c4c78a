"""Composition of configurations with Hydra: schemas, groups (configs/) and recipes (recipes/).

`configs/` holds groups (one file is one choice), `recipes/*.yaml` whole experiments. Recipes are registered in Hydra's
store as group `recipe` in package `_global_`, so that `+recipe=base` works from any directory, in a notebook and in
sweeps. Hydra checks names and types; the `problems` of each dataclass check ranges; dia/pipelines/check_config.py checks
what needs checkpoints or files.
"""

from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from dia.config.aliases import ALIASES, TRAIN_ALIASES, rename_arguments, rename_nested, warn_of_old_names
from dia.config.bench import BenchConfig, BenchPrepareConfig, BenchTrainConfig
from dia.config.command_line import quoted
from dia.config.eval import EvalConfig
from dia.config.generate import GenerateConfig
from dia.config.judges import CalibrateConfig
from dia.config.listening_test import ListenConfig, VotesConfig
from dia.config.systems import RecordConfig
from dia.config.train import TrainConfig
from dia.errors import UserError
from dia.resources import resource

CONFIGS = str(resource("configs").resolve())
OPEN = ("mix", "optim.weight_decay_by_group")  # dictionaries whose keys the user chooses
DECLARED = "system."  # keys of a system to record, which its own declaration checks


SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "eval": EvalConfig,
    "generate": GenerateConfig,
    "bench": BenchConfig,
    "bench_prepare": BenchPrepareConfig,
    "bench_train": BenchTrainConfig,
    "calibrate": CalibrateConfig,
    "listen": ListenConfig,
    "votes": VotesConfig,
    "record": RecordConfig,
}


def recipes() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in resource("recipes").glob("*.yaml"))


def register() -> None:
    """Put the schemas, the recipes and the systems to record into Hydra's store.

    A broken recipe fails when it is asked for, and names its file.
    """
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)
    for name in recipes():
        store.store(group="recipe", name=name, package="_global_", node=read_recipe(name))
    for path in sorted(resource("eval/systems").glob("*.yaml")):
        store.store(group="system", name=path.stem, node=OmegaConf.load(path))


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """Compose a config in a notebook or a test, as the command line would. Raises as Hydra does."""
    overrides = rename_arguments(overrides, ALIASES.get(config_name, {}))
    check_recipe_arguments(overrides)
    GlobalHydra.instance().clear()
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return hydra_compose(config_name, overrides=[let_keys_be_new(argument) for argument in overrides])


def check_recipe_arguments(arguments: list[str]) -> None:
    """Raise :class:`UserError` for a recipe given so that Hydra would not load it, and for one that does not
    exist.

    Without this a wrong prefix leaves a plain key `recipe` behind and the default model is trained without a
    word.
    """
    listed = ", ".join(recipes())
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.lstrip("+~") != "recipe":
            continue
        if not argument.startswith("+recipe="):
            raise UserError(f"{argument!r} does not load a recipe; write +recipe=NAME with one of: {listed}")
        for name in value.strip("[]").split(","):
            if name.strip() not in recipes():
                raise UserError(f"there is no recipe {name.strip()!r}; there are: {listed}")


def let_keys_be_new(argument: str) -> str:
    """Return a command-line argument whose dictionary (``mix={FOLDER: .3}``) may have keys that nobody
    foresaw.

    Hydra would refuse them without the two plus signs.
    """
    key = argument.partition("=")[0]
    return f"++{argument}" if key in OPEN or key.startswith(DECLARED) else argument


def quote_text(argument: str) -> str:
    """Return a command-line argument whose free text (``text=...``) Hydra takes as it stands.

    Unquoted, Hydra would read ``text=[S1] Hello, you`` as a list, and ``${...}`` as an interpolation.
    """
    key, equals, value = argument.partition("=")
    if key != "text" or not equals:
        return argument
    return f"text={quoted(value)}"


def typed(composed: DictConfig) -> Any:
    """Return a composed config as the dataclass of its schema."""
    return OmegaConf.to_object(composed)


def read_train_config(content: DictConfig) -> TrainConfig:
    """Return a stored training config as a dataclass; keys may have their old names. Raises as OmegaConf does."""
    stored = cast(dict[str, Any], OmegaConf.to_container(content))
    present, _ = rename_nested(stored, TRAIN_ALIASES)
    return cast(TrainConfig, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrainConfig), present)))


def read_recipe(name: str) -> DictConfig:
    """Return a recipe; keys under an old name are renamed, with a warning."""
    path = resource(f"recipes/{name}.yaml")
    stored = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path), resolve=False))
    present, outdated = rename_nested(stored, TRAIN_ALIASES)
    warn_of_old_names(outdated, TRAIN_ALIASES, f"the recipe {name}")
    return OmegaConf.create(present)


register()
