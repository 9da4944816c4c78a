"""Reading recorded systems for a listening test: the few fields of `outputs.jsonl` that it needs, and every
file's hash.

The first take of a prompt is what is heard, whatever it became: taking another where it failed would be
cherry-picking. The script stands in a row itself or in its ``prompt``; no ``error_kind`` (null or empty) is a
take that came to be.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dia.errors import UserError

FIELDS: dict[str, tuple[type, ...]] = {
    "prompt_id": (str,), "take": (int,), "system": (str,), "wav_path": (str, type(None)),
    "wav_sha256": (str, type(None)), "error_kind": (str, type(None)),
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """One recorded take: ``path`` is its sound, None with the reason in ``failure`` where there is none."""

    prompt_id: str
    take: int
    script: str
    path: Path | None
    sha256: str
    failure: str = ""


@dataclass(frozen=True)
class System:
    """A recorded system: the first take of each prompt, in the order of recording."""

    name: str
    folder: Path
    clips: dict[str, Clip]
    outputs_sha256: str


def read_systems(folders: list[str]) -> list[System]:
    """Read run folders. Two runs of one system are told apart by the name of the run.

    Raises :class:`UserError` with everything that is wrong in all of them: missing folders and files, rows
    that lack a field, sounds that are not the ones whose hash was recorded, one prompt with two scripts.
    """
    problems: list[str] = []
    systems = [system for folder in folders if (system := _read_system(Path(folder), problems))]
    systems = _told_apart(systems)
    problems += [
        f"{name} stands for two folders; name each once"
        for name in _repeated(system.name for system in systems)
    ]
    problems += _script_problems(systems)
    if problems:
        raise UserError(
            "cannot read what was recorded:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return systems


def _read_system(folder: Path, problems: list[str]) -> System | None:
    path = folder / "outputs.jsonl"
    if not path.is_file():
        problems.append(
            f"{folder} has no outputs.jsonl; name the folder of a run, such as outputs/SYSTEM/RUN"
        )
        return None
    content = path.read_bytes()
    problems += _manifest_problems(folder, content)
    rows = list(_rows(path, content, problems))
    names = {row["system"] for row in rows}
    if len(names) != 1:
        problems.append(f"{path} holds {len(names)} systems; it must hold one")
        return None
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        kept = first.setdefault(row["prompt_id"], row)
        first[row["prompt_id"]] = min(kept, row, key=lambda one: one["take"])
    clips = {prompt: _clip(folder, row, problems) for prompt, row in first.items()}
    return System(names.pop(), folder, clips, hashlib.sha256(content).hexdigest())


def _manifest_problems(folder: Path, content: bytes) -> list[str]:
    """Return where the manifest contradicts the rows, or says that recording was cut off."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [f"{path} cannot be read ({error.strerror}); copy the run again"]
    except ValueError as error:
        return [f"{path} is no JSON ({error}); copy the run again"]
    if not isinstance(manifest, dict):
        return [f"{path} holds no JSON object; copy the run again"]
    found = []
    if (state := manifest.get("state", "complete")) != "complete":
        found.append(
            f"{folder} is not a whole recording (its state is {state!r}); let the recording come to its end"
        )
    digest = hashlib.sha256(content).hexdigest()
    if manifest.get("outputs_sha256", digest) != digest:
        found.append(
            f"{folder}/outputs.jsonl is not what the manifest tells of: its sha256 differs; copy the run again"
        )
    return found


def _rows(path: Path, content: bytes, problems: list[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            problems.append(f"{path}, line {number}: no JSON ({error}); record again, or remove the line")
            continue
        if wrong := _wrong_fields(row):
            problems.append(f"{path}, line {number}: {wrong}")
        else:
            yield row


def _wrong_fields(row: object) -> str:
    if not isinstance(row, dict):
        return "no JSON object"
    lacking = [name for name in FIELDS if name not in row]
    wrong = [
        f"{name}={row[name]!r}"
        for name, types in FIELDS.items()
        if name in row and type(row[name]) not in types
    ]
    if not isinstance(_script(row), str):
        lacking.append("script")
    if not lacking and not wrong and not row["error_kind"] and not (row["wav_path"] and row["wav_sha256"]):
        wrong = ["neither an error_kind nor a wav_path with its wav_sha256"]
    return "; ".join(
        ([f"lacks {', '.join(lacking)}"] if lacking else [])
        + ([f"wrong: {', '.join(wrong)}"] if wrong else [])
    )


def _script(row: dict[str, Any]) -> object:
    prompt = row.get("prompt")
    return row.get("script", prompt.get("script") if isinstance(prompt, dict) else None)


def _clip(folder: Path, row: dict[str, Any], problems: list[str]) -> Clip:
    failure = ": ".join(filter(None, (row["error_kind"], row.get("message") if row["error_kind"] else "")))
    clip = Clip(row["prompt_id"], row["take"], str(_script(row)), None, row["wav_sha256"] or "", failure)
    if clip.failure:
        return clip
    path = (folder / row["wav_path"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        problems.append(
            f"{folder}: {row['wav_path']} of {clip.prompt_id} lies outside the run; copy it into the run"
        )
    elif not path.is_file():
        problems.append(f"{path} of {clip.prompt_id} is missing; copy the run again")
    elif hashlib.sha256(path.read_bytes()).hexdigest() != clip.sha256:
        problems.append(
            f"{path} of {clip.prompt_id} is not what was recorded: its sha256 differs; copy the run again"
        )
    return replace(clip, path=path)


def _told_apart(systems: list[System]) -> list[System]:
    repeated = _repeated(system.name for system in systems)
    return [
        replace(one, name=f"{one.name} ({one.folder.resolve().name})") if one.name in repeated else one
        for one in systems
    ]


def _repeated(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _script_problems(systems: list[System]) -> list[str]:
    scripts: dict[str, set[str]] = {}
    for system in systems:
        for clip in system.clips.values():
            scripts.setdefault(clip.prompt_id, set()).add(clip.script)
    return [
        f"prompt {prompt} has {len(found)} scripts; compare runs of one suite"
        for prompt, found in scripts.items()
        if len(found) > 1
    ]
