"""Rows of Parquet files and of `datasets` folders (Arrow), without their audio, which is read row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dia.data.sources.text_tables import Row
from dia.errors import UserError, one_line

PARQUET = (".parquet",)
ARROW = (".arrow",)
ROWS_AT_A_TIME = 1000


@dataclass(frozen=True)
class ArrowCell:
    """The audio of a row, which :func:`audio_cell` reads.

    ``path`` is its name in the table, if any; with ``is_name`` no file of this name is read.
    """

    table: Path
    row: int
    column: str
    path: str | None = None
    is_name: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that may hold the audio."""
        return (self.table,) if self.beside is None else (self.table, self.beside)

    @property
    def beside(self) -> Path | None:
        """The file that the path names, relative to the table; None when there is none."""
        if self.is_name:
            return None
        try:
            path = self.table.parent / (self.path or "")
            return path if path.is_file() else None
        except (OSError, ValueError):  # a name that is too long, or has a null character
            return None

    def holds_audio(self) -> bool:
        """Return whether the cell itself holds the audio, so that the path only names the clip."""
        content = audio_cell(self)
        if isinstance(content, dict):
            return any(content.get(name) is not None for name in ("bytes", "array"))
        return content is not None


def arrow_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet or Arrow file, numbered from 1.

    A column of audio (bytes, or a structure with `bytes`) is a reference that :func:`audio_cell` resolves.
    Raises :class:`UserError` for a damaged file.
    """
    try:
        schema = _parquet(path).schema_arrow if _is_parquet(path) else _arrow(path).schema
        audio = [field.name for field in schema if _is_audio(field.type)]
        number = 0
        for batch in _batches(path, schema, audio):
            for row in batch.to_pylist():
                number += 1
                references = {name: _reference(path, number, name, row.get(name)) for name in audio}
                yield number, row | references
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged ({one_line(error)}); download or write it again") from error


def audio_cell(cell: ArrowCell) -> Any:
    """Return the content of an audio cell: bytes, or a structure with `bytes`, `path` or `array`.

    Raises :class:`UserError` when the file can no longer be read.
    """
    path, place = cell.table, cell.row - 1
    try:
        if not _is_parquet(path):
            return _arrow(path).column(cell.column)[place].as_py()
        group = 0
        while place >= (size := _parquet(path).metadata.row_group(group).num_rows):
            place, group = place - size, group + 1
        return _row_group(path, group, cell.column, path.stat().st_mtime_ns)[place].as_py()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged ({one_line(error)}); download or write it again") from error


def _batches(path: Path, schema: pa.Schema, audio: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows without audio; of an audio column only the path, which names the clip."""
    if not _is_parquet(path):
        table = _arrow(path)
        plain = table.select([name for name in schema.names if name not in audio])
        for name in audio:
            kind = schema.field(name).type
            if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
                paths = pa.chunked_array([chunk.field("path") for chunk in table.column(name).chunks])
                plain = plain.append_column(name, paths)
        yield from plain.to_batches(ROWS_AT_A_TIME)
        return
    columns = [name for name in schema.names if name not in audio]
    for name in audio:
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
            columns.append(f"{name}.path")
    yield from _parquet(path).iter_batches(ROWS_AT_A_TIME, columns=columns)


def _reference(path: Path, number: int, column: str, named: Any) -> ArrowCell:
    name = named.get("path") if isinstance(named, dict) else named
    return ArrowCell(path, number, column, name)


def _is_audio(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.get_field_index(name) >= 0 for name in ("bytes", "array"))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _parquet(path: Path) -> pq.ParquetFile:
    return _opened_parquet(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _opened_parquet(path: Path, modified: int) -> pq.ParquetFile:
    return pq.ParquetFile(path)


@lru_cache(maxsize=2)
def _row_group(path: Path, group: int, column: str, modified: int) -> pa.ChunkedArray:
    """An audio column of a row group; rows are read in order, so that one group is needed at a time."""
    return _parquet(path).read_row_group(group, columns=[column]).column(column)


def _arrow(path: Path) -> pa.Table:
    return _opened_arrow(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _opened_arrow(path: Path, modified: int) -> pa.Table:
    """A memory-mapped Arrow file, written as a stream (by `datasets`) or as a file."""
    try:
        return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
