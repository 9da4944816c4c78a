"""Prompts: the scripts that every system speaks, one JSON object per line (eval/prompts/*.jsonl)."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dia.dialogue import Script
from dia.errors import UserError
from dia.resources import resource


@dataclass(frozen=True)
class Prompt:
    """A script with its id and licence, and its place in the design of a test.

    Prompts of one ``group`` differ in one thing only; ``version`` names the difference, ``tag`` the nonverbal
    that is tested, ``arousal`` the level of the voice (`high`, `low`).
    """

    id: str
    script: str
    licence: str = "Apache-2.0"
    group: str = ""
    version: str = ""
    tag: str = ""
    arousal: str = ""


KEYS = tuple(field.name for field in fields(Prompt))
NEEDED = ("id", "script")


def load_prompts(path: str | Path) -> list[Prompt]:
    """Read a JSONL file, skipping empty lines. Raises :class:`UserError` with every problem and its line."""
    try:
        # other line separators, which splitlines() would split at, may be part of a text
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the prompts {path} cannot be read ({error}); give a JSONL file") from error
    prompts: list[Prompt] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            prompt, wrong = read_prompt(line)
            prompts += [prompt] if prompt else []
            problems += [f"line {number} {problem}" for problem in wrong]
    problems += duplicates(prompt.id for prompt in prompts)
    if not prompts and not problems:
        problems.append("it has no prompt; write one JSON object per line with id and script")
    if problems:
        raise UserError(
            f"the prompts {path} have problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return prompts


def read_prompt(line: str, extra: frozenset[str] = frozenset()) -> tuple[Prompt | None, list[str]]:
    """Return the prompt of a line, or None and its problems; keys of ``extra`` are allowed and ignored."""
    try:
        content = json.loads(line)
    except ValueError as error:
        return None, [f"is not valid JSON ({error})"]
    if not isinstance(content, dict):
        return None, ["is not a JSON object; write {...} with id and script"]
    problems = [f"lacks {key}" for key in NEEDED if key not in content]
    problems += [
        f"has the unknown key {key}; known keys: {', '.join(KEYS)}"
        for key in content
        if key not in {*KEYS, *extra}
    ]
    problems += [
        f"has {key}={content[key]!r}; write text" for key in KEYS if not isinstance(content.get(key, ""), str)
    ]
    problems += [f"has an empty {key}" for key in NEEDED if content.get(key) == ""]
    if not problems and not _is_utf8(json.dumps(content, ensure_ascii=False)):
        problems = ["has a lone surrogate, which cannot be encoded as UTF-8; remove it"]
    if not problems:
        problems = _script_problems(content["script"])
    return (
        (None, problems)
        if problems
        else (Prompt(**{key: content[key] for key in KEYS if key in content}), [])
    )


def duplicates(ids: Iterable[str]) -> list[str]:
    """Return a sentence for every id that occurs more than once."""
    counts = Counter(ids)
    return [
        f"the id {name!r} occurs {count} times; ids must be unique"
        for name, count in counts.items()
        if count > 1
    ]


def suite_prompts(suite: str) -> list[Prompt]:
    """Return the prompts of a suite (eval/prompts/SUITE.jsonl), or of a JSONL file by its path.

    Raises :class:`UserError` that lists the known suites, and as :func:`load_prompts` does.
    """
    if suite.endswith(".jsonl"):
        return load_prompts(suite)
    try:
        folder = resource("eval/prompts")
    except FileNotFoundError as error:
        raise UserError(
            f"suite={suite} is not available, because eval/prompts is not installed; give suite=FILE.jsonl"
        ) from error
    if not (folder / f"{suite}.jsonl").is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.jsonl"))) or "none"
        raise UserError(
            f"there are no prompts for suite={suite!r}; known suites: {known}; or give suite=FILE.jsonl"
        )
    return load_prompts(folder / f"{suite}.jsonl")


def prompts_sha256(prompts: Iterable[Prompt]) -> str:
    """Return the SHA-256 of the prompts and their order, independent of the formatting of a file."""
    lines = (json.dumps(asdict(prompt), sort_keys=True, ensure_ascii=False) for prompt in prompts)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _script_problems(script: str) -> list[str]:
    try:
        Script.parse(script)
    except ValueError as error:
        return [f"has a script that cannot be read: {error}"]
    return []
