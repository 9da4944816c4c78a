"""What a command is: its configuration class, one sentence, examples, and the keys that it reads."""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """A command such as ``dia-eval record``: ``door`` is ``eval``, ``word`` is ``record`` or empty."""

    door: str
    word: str
    config: str
    """Name of its file in configs/; empty for a command that is not composed by Hydra."""
    schema: str
    """Module and class of its configuration, ``dia.config.train:TrainConfig``."""
    summary: str
    examples: tuple[tuple[str, str], ...]
    """Three pairs of arguments and what they do."""
    positional: str = ""
    """The key that a plain word sets."""
    reads: tuple[str, ...] = ()
    """The keys and groups that it reads; empty for all of the class."""
    omits: tuple[str, ...] = ()
    """Keys of the class that are set by other means and are not shown."""
    prefix: str = ""
    """What stands before each key of the class on the command line."""
    notes: str = ""

    @property
    def name(self) -> str:
        """The command as a user types it, with the program that is running."""
        return f"{program(self.door)} {self.word}".rstrip()

    def load_schema(self) -> type:
        """Import and return the configuration class."""
        module, _, name = self.schema.partition(":")
        loaded: type = getattr(import_module(module), name)
        return loaded


def program(door: str) -> str:
    """Return how this process was started: ``dia-train``, or ``python -m dia.train``."""
    started = Path(sys.argv[0]).name.removesuffix(".exe")
    return started if started == f"dia-{door}" else f"python -m dia.{door}"
