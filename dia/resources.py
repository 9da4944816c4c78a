"""Paths of declarations (configs, recipes, data, eval) and shipped models, in a checkout or in a wheel.

They lie beside the package in a checkout, and inside the package in an installed wheel.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parent
SHIPPED_CHECKPOINTS = ("dia_nano", "dia_open")
DEFAULT_CHECKPOINT = "dia_open"  # of the commands and of `Dia.from_pretrained`
SHIPPED_CODECS = ("codec_nano", "codec_open")


def resource(name: str) -> Path:
    """Return the absolute path of a declaration, such as ``resource("data/tags.yaml")``.

    Raises:
        FileNotFoundError: When neither the checkout nor the installed package has it.
    """
    for root in (PACKAGE / "resources", PACKAGE.parent):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(
        f"the resource {name} is neither in {PACKAGE / 'resources'} nor in {PACKAGE.parent}"
    )


def shipped_model(name: str) -> Path:
    """Return the folder of a checkpoint or codec of ``SHIPPED_CHECKPOINTS`` or ``SHIPPED_CODECS``."""
    return resource(f"data/models/{name}")


@cache
def declaration(name: str) -> Any:
    """Return the content of a YAML declaration, which is cached; callers must not change it.

    Raises:
        FileNotFoundError: As :func:`resource` does.
        yaml.YAMLError: When the file is not YAML.
    """
    return yaml.safe_load(resource(name).read_text(encoding="utf-8"))
