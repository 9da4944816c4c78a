"""Which code speaks to which system; a vendor's SDK is imported when it is used."""

import importlib
import os

from dia.errors import UserError
from dia.systems.declaration import Declaration
from dia.systems.protocol import System

CLIENTS = {
    "elevenlabs_dialogue": ("elevenlabs", "Dialogue"),
    "elevenlabs_speech": ("elevenlabs", "Speech"),
    "openai_speech": ("openai", "Speech"),
    "hume": ("hume", "Octave"),
    "csm": ("csm", "Csm"),
    "dia_transformers": ("dia_transformers", "DiaTransformers"),
    "orpheus": ("orpheus", "Orpheus"),
    "folder": ("folder", "Folder"),
}


def open_system(declaration: Declaration) -> System:
    """Return the code of a system. Raises :class:`UserError` for an unknown client, or a package that is not
    installed.
    """
    if declaration.client not in CLIENTS:
        raise UserError(
            f"system {declaration.name}: there is no client {declaration.client!r}; there are: {', '.join(CLIENTS)}"
        )
    module, name = CLIENTS[declaration.client]
    try:
        loaded = importlib.import_module(f"dia.systems.{module}")
    except ImportError as error:
        raise UserError(
            f"system {declaration.name} is not available here: {error}; its package is missing, or not of the version that is "
            "asked for: pip install 'dia-framework[systems]'"
        ) from error
    system: System = getattr(loaded, name)(declaration)
    return system


def key_of(declaration: Declaration) -> str:
    """Return the key from the environment, empty when the system takes none. Raises :class:`UserError` when
    it is not set.
    """
    if not declaration.key:
        return ""
    if not (key := os.environ.get(declaration.key, "").strip()):
        raise UserError(
            f"system {declaration.name} needs a key in the environment variable {declaration.key}; it is not set"
        )
    return key
