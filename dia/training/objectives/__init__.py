"""Training objectives: each is a module of this package, named like its member of ``ObjectiveKind``.

To add one, write `dia/training/objectives/<name>.py` with a subclass of :class:`Objective` under the name
``OBJECTIVE``, and add <name> to ``ObjectiveKind`` (dia/config/choices.py).
"""

from importlib import import_module
from typing import cast

from dia.training.objectives.protocol import DelayedBatch, Objective

__all__ = ["DelayedBatch", "Objective", "objective_type"]


def objective_type(kind: str) -> type[Objective]:
    """Return the class of an objective by its name in the config. Raises ``ModuleNotFoundError``."""
    return cast(type[Objective], import_module(f"{__name__}.{kind}").OBJECTIVE)
