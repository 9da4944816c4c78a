"""Recordings that others made (NotebookLM has no API; demo pages, benchmarks): audio files and their table.

The table, `recordings.jsonl` or any other JSONL file, has one object in each line: ``{"id": ..., "file": ...,
"script": ..., "take": 0}``, with any other keys of a prompt. ``file`` is relative to the folder of the table,
so that several systems may share a folder, with a table each. The files are copied, hashed and checked like
the responses of a service.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from dia.documents import parse_json
from dia.errors import UserError
from dia.evaluation.prompts import Prompt, duplicates, read_prompt
from dia.files import is_inside, read_regular_file
from dia.systems.declaration import SystemDeclaration
from dia.systems.protocol import RequestFailed, SystemRequest, SystemResponse
from dia.systems.script_rendering import RenderedTurn

TABLE = "recordings.jsonl"
EXTRA_KEYS = frozenset({"file", "take"})
TakeKey = tuple[str, int]  # prompt id and take
Entry = tuple[TakeKey, tuple[str, Prompt]]  # with the file's name and the prompt


class FolderSystem:
    """Return the file that the table names for a prompt and a take."""

    package = ""

    def __init__(self, declaration: SystemDeclaration) -> None:
        """``path`` is a folder with `recordings.jsonl`, or a table (JSONL); it is read on first use."""
        path = Path(declaration.path)
        self.path = path if path.suffix == ".jsonl" else path / TABLE
        self.root = self.path.parent

    @cached_property
    def table(self) -> dict[TakeKey, tuple[str, Prompt]]:
        """File and prompt by id and take. Raises :class:`UserError` that lists every problem of the table."""
        return read_table(self.path)

    def provided_prompts(self) -> list[Prompt]:
        """Return the prompts of the table, in its order."""
        return list({name: prompt for (name, _), (_, prompt) in self.table.items()}.values())

    def provided_takes(self) -> int:
        """Return the table's highest take, counted from 1."""
        return 1 + max(take for _, take in self.table)

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return one request, for one file."""
        file = self.table.get((prompt_id, take), ("", None))[0]
        return [SystemRequest({"id": prompt_id, "take": take, "file": file}, tuple(range(len(turns))), 0)]

    def open(self) -> None:
        """Read the table."""
        _ = self.table

    def send(self, request: SystemRequest) -> SystemResponse:
        """Return the file's bytes. Raises :class:`RequestFailed` when it is missing or outside the folder."""
        name = request.body["file"]
        path = self.root / name
        if not name:
            message = f"{self.path.name} names no file for this take"
        elif not is_inside(self.root, name):
            message = f"{name} is outside of {self.root}; copy it into the folder"
        else:
            try:
                return SystemResponse(read_regular_file(path), request.body)
            except OSError as error:
                message = f"cannot read {path} ({error.strerror})"
        raise RequestFailed("missing_file", message, request=request.body)


def read_table(path: Path) -> dict[TakeKey, tuple[str, Prompt]]:
    """Read a table of recordings. Raises :class:`UserError` that lists every problem."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path} ({error}); give system.path=FOLDER with the audio files and {TABLE}, "
            "or system.path=TABLE.jsonl, a table beside them"
        ) from error
    entries: list[Entry] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            entry, entry_problems = _parse_entry(line)
            entries += [entry] if entry else []
            problems += [f"line {number} {problem}" for problem in entry_problems]
    problems += duplicates(f"{name}, take {take}" for (name, take), _ in entries)
    problems += _script_conflicts(entries)
    if problems or not entries:
        listed = problems or ["the table names no recording"]
        raise UserError(f"{path} has problems:\n" + "\n".join(f"  - {problem}" for problem in listed))
    return dict(entries)


def _parse_entry(line: str) -> tuple[Entry | None, list[str]]:
    prompt, problems = read_prompt(line, EXTRA_KEYS)
    if prompt is None:
        return None, problems
    content = parse_json(line)
    file, take = content.get("file"), content.get("take", 0)
    if not (isinstance(file, str) and file):
        problems.append("lacks file, the name of the audio file")
    if type(take) is not int or take < 0:
        problems.append(f"has take={take!r}; write a whole number from 0")
    return (None, problems) if problems else (((prompt.id, take), (str(file), prompt)), [])


def _script_conflicts(entries: list[Entry]) -> list[str]:
    scripts: dict[str, set[str]] = {}
    for (name, _), (_, prompt) in entries:
        scripts.setdefault(name, set()).add(prompt.script)
    return [
        f"the takes of {name!r} have different scripts" for name, texts in scripts.items() if len(texts) > 1
    ]
