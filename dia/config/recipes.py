"""Recipes: whole experiments as YAML (recipes/*.yaml), loaded with ``+recipe=NAME``."""

from collections.abc import Iterable
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from dia.config.aliases import TRAIN_ALIASES, rename_nested, warn_of_old_names
from dia.config.keys import leaves, nearest_keys
from dia.errors import UserError
from dia.resources import resource


def recipes() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in resource("recipes").glob("*.yaml"))


def read_recipe(name: str, *, warn: bool = False) -> DictConfig:
    """Return a recipe; keys under an old name are renamed, with a warning on request."""
    stored = OmegaConf.to_container(OmegaConf.load(resource(f"recipes/{name}.yaml")), resolve=False)
    present, outdated = rename_nested(cast(dict[str, Any], stored), TRAIN_ALIASES)
    if warn:
        warn_of_old_names(outdated, TRAIN_ALIASES, f"the recipe {name}")
    return OmegaConf.create(present)


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
            if name not in recipes():
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
