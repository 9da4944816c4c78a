"""The search space of a sweep: keys of the training configuration, each a range or a list of choices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
WORDS = ("true", "false", "null", "nan", "inf")  # which Hydra takes for something else
KEYS = {"low", "high", "log", "step"}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both possible; whole ones where both ends are."""

    key: str
    low: float
    high: float
    log: bool
    step: float | None

    def suggest(self, trial: optuna.Trial) -> str:
        """Return the trial's value, as Hydra reads it."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return str(
                trial.suggest_int(self.key, self.low, self.high, step=int(self.step or 1), log=self.log)
            )
        return repr(trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log))

    @property
    def examples(self) -> list[str]:
        """Values by which a config can be checked."""
        return [str(self.low), str(self.high)]


@dataclass(frozen=True)
class Choices:
    """A list of values, as Hydra reads them."""

    key: str
    literals: tuple[str, ...]

    def suggest(self, trial: optuna.Trial) -> str:
        """Return the trial's value, as Hydra reads it."""
        return str(trial.suggest_categorical(self.key, self.literals))

    @property
    def examples(self) -> list[str]:
        """Values by which a config can be checked."""
        return list(self.literals)


Axis = Range | Choices


def read_space(space: Mapping[str, Any], grid: bool = False) -> tuple[list[Axis], list[str]]:
    """Return the axes of a space and what is wrong with it, one sentence each with its remedy. A ``grid`` has
    lists only.
    """
    axes: list[Axis] = []
    problems: list[str] = []
    for key, value in space.items():
        wrong = _list_problem(value) if isinstance(value, list) else _range_problem(value, grid)
        if wrong:
            problems.append(f"sweep.space has {key}: {value}, {wrong}")
        elif isinstance(value, list):
            axes.append(Choices(key, tuple(literal(choice) for choice in value)))
        else:
            axes.append(
                Range(key, value["low"], value["high"], bool(value.get("log", False)), value.get("step"))
            )
    return axes, problems


def literal(value: Any) -> str:
    """Return a value as Hydra's command line reads it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and (value.lower() in WORDS or not PLAIN.fullmatch(value)):
        # for Hydra a backslash is an ordinary character, except in front of a quote
        return (
            "'" + re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), value) + "'"
        )
    return str(value)


def _list_problem(value: list[Any]) -> str:
    return "" if value else "which is no choice; name values"


def _range_problem(value: Any, grid: bool) -> str:
    if not isinstance(value, dict) or not {"low", "high"} <= set(value) or set(value) - KEYS:
        return "which is neither a list of values nor {low: ., high: .} with log or step"
    numbers = [value["low"], value["high"], *([value["step"]] if value.get("step") is not None else [])]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        return "whose ends are no numbers"
    if not value["low"] < value["high"]:
        return "whose low is not below its high"
    if value.get("log") and (value["low"] <= 0 or value.get("step") is not None):
        return "but a logarithm needs a low above 0, and no step"
    return "but a grid is made of lists; list the values" if grid else ""
