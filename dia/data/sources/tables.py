"""Tables of corpus rows: a Hub data set or its local copy, or a folder of audio files with or without tables.

A table is opened once per process. Audio remains encoded (bytes or a path) until a row is read.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from tarfile import TarError
from typing import Any, Protocol

from datasets import Audio, Features, Value, load_dataset, load_dataset_builder
from datasets.exceptions import DatasetsError

from dia.data.source import Unit
from dia.data.sources.declaration import Declaration, Files, parse_declaration
from dia.errors import UserError, one_line

# What `datasets` raises for data that is missing, not accessible or damaged.
READ_ERRORS = (OSError, ValueError, DatasetsError, TarError)
# The type of audio columns: that of `datasets` needs torchcodec even without decoding.
AUDIO_FILE = {"bytes": Value("binary"), "path": Value("string")}
TYPES = {"string": Value("string"), "int": Value("int64"), "float": Value("float64"), "bool": Value("bool")}


class Table(Protocol):
    """The rows of a corpus, one per unit."""

    def version(self) -> str:
        """Return a string that changes when the rows change."""
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


def open_table(declared: Declaration, path: str, streaming: bool) -> Table:
    """Open the table of a corpus. Raises :class:`UserError` when it is missing or lacks a declared column."""
    return _open(json.dumps(asdict(declared), sort_keys=True), path, streaming)


@cache
def _open(declared_json: str, path: str, streaming: bool) -> Table:
    content = json.loads(declared_json)
    declared = parse_declaration(content["name"], content)
    if declared.hub is not None and (path or not declared.hub.local_only):
        return HubTable(declared, path, streaming)
    if not path:
        raise UserError(
            f"{declared.title} cannot be downloaded; get a copy ({declared.card}) and set data.path=FOLDER"
        )
    if not Path(path).is_dir():
        raise UserError(f"data.path={path} is not a folder; give the folder of {declared.title}")
    assert declared.files is not None, "checked by the declaration"
    return FileTable(declared, declared.files, Path(path))


class HubTable:
    """A data set that is loaded with `datasets`, from the Hub or a local copy."""

    def __init__(self, declared: Declaration, path: str, streaming: bool) -> None:
        self.declared, self.streaming = declared, streaming
        hub = declared.hub
        assert hub is not None, "a Hub table has hub"
        self.location = path or hub.path
        self.arguments: dict[str, Any] = {
            "path": self.location,
            "name": None if path and hub.data_files else hub.config,
        }
        if hub.data_files:
            self.arguments["data_files"] = hub.data_files
        if hub.data_files and all(pattern.endswith(".tar") for pattern in hub.data_files.values()):
            self.arguments["features"] = self._web_features()
        self.opened: dict[str, Any] = {}

    def version(self) -> str:
        """Return the builder's hash, of the repository's commit or of the local files."""
        return str(self._load(load_dataset_builder).hash)

    def count(self) -> int | None:
        """Return the number of rows of all splits."""
        return None if self.streaming else sum(len(self.split(split)) for split in self.declared.splits)

    def units(self) -> Iterator[Unit]:
        """Yield units that contain the number of their row, or for a stream the row itself."""
        for split in self.declared.splits:
            if self.streaming:
                for number, row in self._streamed(split):
                    yield Unit(f"{split}-{number:08d}", split, row)
            else:
                for number in range(len(self.split(split))):
                    yield Unit(f"{split}-{number:08d}", split, number)

    def row(self, unit: Unit) -> dict[str, Any]:
        """Return a row; in a WebDataset the fields of the JSON member are columns."""
        rows = {} if self.streaming else self.split(unit.split)
        try:
            row: dict[str, Any] = unit.content if self.streaming else rows[unit.content]
        except READ_ERRORS as error:
            raise UserError(
                f"row {unit.content} of {unit.split} is damaged ({one_line(error)}); download it again"
            ) from error
        return row | row["json"] if isinstance(row.get("json"), dict) else row

    def _streamed(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        rows, number = self.split(split), -1
        try:
            for number, row in enumerate(rows):
                yield number, row
        except READ_ERRORS as error:
            raise UserError(
                f"the stream of {self.location} failed after row {number} of {split} ({one_line(error)}); "
                "run the same command again, which reuses finished shards"
            ) from error

    def split(self, split: str) -> Any:
        """Return a split with audio columns that are not decoded."""
        if split not in self.opened:
            rows = self._load(load_dataset, split=self.declared.splits[split], streaming=self.streaming)
            features = rows.features or {}
            if features and (missing := sorted(self._top_columns(features) - features.keys())):
                raise UserError(
                    f"{self.location} lacks the columns {', '.join(missing)}; it has "
                    f"{', '.join(sorted(features))}. "
                    f"Check that it is this corpus and version: {self.declared.card}"
                )
            for name, feature in features.items():
                if isinstance(feature, Audio):
                    rows = rows.cast_column(name, AUDIO_FILE)
            self.opened[split] = rows
        return self.opened[split]

    def _top_columns(self, features: Any) -> set[str]:
        """The declared columns without those inside the JSON member of a WebDataset."""
        inside = set(features["json"]) if isinstance(features.get("json"), dict) else set()
        return set(self.declared.columns) - inside

    def _web_features(self) -> Features:
        """The columns of a WebDataset: the audio, and a JSON member with the declared fields."""
        fields = {name: TYPES[kind] for name, kind in self.declared.columns.items()}
        key = {"__key__": Value("string"), "__url__": Value("string")}
        return Features(key | {self.declared.roles.audio: Value("binary"), "json": fields})

    def _load(self, load: Any, **options: Any) -> Any:
        try:
            return load(**self.arguments, **options)
        except READ_ERRORS as error:
            raise UserError(
                f"{self.location} cannot be loaded ({type(error).__name__}: {one_line(error)}); check the "
                "network, accept its terms on the Hub if any, or give a local copy with data.path=FOLDER"
            ) from error


class FileTable:
    """Audio files in a folder, with or without tables (JSONL, CSV or a declared line format) of labels."""

    def __init__(self, declared: Declaration, files: Files, folder: Path) -> None:
        self.declared, self.files, self.folder = declared, files, folder
        if not self._paths():
            raise UserError(f"{folder} contains no {files.manifest or files.audio}; see {declared.card}")

    def version(self) -> str:
        """Return a digest of names, sizes and modification times of all files of the folder."""
        return folder_version(self.folder)

    def count(self) -> int:
        """Return the number of rows."""
        return sum(1 for _ in self.units())

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each table row or audio file; a row that cannot be parsed is a unit that fails."""
        splits = self.declared.splits
        for path in self._paths():
            for number, row in self._rows(path):
                name = f"{path.relative_to(self.folder)}" + (f":{number}" if number else "")
                stated = str(row.get(self.declared.roles.split or "") or next(iter(splits.values())))
                split = next((ours for ours, theirs in splits.items() if theirs == stated), None)
                if split is None:
                    row = {"error": f"split {stated!r} is not one of {', '.join(splits.values())}"}
                yield Unit(name, split or next(iter(splits)), row)

    def row(self, unit: Unit) -> dict[str, Any]:
        """Return a row with every declared column and the absolute path of its audio."""
        row: dict[str, Any] = unit.content
        if "error" in row:
            raise UserError(f"{unit.id}: {row['error']}")
        column = self.declared.roles.audio
        audio = self.files.sound.format(**row) if self.files.sound else row.get(column)
        if not audio:
            raise UserError(f"{unit.id} names no audio file in the column {column}")
        return dict.fromkeys(self.declared.columns) | row | {column: str(self.folder / str(audio))}

    def _paths(self) -> list[Path]:
        pattern = self.files.manifest or self.files.audio or ""
        return sorted(path for part in pattern.split("|") for path in self.folder.glob(part))

    def _rows(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows with their line number; 0 if the file is one row."""
        if not self.files.manifest:
            yield 0, {self.declared.roles.audio: str(path.relative_to(self.folder))}
        elif self.files.line:
            yield from _matched(path, self.files.line, self.folder, self.declared.roles.audio)
        else:
            yield from (_csv_rows(path) if path.suffix == ".csv" else _json_rows(path))


def _lines(path: Path) -> Iterator[tuple[int, str | dict[str, Any]]]:
    """Lines of a text file with their number; a line that is not UTF-8 becomes a row with an error."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield (
                    number,
                    {"error": f"byte {error.start} of the line is not UTF-8; save the file as UTF-8"},
                )


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        if isinstance(line, dict):
            yield number, line
        elif line.strip():
            try:
                row = json.loads(line)
                yield number, row if isinstance(row, dict) else {"error": "the line is not a JSON object"}
            except ValueError as error:
                yield number, {"error": f"the line is not JSON ({error})"}


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a CSV file with a header. Cells contain no line breaks, so a damaged line affects no other."""
    header: list[str] = []
    for number, line in _lines(path):
        if isinstance(line, dict):
            yield number, line
            continue
        if not line.strip():
            continue
        cells = next(csv.reader([line]))
        if not header:
            header = cells
        elif len(cells) != len(header):
            yield number, {"error": f"the line has {len(cells)} cells, the header {len(header)}"}
        else:
            yield number, dict(zip(header, cells, strict=True))


def _matched(path: Path, pattern: str, folder: Path, audio: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a text file whose lines match ``pattern``; audio paths are relative to the file."""
    for number, line in _lines(path):
        if isinstance(line, dict):
            yield number, line
        elif line.strip():
            match = re.fullmatch(pattern, line)
            if match is None:
                yield (
                    number,
                    {"error": f"the line {line[:60]!r} does not match the declared pattern ({pattern})"},
                )
            else:
                row = match.groupdict()
                yield number, row | {audio: str((path.parent / row[audio]).relative_to(folder))}


def folder_version(folder: Path) -> str:
    """Return a digest of names, sizes and modification times of all files below a folder."""
    digest = sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        state = path.stat()
        digest.update(
            f"{path.relative_to(folder)} {state.st_size} {state.st_mtime_ns}\n".encode(
                "utf-8", "surrogateescape"
            )
        )
    return digest.hexdigest()
