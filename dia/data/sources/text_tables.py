"""Rows of text tables: CSV, TSV, semicolons or pipes, with or without a header, JSON Lines and JSON.

A row is a pair of its line number and its cells by column. A damaged row is ``{ERROR: reason}`` and does
not affect others.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dia.errors import UserError, one_line

ERROR = "__error__"  # no column of a table
Row = tuple[int, dict[str, Any]]
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json",)
DELIMITERS = ",;\t|"
LINE_END = re.compile(r"\r\n|\r|\n")
LONGEST_CELL = 50  # lines of a quoted cell; more is taken for a missing quotation mark
SHOWN_LINES = 5


@dataclass(frozen=True)
class Separated:
    """The form of a table of separated cells: its delimiter, and its columns if it has a header."""

    delimiter: str
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sniffer:
    """What the first line of a table is compared with, to find the delimiter and whether there is a header.

    ``is_header`` returns whether cells are column names, ``is_audio`` whether a cell names an audio file.
    """

    is_header: Callable[[list[str]], bool]
    is_audio: Callable[[str], bool]

    def form(self, path: Path, lines: list[str]) -> Separated:
        """Return the form of a table. Raises :class:`UserError` when it is no table of clips."""
        first = next((line for line in lines if line.strip()), "")
        delimiters = "\t" if path.suffix.lower() in (".tsv", ".tab") else DELIMITERS
        candidates = {delimiter: _cells([first], delimiter, quoted=True) for delimiter in delimiters}
        for delimiter, cells in candidates.items():
            if self.is_header(cells):
                return Separated(delimiter, tuple(cells))
        for delimiter in "|\t;,":
            cells = candidates.get(delimiter, [])
            if len(cells) > 1 and self.is_audio(cells[0]):
                return Separated(delimiter)
        cells = max(candidates.values(), key=len)
        raise UserError(
            f"{path} has the columns {', '.join(cells)[:200]}, but not both the audio file and the text; "
            "begin the table with a line that names its columns, at least `audio` and `text`, or name "
            "another table: data.path=FOLDER/TABLE"
        )


def separated_rows(path: Path, sniffer: Sniffer) -> Iterator[Row]:
    """Yield the rows of a table of separated cells. Without a header columns are named by their content.

    Raises:
        UserError: When the table is no text, is no table of clips, or has lines with another number of cells
            than its header.
    """
    lines = LINE_END.split(read_table_text(path))
    if lines and re.fullmatch(r"sep=.", lines[0].strip()):  # a note of Excel about the delimiter
        lines[0] = ""
    form = sniffer.form(path, lines)
    width = len(form.header) or None
    records = list(_records(lines, form.delimiter, width))
    if not form.header:
        yield from _with_names(path, [(number, cells) for number, cells in records if len(cells) > 1])
        return
    wrong = [number for number, cells in records if len(cells) != width]
    if wrong:
        listed = ", ".join(map(str, wrong[:SHOWN_LINES])) + (" ..." if len(wrong) > SHOWN_LINES else "")
        raise UserError(
            f"{path}: {len(wrong)} lines do not have {width} cells as the header has (lines {listed}); put "
            "texts that contain the delimiter, a quotation mark or a line break into double quotes"
        )
    for number, cells in records[1:]:
        yield number, dict(zip(form.header, cells, strict=True))


def read_table_text(path: Path) -> str:
    """Return the text of a table in UTF-8, or UTF-16 with a byte order mark. Raises :class:`UserError`."""
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path} is not UTF-8: line {line} has the byte {content[error.start]:#04x}; save it as UTF-8 "
            f"(in Excel: CSV UTF-8), or convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8.csv"
        ) from error


def _records(lines: list[str], delimiter: str, width: int | None) -> Iterator[tuple[int, list[str]]]:
    """The cells of each record with the number of its first line.

    Tables with tabs and pipes are usually written without quotes, so that quotation marks are text; where the
    cells do not add up they are read as quotes.
    """
    quoted = delimiter in ",;"
    if not quoted:
        plain = list(_parsed(lines, delimiter, width, quoted=False))
        if width is None or all(len(cells) == width for _, cells in plain):
            yield from ((number, [_unquoted(cell) for cell in cells]) for number, cells in plain)
            return
    yield from _parsed(lines, delimiter, width, quoted=True)


def _parsed(
    lines: list[str], delimiter: str, width: int | None, *, quoted: bool
) -> Iterator[tuple[int, list[str]]]:
    place = 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        size = _record_size(lines, place, delimiter, width) if quoted else 1
        yield place + 1, _cells(lines[place : place + size], delimiter, quoted=quoted)
        place += size


def _record_size(lines: list[str], place: int, delimiter: str, width: int | None) -> int:
    """The number of lines of the record that begins at ``place``: more than one if a cell has line breaks.

    A record over several lines must have the right number of cells: otherwise a missing quotation mark would
    hide the lines after it.
    """
    marks = 0
    for size in range(1, min(LONGEST_CELL, len(lines) - place) + 1):
        marks += lines[place + size - 1].count('"')
        if marks % 2 == 0:
            fits = width is None or len(_cells(lines[place : place + size], delimiter, quoted=True)) == width
            return size if fits else 1
    return 1


def _cells(lines: list[str], delimiter: str, *, quoted: bool) -> list[str]:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    for strict in (True, False):
        text = io.StringIO("\n".join(lines))
        try:
            row = next(csv.reader(text, delimiter=delimiter, quoting=quoting, strict=strict), [])
            return [cell.strip() for cell in row]
        except csv.Error as error:
            if "unexpected end" in str(error):  # a quotation mark that nothing closes
                break
    return []  # also for a NUL, or a cell above csv.field_size_limit()


def _unquoted(cell: str) -> str:
    """A cell without the quotes around it, in a table that is otherwise written without quotes."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def _with_names(path: Path, records: list[tuple[int, list[str]]]) -> Iterator[Row]:
    """Rows of a table without a header, whose first column is the audio.

    Two columns are audio and text. Of three, the one without any space is the speaker (`wav|speaker|text`,
    `wav|text|speaker`); of two texts the second is the normalized one (LJSpeech).
    """
    widths = {len(cells) for _, cells in records}
    if len(widths) != 1 or not widths <= {2, 3}:
        raise UserError(
            f"{path} has no header, and its lines have {', '.join(map(str, sorted(widths)))} cells; begin it "
            "with a line that names its columns, such as audio|text|speaker"
        )
    names = ["audio", "text"]
    if widths == {3}:
        spaced = [any(" " in cells[place] for _, cells in records) for place in (1, 2)]
        if not any(spaced):
            raise UserError(
                f"{path} has no header, and which of its columns is the text is not clear; begin it with a "
                "line that names its columns, such as audio|text|speaker"
            )
        names = [
            "audio",
            *(
                ["text", "normalized"]
                if all(spaced)
                else ["text", "speaker"]
                if spaced[0]
                else ["speaker", "text"]
            ),
        ]
    for number, cells in records:
        row = dict(zip(names, cells, strict=True))
        row["text"] = row.pop("normalized", "") or row["text"]
        yield number, row


def json_line_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file with a JSON object per line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
                yield number, row if isinstance(row, dict) else {ERROR: "the line is not a JSON object"}
            except UnicodeDecodeError as error:
                reason = f"byte {error.start} of the line is not UTF-8; save the file as UTF-8"
                yield number, {ERROR: reason}
            except (ValueError, RecursionError) as error:
                yield number, {ERROR: f"the line is not JSON ({one_line(error)})"}


def json_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSON file: a list of objects, or texts or objects by the name of their audio.

    A file with an object per line is read as JSON Lines. Raises :class:`UserError` for other content.
    """
    try:
        content = json.loads(read_table_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        rows = list(json_line_rows(path))
        if rows and ERROR not in rows[0][1]:
            yield from rows
            return
        raise UserError(f"{path} is not JSON ({one_line(error)}); write a list of objects") from error
    for name in ("data", "rows", "clips"):
        if isinstance(content, dict) and isinstance(content.get(name), list):
            content = content[name]
    if (
        isinstance(content, dict)
        and content
        and all(isinstance(item, str | dict) for item in content.values())
    ):
        content = [
            {"audio": name} | ({"text": item} if isinstance(item, str) else item)
            for name, item in content.items()
        ]
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise UserError(
            f'{path} is no table: write a list of objects, such as [{{"audio": "a.wav", "text": "Hello."}}]'
        )
    yield from enumerate(content, start=1)


def matched_rows(path: Path, pattern: str, audio: str) -> Iterator[Row]:
    """Yield the rows of a text file whose lines match ``pattern``, whose groups are columns."""
    for number, line in enumerate(LINE_END.split(read_table_text(path)), start=1):
        if not line.strip():
            continue
        if match := re.fullmatch(pattern, line):
            yield number, match.groupdict()
        else:
            reason = f"the line {line[:60]!r} does not match the declared pattern ({pattern})"
            yield number, {ERROR: reason}
