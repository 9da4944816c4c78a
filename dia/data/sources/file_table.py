"""A folder of audio files as a table, with or without table files of labels.

Reading the tables finds every mistake that shows without the audio: columns, splits, paths. Audio remains
encoded until a row is read.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dia.data.content import content_digest
from dia.data.source import Unit
from dia.data.sources.arrow_tables import ARROW, PARQUET, ArrowCell, arrow_rows
from dia.data.sources.audio_paths import ArchiveMember, AudioPaths
from dia.data.sources.columns import (
    Columns,
    is_header,
    missing_columns,
    spellings,
    split_in_name,
    split_named,
)
from dia.data.sources.declaration import Declaration, Files
from dia.data.sources.table_files import audio_beside, find_tables
from dia.data.sources.table_problems import TableProblems
from dia.data.sources.text_tables import (
    ERROR,
    JSON,
    JSON_LINES,
    Row,
    Sniffer,
    json_line_rows,
    json_rows,
    matched_rows,
    read_table_text,
    separated_rows,
)
from dia.errors import UserError

logger = logging.getLogger(__name__)
TRAIN = "train"
SPLIT = "__split__"  # where a row notes its split
PLACEHOLDER = re.compile(r"\{(\w+)\}")  # of a template: attributes and widths are not evaluated


class FileTable:
    """Audio files in a folder, with or without tables of labels; see :class:`dia.data.sources.tables.Table`.

    ``only`` is the table to read where the folder has several. Raises :class:`UserError` when the folder has
    none.
    """

    def __init__(
        self,
        declared: Declaration,
        files: Files,
        folder: Path,
        *,
        only: Path | None = None,
        outside: bool = False,
    ) -> None:
        self.declared, self.files, self.folder, self.outside = declared, files, folder, outside
        self.free_form = files.aliases is not None
        self.audio = AudioPaths(folder, self.free_form, files.archives)
        self.tables = (
            [only] if only else find_tables(folder, files, free_form=self.free_form, outside=outside)
        )
        self.columns: dict[tuple[Any, ...], Columns] = {}
        # a single table named `test.csv` need not be a test split
        self.splits_by_name = self.free_form and any(
            self._split_by_name(table) == TRAIN for table in self.tables
        )
        if not self.tables:
            wanted = files.manifest or files.audio or ""
            raise UserError(f"{folder} contains no {wanted.replace('|', ', ')}; see {declared.card}")

    def version(self) -> str:
        """Return a digest of the contents of the tables and of the audio that they name.

        Raises :class:`UserError` with every problem of the tables.
        """
        problems, paths = TableProblems(), set(self.tables)
        for _, row in self._rows(problems):
            audio = row.get(self.declared.roles.audio)
            if isinstance(audio, ArrowCell | ArchiveMember):
                paths |= set(audio.files)
            elif audio:
                paths.add(Path(audio))
        problems.require_none(self.folder)
        return content_digest(self.folder, paths)

    def count(self) -> int:
        """Return the number of rows."""
        return sum(1 for _ in self.units())

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each table row or audio file; a row that cannot be parsed is a unit that fails."""
        default = next(iter(self.declared.splits))
        for name, row in self._rows(TableProblems()):
            yield Unit(name, row.pop(SPLIT, default), row)

    def row(self, unit: Unit) -> dict[str, Any]:
        """Return a row with every declared column and the place of its audio."""
        row: dict[str, Any] = unit.content
        if ERROR in row:
            raise UserError(f"{unit.id}: {row[ERROR]}")
        return dict.fromkeys(self.declared.columns) | row

    def labels(self) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield every unit that can be read, with its row."""
        for unit in self.units():
            if ERROR not in unit.content:
                yield unit, self.row(unit)

    def group(self, unit: Unit) -> tuple[str, str]:
        """Return the recording of a unit and its speaker, "" if unknown; clips of one share a split."""
        roles, row = self.declared.roles, unit.content
        audio = row.get(roles.audio)
        speaker = row.get(roles.voice) if roles.voice else None
        if not isinstance(audio, str):
            return unit.id, str(speaker or "")
        return os.path.relpath(audio, self.folder), str(speaker or "")

    def _rows(self, problems: TableProblems) -> Iterator[tuple[str, dict[str, Any]]]:
        """All rows with their names, their audio located, and their split in ``SPLIT``."""
        listed: dict[Any, Path] = {}
        self.columns.clear()
        for table in self.tables:
            for number, row in self._raw_rows(table):
                name = f"{table.relative_to(self.folder)}" + (f":{number}" if number else "")
                for step in self._steps():
                    row = row if ERROR in row else step(row, table, name, problems)
                self._note(row, name, table, listed, problems)
                yield name, row

    def _steps(self) -> list[Callable[[dict[str, Any], Path, str, TableProblems], dict[str, Any]]]:
        """What is done with each row, in this order, until a step finds an error."""
        named = [self._renamed] if self.files.manifest else []
        return [*named, self._located, self._with_split]

    def _raw_rows(self, table: Path) -> Iterator[Row]:
        """The rows of a table as written with their line number; 0 if the file is one row."""
        audio, suffix = self.declared.roles.audio, table.suffix.lower()
        if not self.files.manifest:
            return iter([(0, {audio: str(table.relative_to(self.folder))})])
        if self.files.line:
            return matched_rows(table, self.files.line, audio)
        if suffix in PARQUET + ARROW:
            return arrow_rows(table)
        if suffix in JSON_LINES:
            return json_line_rows(table)
        if suffix in JSON:
            return json_rows(table)
        if self.free_form and (beside := audio_beside(table)):
            return iter([(0, {"audio": beside.name, "text": read_table_text(table)})])
        sniffer = Sniffer(
            lambda cells: is_header(cells, self.declared),
            lambda cell: self.free_form and isinstance(self.audio.existing(cell, table.parent), Path),
        )
        return separated_rows(table, sniffer)

    def _renamed(
        self, row: dict[str, Any], table: Path, name: str, problems: TableProblems
    ) -> dict[str, Any]:
        """A row with the declared columns; a row that lacks a needed column is one with an error."""
        header = (table, *row)
        first = not any(known[0] == table for known in self.columns)
        if header not in self.columns:
            columns = self.columns[header] = Columns.of(row, self.declared)
            for written, known in columns.misspelt.items():
                problems.add(
                    f"the column {written} is not read; rename it to {known}, or remove it", table.name
                )
            if columns.unread and self.free_form:
                logger.info("%s: columns that are not read: %s", table, ", ".join(columns.unread))
        columns = self.columns[header]
        if missing := missing_columns(columns, self.declared):
            accepted = "; ".join(
                f"{column} ({', '.join(spellings(column, self.declared))})" for column in missing
            )
            if first:
                problems.add(f"a column is missing: {accepted}", f"{table.name} has {', '.join(row)[:200]}")
            return {ERROR: f"the row has no {', '.join(missing)}"}
        return columns.read(row)

    def _located(
        self, row: dict[str, Any], table: Path, name: str, problems: TableProblems
    ) -> dict[str, Any]:
        """A row whose audio is the absolute path of a file, or a reference into another file."""
        column = self.declared.roles.audio
        named = row.get(column)
        if isinstance(named, ArrowCell):
            return self._located_cell(row, named, name, problems)
        try:
            if self.files.sound:
                named = PLACEHOLDER.sub(lambda match: str(row[match[1]]), self.files.sound)
            elif isinstance(named, dict):
                named = named.get("path")
        except (KeyError, IndexError, AttributeError) as error:
            return {ERROR: f"the path {self.files.sound} needs the column {error}"}
        if not named or "\0" in str(named):
            return {ERROR: f"the row names no audio file in the column {column}"}
        try:
            place = self.audio.find(str(named), table)
        except UserError as error:
            return {ERROR: str(error)}
        if isinstance(place, Path) and not self._may_be_read(place):
            return self._outside(named, name, problems)
        return row | {column: str(place) if isinstance(place, Path) else place}

    def _located_cell(
        self, row: dict[str, Any], cell: ArrowCell, name: str, problems: TableProblems
    ) -> dict[str, Any]:
        """A row of a Parquet or Arrow file, whose cell holds the audio or names a file."""
        if cell.beside is None or self._may_be_read(cell.beside):
            return row
        if not cell.holds_audio():
            return self._outside(cell.path, name, problems)
        # the path only names the clip: it is that of the file where the table was written
        return row | {self.declared.roles.audio: replace(cell, is_name=True)}

    def _may_be_read(self, path: Path) -> bool:
        return self.outside or self.audio.is_inside(path)

    @staticmethod
    def _outside(named: object, name: str, problems: TableProblems) -> dict[str, Any]:
        problems.add(
            "a table names files outside of its folder; copy them into it, or set data.outside=true",
            f"{name} names {named}",
        )
        return {ERROR: f"{named} lies outside of the folder"}

    def _with_split(
        self, row: dict[str, Any], table: Path, name: str, problems: TableProblems
    ) -> dict[str, Any]:
        """A row with its split: of its column, else of the table's folder or name, else none."""
        splits, column = self.declared.splits, self.declared.roles.split
        stated = str(row.get(column) or "").strip() if column else ""
        if stated:
            split = split_named(stated, splits)
            if split is None:
                accepted = ", ".join(splits.values())
                problems.add(
                    f"the split {stated!r} is not one of {accepted}; correct the column {column}", name
                )
        else:
            split = self._split_by_name(table) if self.splits_by_name else None
        return row | ({SPLIT: split} if split else {})

    def _split_by_name(self, table: Path) -> str | None:
        """The split that the name of a table or of its folder states."""
        parts = (*table.relative_to(self.folder).parts[:-1], table.stem)
        return split_in_name(parts, self.declared.splits)

    def _note(
        self, row: dict[str, Any], name: str, table: Path, listed: dict[Any, Path], problems: TableProblems
    ) -> None:
        """Record audio that is missing, and audio that several tables list."""
        audio = row.get(self.declared.roles.audio)
        if ERROR not in row:
            exists = not isinstance(audio, str) or os.path.exists(str(audio))
            problems.note_audio(exists, f"{name} names {audio}")
        if not self.free_form or not isinstance(audio, str) or len(self.tables) == 1:
            return
        first = listed.setdefault((audio, row.get("start"), row.get("end")), table)
        if first != table:
            problems.add(
                "several tables list the same audio; name the one to read: data.path=FOLDER/TABLE",
                f"{os.path.basename(audio)} in {first.name} and {table.name}",
            )
