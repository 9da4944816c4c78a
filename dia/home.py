"""``DIA_HOME``: the folder of runs, prepared data, caches and reports; else the working directory."""

import os
from pathlib import Path

VARIABLE = "DIA_HOME"


def home() -> Path:
    """Return the folder that ``DIA_HOME`` names, or the working directory as a relative path."""
    named = os.environ.get(VARIABLE, "").strip()
    return Path(named).expanduser().absolute() if named else Path()


def in_home(path: str | Path) -> Path:
    """Return where output with this configured path goes: below :func:`home`, unless the path is absolute."""
    return home() / Path(path).expanduser()


def existing(path: str | Path) -> Path:
    """Return the path of input: as given, or below :func:`home` if it exists only there."""
    below = in_home(path)
    return below if not os.path.exists(path) and os.path.exists(below) else Path(path)


def models_folder() -> Path:
    """Return the folder of the judges' model files.

    This is ``DIA_MODELS``, else ``models`` below ``DIA_HOME``, else ``~/.cache/dia/models``.
    """
    if named := os.environ.get("DIA_MODELS", "").strip():
        return Path(named).expanduser()
    return (
        home() / "models"
        if os.environ.get(VARIABLE, "").strip()
        else Path.home() / ".cache" / "dia" / "models"
    )
