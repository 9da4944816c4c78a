"""Recipes: whole experiments as YAML, loaded with ``+recipe=NAME`` or ``+recipe=PATH.yaml``."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from dia.config.aliases import TRAIN_ALIASES, rename_nested, warn_of_old_names
from dia.config.keys import leaves, nearest_keys
from dia.config.values import escaped
from dia.documents import read_yaml, read_yaml_mapping
from dia.errors import UserError, one_line
from dia.resources import resource

SUFFIXES = (".yaml", ".yml")
PROGRAMS = (
    "data.recordings.pyannote",
    "engine.slurm.python",
    "engine.slurm.prologue",
)  # keys that start programs
RESOLVER = re.compile(r"\$\{[^}]*:")
_files: dict[str, Path] = {}  # recipes outside of the package, by the name that Hydra's store has for them


def recipes() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in resource("recipes").glob("*.yaml"))


def read_recipe(name: str, *, warn: bool = False) -> DictConfig:
    """Return a recipe; keys under an old name are renamed, with a warning on request."""
    path = _files.get(name)
    stored = _read_file(path) if path else read_yaml_mapping(resource(f"recipes/{name}.yaml"))
    present, outdated = rename_nested(stored, TRAIN_ALIASES)
    if warn:
        warn_of_old_names(outdated, TRAIN_ALIASES, f"the recipe {path or name}")
    return OmegaConf.create(present)


def store_recipe(name: str) -> None:
    """Put a recipe into Hydra's store."""
    ConfigStore.instance().store(group="recipe", name=name, package="_global_", node=read_recipe(name))


def register_recipe_files(arguments: Iterable[str]) -> list[str]:
    """Return arguments in which every ``+recipe=PATH.yaml`` names the recipe as it is stored for Hydra.

    Raises :class:`UserError` for a file that is missing or not a YAML mapping.
    """
    return [_with_stored_names(argument) for argument in arguments]


def _with_stored_names(argument: str) -> str:
    key, _, value = argument.partition("=")
    names = [part.strip() for part in value.strip("[]").split(",")]
    if key != "+recipe" or not any(name.endswith(SUFFIXES) for name in names):
        return argument
    stored = [_register_file(name) if name.endswith(SUFFIXES) else name for name in names]
    return f"+recipe={stored[0]}" if len(stored) == 1 else f"+recipe=[{','.join(stored)}]"


def _register_file(text: str) -> str:
    path = Path(text).expanduser()
    _read_file(path)
    name = f"file_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]}"
    _files[name] = path
    store_recipe(name)
    return name


def _read_file(path: Path) -> dict[str, Any]:
    """Return the content of a recipe outside of the package, which may be someone else's.

    It refers to its own keys at most (``${seed}``): a resolver such as ``${oc.env:HOME}`` is a text. It
    names no program; those come from the command line. Raises :class:`UserError`.
    """
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"+recipe={path}: cannot read the recipe ({one_line(error)}); give the path of a YAML file"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"+recipe={path}: the recipe is not a YAML mapping; see recipes/ for examples")
    values = dict(leaves(content))
    if programs := [f"{key}={values[key]}" for key in PROGRAMS if values.get(key)]:
        raise UserError(
            f"+recipe={path}: a recipe cannot name programs ({', '.join(programs)}); if you "
            "trust it, remove the keys "
            "and give them on the command line"
        )
    return cast(dict[str, Any], _without_resolvers(content))


def _without_resolvers(value: Any) -> Any:
    """Return plain values in which texts with a resolver are escaped."""
    if isinstance(value, dict):
        return {key: _without_resolvers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_resolvers(item) for item in value]
    return escaped(value) if isinstance(value, str) and RESOLVER.search(value) else value


def chosen_recipes(arguments: Iterable[str]) -> list[str]:
    """Return the recipes that arguments name.

    Raises :class:`UserError` for a recipe given so that Hydra would not load it, and for an unknown one.
    """
    names: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key.lstrip("+~") != "recipe":
            continue
        if not argument.startswith("+recipe="):
            raise UserError(
                f"{argument!r} does not load a recipe; write +recipe=NAME with one of: {', '.join(recipes())}"
            )
        for name in (part.strip() for part in value.strip("[]").split(",")):
            if name not in recipes() and name not in _files:
                near = " or ".join(f"+recipe={other}" for other in nearest_keys(name, recipes()))
                suggestion = f"; did you mean {near}?" if near else ""
                raise UserError(f"there is no recipe {name!r}{suggestion}; there are: {', '.join(recipes())}")
            names.append(name)
    return names


def recipe_values(names: Iterable[str]) -> dict[str, Any]:
    """Return the values that recipes and the recipes below them set, by dotted key; later ones win."""
    values: dict[str, Any] = {}
    for name in names:
        content = cast(dict[str, Any], OmegaConf.to_container(read_recipe(name, warn=True), resolve=False))
        below = [item for item in content.pop("defaults", []) if isinstance(item, str) and item != "_self_"]
        values |= recipe_values(below) | dict(leaves(content))
    return values
