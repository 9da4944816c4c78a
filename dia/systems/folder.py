"""Recordings that somebody made by hand (NotebookLM has no API): a folder of sound files and a table that
says what they are.

`recordings.jsonl` has an object a line: ``{"id": ..., "file": ..., "script": ..., "take": 0}``; the other
keys of a prompt may stand there as well. The files are copied, hashed and checked like any other answer, and
nothing is spent.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from dia.errors import UserError
from dia.evaluation.prompts import Prompt, duplicates, read_prompt
from dia.systems.declaration import Declaration
from dia.systems.protocol import Answer, Call, Refusal
from dia.systems.script_rendering import Line

TABLE = "recordings.jsonl"
EXTRA = frozenset({"file", "take"})


class Folder:
    """Answers with the file that the table names for a prompt and a take."""

    package = ""

    def __init__(self, declaration: Declaration) -> None:
        """The table is read when it is first needed."""
        self.root = Path(declaration.path)

    @cached_property
    def table(self) -> dict[tuple[str, int], tuple[str, Prompt]]:
        """File and prompt by id and take. Raises :class:`UserError` with every problem of the table at
        once.
        """
        return read_table(self.root)

    def own_prompts(self) -> list[Prompt]:
        """Return the prompts of the table, in its order."""
        return list({name: prompt for (name, _), (_, prompt) in self.table.items()}.values())

    def own_takes(self) -> int:
        """Return the table's highest take, counted from 1."""
        return 1 + max(take for _, take in self.table)

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """One file."""
        file = self.table.get((prompt_id, take), ("", None))[0]
        return [Call({"id": prompt_id, "take": take, "file": file}, tuple(range(len(lines))), 0)]

    def open(self) -> None:
        """As the protocol says."""
        _ = self.table

    def ask(self, call: Call) -> Answer:
        """As the protocol says."""
        name = call.body["file"]
        if not name:
            raise Refusal("missing_file", f"{TABLE} names no file for it", request=call.body)
        path = self.root / name
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise Refusal(
                "missing_file",
                f"{name} lies outside of {self.root}; copy it into the folder",
                request=call.body,
            )
        try:
            return Answer(path.read_bytes(), call.body)
        except OSError as error:
            raise Refusal(
                "missing_file", f"{path} cannot be read ({error.strerror})", request=call.body
            ) from error


def read_table(root: Path) -> dict[tuple[str, int], tuple[str, Prompt]]:
    """Read the table of a folder. Raises :class:`UserError` with every problem at once."""
    path = root / TABLE
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); give system.path=FOLDER with the sound files and {TABLE}"
        ) from error
    found: list[tuple[tuple[str, int], tuple[str, Prompt]]] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            entry, wrong = _entry(line)
            found += [entry] if entry else []
            problems += [f"line {number} {problem}" for problem in wrong]
    problems += duplicates(f"{name}, take {take}" for (name, take), _ in found)
    problems += _differing(found)
    if problems or not found:
        listed = problems or ["it names no recording"]
        raise UserError(f"{path} has problems:\n" + "\n".join(f"  - {problem}" for problem in listed))
    return dict(found)


def _entry(line: str) -> tuple[tuple[tuple[str, int], tuple[str, Prompt]] | None, list[str]]:
    prompt, problems = read_prompt(line, EXTRA)
    if prompt is None:
        return None, problems
    content = json.loads(line)
    file, take = content.get("file"), content.get("take", 0)
    if not (isinstance(file, str) and file):
        problems.append("lacks file, the name of its recording")
    if type(take) is not int or take < 0:
        problems.append(f"has take={take!r}; write a whole number from 0")
    return (None, problems) if problems else (((prompt.id, take), (str(file), prompt)), [])


def _differing(found: list[tuple[tuple[str, int], tuple[str, Prompt]]]) -> list[str]:
    scripts: dict[str, set[str]] = {}
    for (name, _), (_, prompt) in found:
        scripts.setdefault(name, set()).add(prompt.script)
    return [
        f"the takes of {name!r} have different scripts" for name, texts in scripts.items() if len(texts) > 1
    ]
