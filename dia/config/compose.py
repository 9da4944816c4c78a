"""Composition of configurations with Hydra: schemas, groups (configs/), recipes (recipes/) and the command line.

`configs/` holds groups (one file is one choice), `recipes/*.yaml` whole experiments. Recipes are registered in Hydra's
store as group `recipe` in package `_global_`, so that `+recipe=base` works from any directory, in a notebook and in
sweeps. Hydra checks names and types; the `problems` of each dataclass check ranges; dia/pipelines/check_config.py checks
what needs checkpoints or files.
"""

import sys
from collections.abc import Callable
from typing import Any, cast

import hydra
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from dia.config.aliases import ALIASES, TRAIN_ALIASES, rename_arguments, rename_nested, warn_of_old_names
from dia.config.bench import BenchConfig, BenchPrepareConfig, BenchTrainConfig
from dia.config.command_line import quoted, words_as_key
from dia.config.eval import EvalConfig
from dia.config.generate import GenerateConfig
from dia.config.judges import CalibrateConfig
from dia.config.listening_test import ListenConfig, VotesConfig
from dia.config.systems import RecordConfig
from dia.config.train import TrainConfig
from dia.errors import UserError
from dia.log import configure_logging
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


def run(config_name: str, task: Callable[[Any], None]) -> None:
    """Run a front door: compose from the command line, build the typed config, call ``task`` with it.

    A :class:`UserError`, an unknown key or an unknown recipe prints one message to standard error and exits
    with 2. Everything else keeps its traceback.
    """
    entered = []
    configure_logging()

    @hydra.main(version_base="1.3", config_path=CONFIGS, config_name=config_name)
    def door(composed: DictConfig) -> None:
        entered.append(True)
        try:
            task(typed(composed))
        except UserError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    try:
        sys.argv[1:] = rename_arguments(sys.argv[1:], ALIASES.get(config_name, {}))
        check_recipe_arguments(sys.argv[1:])
        _refuse_multirun(sys.argv[1:])
        sys.argv[1:] = [let_keys_be_new(quote_text(argument)) for argument in sys.argv[1:]]
        door()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except SystemExit as stop:
        # Hydra leaves with 1 when it cannot compose; what fails after that keeps its own code
        sys.exit(2 if stop.code == 1 and not entered else stop.code)


def _refuse_multirun(arguments: list[str]) -> None:
    """Hydra would run all jobs in this process, each in the run folder of the one before."""
    if given := [argument for argument in arguments if argument in ("-m", "--multirun")]:
        raise UserError(
            f"{given[0]} is not how several runs are made here: python -m dia.sweep gives each a process and a folder, such as "
            "python -m dia.sweep +recipe=nano 'sweep.space={seed: [0, 1]}' sweep.sampler=grid"
        )


def run_one_of(
    doors: dict[str, tuple[str, Callable[[Any], None]]], words: dict[str, str] | None = None
) -> None:
    """Run a front door that has several commands: its first word names one (`python -m dia.bench prepare
    ...`), none means "".

    ``doors`` gives each command its config's name and its task, as :func:`run` takes them. ``words`` names,
    for a command that takes plain words after its name (`python -m dia.eval votes FILE FILE`), the key that
    lists them.
    """
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    command = "" if not word or "=" in word or word.startswith("-") else word
    if command not in doors:
        listed = ", ".join(sorted(filter(None, doors)))
        print(
            f"there is no command {command!r}; there are: {listed}, or none, followed by key=value",
            file=sys.stderr,
        )
        sys.exit(2)
    if command:
        del sys.argv[1]
    if key := (words or {}).get(command):
        sys.argv[1:] = words_as_key(sys.argv[1:], key)
    run(*doors[command])


register()
