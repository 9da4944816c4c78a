"""Create the client of a system from its declaration; a vendor's SDK is imported only when it is used.

A declaration names one of `BUILT_IN`. The command line may also name a class of the user, which is then
imported: `system.client=package.module:Class` or `system.client=path/to/file.py:Class`. The class takes the
declaration and implements :class:`dia.systems.protocol.System`.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from dia.errors import UserError
from dia.redaction import make_redactor
from dia.systems.declaration import SystemDeclaration
from dia.systems.protocol import System

BUILT_IN = {
    "http": "dia.systems.http_client:HttpSystem",
    "folder": "dia.systems.folder:FolderSystem",
    "elevenlabs_dialogue": "dia.systems.elevenlabs:ElevenLabsDialogue",
    "elevenlabs_speech": "dia.systems.elevenlabs:ElevenLabsSpeech",
    "openai_speech": "dia.systems.openai:OpenAISpeech",
    "hume": "dia.systems.hume:HumeOctave",
    "csm": "dia.systems.csm:CsmSystem",
    "dia_transformers": "dia.systems.dia_transformers:DiaTransformersSystem",
    "orpheus": "dia.systems.orpheus:OrpheusSystem",
}


def create_system(declaration: SystemDeclaration) -> System:
    """Return the client of a system. Raises :class:`UserError` for an unknown client or a missing package."""
    module_name, _, class_name = BUILT_IN.get(declaration.client, declaration.client).rpartition(":")
    if not (module_name and class_name):
        raise UserError(
            f"system {declaration.name}: unknown client {declaration.client!r}; use one of "
            f"{', '.join(BUILT_IN)}, package.module:Class or path/to/file.py:Class"
        )
    module = _import_client(module_name, declaration)
    if not hasattr(module, class_name):
        raise UserError(
            f"system {declaration.name}: {module_name} has no class {class_name}; correct `client`"
        )
    system: System = getattr(module, class_name)(declaration)
    return system


def read_api_key(declaration: SystemDeclaration) -> str:
    """Return the API key, empty when the system needs none. Raises :class:`UserError` when it is not set."""
    if not declaration.key:
        return ""
    if not (key := os.environ.get(declaration.key, "").strip()):
        raise UserError(
            f"system {declaration.name} needs an API key in the environment variable {declaration.key}; "
            f"it is not set: export {declaration.key}=..."
        )
    return key


def redactor_of(declaration: SystemDeclaration) -> Callable[[str], str]:
    """Return a function that replaces a system's API key in a text (:mod:`dia.redaction`)."""
    return make_redactor(os.environ.get(declaration.key, "").strip() if declaration.key else "")


def _import_client(name: str, declaration: SystemDeclaration) -> ModuleType:
    try:
        return _import_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except FileNotFoundError as error:
        raise UserError(
            f"system {declaration.name}: there is no client file {name}; correct `client`"
        ) from error
    except ImportError as error:
        raise UserError(
            f"system {declaration.name} is not available: {error}; "
            "a package is missing or has another version: pip install 'dia-framework[systems]'"
        ) from error


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"dia_client_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
