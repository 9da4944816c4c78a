"""Read recorded runs for a listening test: the required fields of `outputs.jsonl`, and verified files.

The test uses the first take of each prompt even if it failed, because choosing another take would be
cherry-picking. The script is in the row or in its ``prompt``; an ``error_kind`` that is null or empty means
success.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dia.documents import parse_json, read_json
from dia.errors import UserError
from dia.files import is_inside

FIELDS: dict[str, tuple[type, ...]] = {
    "prompt_id": (str,),
    "take": (int,),
    "system": (str,),
    "wav_path": (str, type(None)),
    "wav_sha256": (str, type(None)),
    "error_kind": (str, type(None)),
}


@dataclass(frozen=True)
class RecordedClip:
    """One recorded take; without audio, ``path`` is None and ``failure`` gives the reason."""

    prompt_id: str
    take: int
    script: str
    path: Path | None
    sha256: str
    failure: str = ""


@dataclass(frozen=True)
class RecordedRun:
    """One run of a system: the first take of each prompt, in the order of recording."""

    name: str
    folder: Path
    clips: dict[str, RecordedClip]
    outputs_sha256: str


def read_runs(folders: list[str]) -> list[RecordedRun]:
    """Read run folders. Two runs of the same system get the name of the run added to theirs.

    Raises :class:`UserError` that lists all problems: missing folders and files, incomplete rows, audio files
    that differ from their recorded hash, and prompts with two scripts.
    """
    problems: list[str] = []
    runs = [run for folder in folders if (run := _read_run(Path(folder), problems))]
    runs = _distinguish_names(runs)
    problems += [f"{name} is given twice; name each run once" for name in _repeated(run.name for run in runs)]
    problems += _script_problems(runs)
    if problems:
        raise UserError("cannot read the recordings:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return runs


def _read_run(folder: Path, problems: list[str]) -> RecordedRun | None:
    path = folder / "outputs.jsonl"
    if not path.is_file():
        problems.append(
            f"{folder} has no outputs.jsonl; give the folder of a run, such as outputs/SYSTEM/RUN"
        )
        return None
    content = path.read_bytes()
    problems += _manifest_problems(folder, content)
    rows = list(_parse_rows(path, content, problems))
    names = {row["system"] for row in rows}
    if len(names) != 1:
        problems.append(f"{path} holds {len(names)} systems; it must hold exactly one")
        return None
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        earlier = first.setdefault(row["prompt_id"], row)
        first[row["prompt_id"]] = min(earlier, row, key=lambda candidate: candidate["take"])
    clips = {prompt: _read_clip(folder, row, problems) for prompt, row in first.items()}
    return RecordedRun(names.pop(), folder, clips, hashlib.sha256(content).hexdigest())


def _manifest_problems(folder: Path, content: bytes) -> list[str]:
    """Return where the manifest contradicts the rows, or states an incomplete recording."""
    path = folder / "manifest.json"
    try:
        manifest = read_json(path)
    except OSError as error:
        return [f"cannot read {path} ({error.strerror}); copy the run again"]
    except ValueError as error:
        return [f"{path} is not JSON ({error}); copy the run again"]
    if not isinstance(manifest, dict):
        return [f"{path} is not a JSON object; copy the run again"]
    problems = []
    if (state := manifest.get("state", "complete")) != "complete":
        problems.append(
            f"{folder} is an incomplete recording (state {state!r}); run the record command again"
        )
    digest = hashlib.sha256(content).hexdigest()
    if manifest.get("outputs_sha256", digest) != digest:
        problems.append(
            f"the sha256 of {folder}/outputs.jsonl differs from the manifest's; copy the run again"
        )
    return problems


def _parse_rows(path: Path, content: bytes, problems: list[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            problems.append(f"{path}, line {number}: not JSON ({error}); record again, or remove the line")
            continue
        if problem := _field_problems(row):
            problems.append(f"{path}, line {number}: {problem}")
        else:
            yield row


def _field_problems(row: object) -> str:
    if not isinstance(row, dict):
        return "not a JSON object"
    missing = [name for name in FIELDS if name not in row]
    invalid = [
        f"{name}={row[name]!r}"
        for name, types in FIELDS.items()
        if name in row and type(row[name]) not in types
    ]
    if not isinstance(_script_of(row), str):
        missing.append("script")
    if not (missing or invalid or row["error_kind"]) and not (row["wav_path"] and row["wav_sha256"]):
        invalid = ["neither an error_kind nor a wav_path with its wav_sha256"]
    parts = [("missing", missing), ("invalid", invalid)]
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in parts if names)


def _script_of(row: dict[str, Any]) -> object:
    prompt = row.get("prompt")
    return row.get("script", prompt.get("script") if isinstance(prompt, dict) else None)


def _read_clip(folder: Path, row: dict[str, Any], problems: list[str]) -> RecordedClip:
    failure = ": ".join(filter(None, (row["error_kind"], row.get("message") if row["error_kind"] else "")))
    script = str(_script_of(row))
    clip = RecordedClip(row["prompt_id"], row["take"], script, None, row["wav_sha256"] or "", failure)
    if clip.failure:
        return clip
    path = (folder / row["wav_path"]).resolve()
    if not is_inside(folder, row["wav_path"]):
        problems.append(
            f"{folder}: {row['wav_path']} of {clip.prompt_id} is outside of the run; copy it into the run"
        )
    elif not path.is_file():
        problems.append(f"{path} of {clip.prompt_id} is missing; copy the run again")
    elif hashlib.sha256(path.read_bytes()).hexdigest() != clip.sha256:
        problems.append(
            f"{path} of {clip.prompt_id} is not the recorded file: its sha256 differs; copy the run again"
        )
    return replace(clip, path=path)


def _distinguish_names(runs: list[RecordedRun]) -> list[RecordedRun]:
    repeated = _repeated(run.name for run in runs)
    return [
        replace(run, name=f"{run.name} ({run.folder.resolve().name})") if run.name in repeated else run
        for run in runs
    ]


def _repeated(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _script_problems(runs: list[RecordedRun]) -> list[str]:
    scripts: dict[str, set[str]] = {}
    for run in runs:
        for clip in run.clips.values():
            scripts.setdefault(clip.prompt_id, set()).add(clip.script)
    return [
        f"prompt {prompt} has {len(texts)} scripts; compare runs of the same suite"
        for prompt, texts in scripts.items()
        if len(texts) > 1
    ]
