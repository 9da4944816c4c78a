"""Accept a path in `system=path/to/mine.yaml`: declarations of systems may lie outside of the package."""

import hashlib
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from dia.config.values import escaped
from dia.documents import read_yaml
from dia.errors import UserError, one_line

PREFIX = "system="
SUFFIXES = (".yaml", ".yml")


def is_system_file(argument: str) -> bool:
    """Return whether a command-line argument names the file of a system's declaration."""
    return argument.startswith(PREFIX) and argument.endswith(SUFFIXES)


def register_system_file(argument: str) -> str:
    """Store the declaration that ``system=PATH`` names, and return the argument with its stored name.

    Texts such as ``${oc.env:HOME}`` stay texts. A file may name only clients of this package. Python code is
    named on the command line (``system.client=my_client.py:MyClient``), so that a declaration from someone
    else runs nothing. Raises :class:`UserError` for a file that is missing, is not a YAML mapping, or names
    Python code.
    """
    if not is_system_file(argument):
        return argument
    path = Path(argument.removeprefix(PREFIX)).expanduser()
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"system={path}: cannot read the declaration ({one_line(error)}); give the path of a YAML file"
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"system={path}: the declaration is not a YAML mapping; see eval/systems for examples"
        )
    if ":" in (client := str(content.get("client", ""))):
        raise UserError(
            f"system={path}: a declaration cannot name Python code (client: {client}); if you trust it, "
            f"remove the line and give system.client={client} on the command line"
        )
    name = f"file_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]}"
    ConfigStore.instance().store(group="system", name=name, node=OmegaConf.create(escaped(content)))
    return f"{PREFIX}{name}"
