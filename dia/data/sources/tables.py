"""Tables of corpus rows: a Hub data set or its local copy, or a folder of audio files with or without tables.

Audio remains encoded (bytes or a path) until a row is read.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from dia.data.source import Unit
from dia.data.sources.declaration import Declaration, parse_declaration
from dia.data.sources.file_table import FileTable
from dia.data.sources.hub_table import HubTable
from dia.errors import UserError


class Table(Protocol):
    """The rows of a corpus, one per unit."""

    def version(self) -> str:
        """Return a string that changes when the content of the rows changes.

        Raises :class:`UserError` with all problems that show without the audio.
        """
        ...

    def count(self) -> int | None:
        """Return the number of rows, None for a stream of unknown length."""
        ...

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each row, in the corpus's order."""
        ...

    def row(self, unit: Unit) -> dict[str, Any]:
        """Return a row. Raises :class:`UserError` when it cannot be read."""
        ...

    def labels(self) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield the units with their rows, of which only the labels are read; nothing for a stream."""
        ...

    def group(self, unit: Unit) -> tuple[str, str]:
        """Return a name of the unit's recording and its speaker, "" if unknown: splits do not share them."""
        ...


def open_table(declared: Declaration, path: str, streaming: bool, outside: bool = False) -> Table:
    """Open the table of a corpus. Raises :class:`UserError` when it is missing or lacks a declared column."""
    if declared.hub is not None and (path or not declared.hub.local_only):
        return _open_hub(json.dumps(asdict(declared), sort_keys=True), path, streaming)
    if not path:
        raise UserError(
            f"{declared.title} cannot be downloaded; get a copy ({declared.card}) and set data.path=FOLDER"
        )
    place = Path(path)
    if declared.hub is None and place.is_file() and declared.files is not None and declared.files.manifest:
        return FileTable(declared, declared.files, place.parent, only=place, outside=outside)
    if not place.is_dir():
        raise UserError(f"data.path={path} is not a folder; give the folder of {declared.title}")
    assert declared.files is not None, "checked by the declaration"
    return FileTable(declared, declared.files, place, outside=outside)


@cache
def _open_hub(declared_json: str, path: str, streaming: bool) -> HubTable:
    """The table of a data set, opened once per process."""
    content = json.loads(declared_json)
    return HubTable(parse_declaration(content["name"], content), path, streaming)
