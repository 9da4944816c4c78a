"""A data set that is loaded with `datasets`, from the Hugging Face Hub or a local copy, as a table."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from tarfile import TarError
from typing import Any

from datasets import Audio, Features, Value, load_dataset, load_dataset_builder
from datasets.config import HF_DATASETS_CACHE
from datasets.exceptions import DatasetsError

from dia.data.content import content_digest
from dia.data.source import Unit
from dia.data.sources.declaration import Declaration
from dia.errors import UserError, one_line

# What `datasets` raises for data that is missing, not accessible or damaged.
READ_ERRORS = (OSError, ValueError, DatasetsError, TarError)
# The type of audio columns: that of `datasets` needs torchcodec even without decoding.
AUDIO_FILE = {"bytes": Value("binary"), "path": Value("string")}
TYPES = {"string": Value("string"), "int": Value("int64"), "float": Value("float64"), "bool": Value("bool")}


class HubTable:
    """A data set that is loaded with `datasets`, from the Hub or a local copy."""

    def __init__(self, declared: Declaration, path: str, streaming: bool) -> None:
        self.declared, self.streaming = declared, streaming
        hub = declared.hub
        assert hub is not None, "a Hub table has hub"
        self.location = path or hub.path
        self.local = Path(path) if path else None
        self.arguments: dict[str, Any] = {
            "path": self.location,
            "name": None if path and hub.data_files else hub.config,
        }
        if hub.data_files:
            self.arguments["data_files"] = hub.data_files
        if hub.data_files and all(pattern.endswith(".tar") for pattern in hub.data_files.values()):
            self.arguments["features"] = self._web_features()
        self.opened: dict[str, Any] = {}
        self._refresh()

    def _refresh(self) -> None:
        """Forget the rows of a local copy that has changed.

        `datasets` may answer with cached rows of an earlier state of a folder that has a card.
        """
        if self.local is None:
            return
        cache = str(Path(HF_DATASETS_CACHE) / f"local-{_state_of(self.local)}")
        if self.arguments.get("cache_dir") != cache:
            self.arguments["cache_dir"] = cache
            self.opened.clear()

    def version(self) -> str:
        """Return the hash of the repository's commit, or a digest of the contents of a local copy."""
        if self.local:
            self._refresh()
            return content_digest(self.local, _files_below(self.local))
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
        return _joined(row)

    def labels(self) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield every unit with its row without audio, where that is possible without reading the audio."""
        names = self.declared.names
        if self.streaming or (names is not None and names.column == self.declared.roles.audio):
            return
        for split in self.declared.splits:
            rows = self.split(split)
            audio = [name for name, kind in rows.features.items() if _is_audio(kind)]
            try:
                for number, row in enumerate(rows.remove_columns(audio)):
                    yield Unit(f"{split}-{number:08d}", split, number), _joined(row)
            except READ_ERRORS as error:
                raise UserError(
                    f"{split} of {self.location} is damaged ({one_line(error)}); download it again"
                ) from error

    def group(self, unit: Unit) -> tuple[str, str]:
        """Return a name for the recording of a unit; the speaker is not looked up."""
        return unit.id, ""

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


def _joined(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a WebDataset with the fields of its JSON member as columns; other rows as they are."""
    return row | row["json"] if isinstance(row.get("json"), dict) else row


def _is_audio(kind: Any) -> bool:
    return kind == AUDIO_FILE or isinstance(kind, Audio) or kind == Value("binary")


def _state_of(folder: Path) -> str:
    """A digest of names, sizes and times: which cached rows of a local copy are current."""
    digest = hashlib.sha256(os.fsencode(folder.resolve()))
    for path in sorted(_files_below(folder)):
        state = path.stat()
        digest.update(os.fsencode(f"{path.relative_to(folder)} {state.st_size} {state.st_mtime_ns}\n"))
    return digest.hexdigest()[:16]


def _files_below(folder: Path) -> Iterator[Path]:
    """The files of a local copy, without hidden ones, such as those of git and of download tools."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
