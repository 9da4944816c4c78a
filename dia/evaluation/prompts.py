"""Prompts: the scripts that every system speaks, one JSON object per line (eval/prompts/*.jsonl)."""

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dia.dialogue import Script, lint
from dia.dialogue.lint import NO_LIMITS
from dia.dialogue.script import SPEAKER
from dia.documents import parse_json
from dia.errors import UserError
from dia.judges.recording import ENGLISH
from dia.resources import resource

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """A script with its id and licence, its place in the design of a test, and its voice prompt.

    Prompts of one ``group`` differ in one thing only; ``version`` names the difference, ``tag`` the nonverbal
    that is tested, ``arousal`` the level of the voice (`high`, `low`). ``language`` is a code of ISO 639.
    ``audio_prompt`` is an audio file beside the JSONL file, in whose voice the script is spoken, and
    ``prompt_text`` its transcript, as in the lists of seed-tts-eval; ``audio_prompt_2`` and ``prompt_text_2``
    are the voice of [S2] where it is in a file of its own, as in those of ZipVoice-Dialog. Without
    transcripts no checkpoint speaks in these voices. ``columns`` are all other keys, which results repeat;
    they are not part of the prompt's identity.
    """

    id: str
    script: str
    licence: str = "Apache-2.0"
    group: str = ""
    version: str = ""
    tag: str = ""
    arousal: str = ""
    language: str = ENGLISH
    audio_prompt: str = ""
    prompt_text: str = ""
    audio_prompt_2: str = ""
    prompt_text_2: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name; those that earlier files and digests lack only where they are set."""
        return {key: value for key, value in asdict(self).items() if value != OPTIONAL.get(key)}

    @property
    def voices(self) -> tuple[tuple[str, str], ...]:
        """The audio files of the voice prompt, each with its transcript as a script.

        A transcript without speakers is of [S1], in the second file of [S2].
        """
        files = ((self.audio_prompt, self.prompt_text), (self.audio_prompt_2, self.prompt_text_2))
        scripts = [(file, script_of(text, place)) for place, (file, text) in enumerate(files, 1)]
        return tuple((file, script) for file, script in scripts if file)

    @property
    def cluster(self) -> str:
        """What counts as one observation: the versions of one text share its difficulty."""
        return self.group or self.id


OPTIONAL = {
    "language": ENGLISH,
    "audio_prompt": "",
    "prompt_text": "",
    "audio_prompt_2": "",
    "prompt_text_2": "",
    "columns": {},
}
KEYS = tuple(item.name for item in fields(Prompt) if item.name != "columns")
NEEDED = ("id", "script")
LANGUAGE = re.compile("[a-z]{2,3}")


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
    """Return the prompt of a line, or None and its problems; keys of ``extra`` are ignored.

    An id may be a whole number. A script without speakers is of [S1]. Unknown keys become the prompt's
    ``columns``.
    """
    try:
        content = parse_json(line)
    except ValueError as error:
        return None, [f"is not valid JSON ({error})"]
    if not isinstance(content, dict):
        return None, ["is not a JSON object; write {...} with id and script"]
    if type(content.get("id")) is int:
        content["id"] = str(content["id"])
    problems = _problems(content)
    if problems:
        return None, problems
    content["script"] = script_of(content["script"])
    columns = {key: value for key, value in content.items() if key not in {*KEYS, *extra}}
    _warn_of_misspelt(columns)
    return Prompt(**{key: content[key] for key in KEYS if key in content}, columns=columns), []


def _problems(content: dict[str, Any]) -> list[str]:
    problems = [f"lacks {key}" for key in NEEDED if key not in content]
    problems += [
        f"has {key}={content[key]!r}; write text" for key in KEYS if not isinstance(content.get(key, ""), str)
    ]
    problems += [f"has an empty {key}" for key in NEEDED if content.get(key) == ""]
    if not problems and not LANGUAGE.fullmatch(content.get("language", ENGLISH)):
        problems = [f"has language={content['language']!r}; write a code of ISO 639, such as en or zh"]
    if not problems and not _is_utf8(json.dumps(content, ensure_ascii=False)):
        problems = ["has a lone surrogate, which cannot be encoded as UTF-8; remove it"]
    if not problems:
        problems = _script_problems(script_of(content["script"])) or _voice_problems(content)
    return problems


def _voice_problems(content: dict[str, Any]) -> list[str]:
    files, texts = (
        [content.get(f"{key}{end}", "") for end in ("", "_2")] for key in ("audio_prompt", "prompt_text")
    )
    if files[1] and not files[0]:
        return ["has audio_prompt_2, the voice of [S2], but no audio_prompt; name that of [S1], too"]
    for file, text, end in zip(files, texts, ("", "_2"), strict=True):
        if text and not file:
            return [f"has prompt_text{end}, a transcript, but no audio_prompt{end}; name the audio file"]
    if all(files) and any(texts) and not all(texts):
        return ["has the transcript of one of two voice prompts; give both of them, or neither"]
    return [problem for text in texts if text for problem in _script_problems(script_of(text))]


def _warn_of_misspelt(columns: Mapping[str, Any]) -> None:
    for key in columns:
        if near := get_close_matches(key, KEYS, 1, cutoff=0.8):
            logger.warning(
                "the key %r of the prompts is not known and becomes a column; is it %s?", key, *near
            )


def script_of(text: str, speaker: int = 1) -> str:
    """Return a text as a script; a text without speakers is of ``speaker``."""
    return text if SPEAKER.search(text) else f"[S{speaker}] {text.strip()}"


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
    lines = (
        json.dumps(replace(prompt, columns={}).to_json(), sort_keys=True, ensure_ascii=False)
        for prompt in prompts
    )
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
    return [f"has a script that cannot be spoken: {error}" for error in lint(script, NO_LIMITS).errors]
