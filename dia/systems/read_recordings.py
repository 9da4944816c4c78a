"""Read a recording (`outputs/SYSTEM/RUN_ID`) as `Recording`s for the judges, without credentials or network.

Hashes, sample rates and lengths are verified against the files. Unusable files are reported and counted as
failed takes, like the takes that failed during recording.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import waveform_from_bytes
from dia.dialogue import Script
from dia.documents import parse_json
from dia.errors import UserError
from dia.evaluation.prompts import Prompt
from dia.files import is_inside, read_regular_file
from dia.judges.recording import ENGLISH, Recording
from dia.systems.recording_files import JsonRow
from dia.systems.recording_folder import OUTPUTS, read_manifest
from dia.types import Waveform

Types = type | tuple[type, ...]
ROW_KEYS: dict[str, Types] = {
    "prompt_id": str,
    "take": int,
    "prompt": dict,
    "system": str,
    "error_kind": str,
}
AUDIO_KEYS: dict[str, Types] = {
    "wav_path": str,
    "wav_sha256": str,
    "sample_rate": int,
    "duration_s": (int, float),
}


@dataclass(frozen=True)
class FailedTake:
    """A take without usable audio. ``kind`` is the row's error kind, or ``unusable`` for an invalid file."""

    prompt_id: str
    take: int
    kind: str
    message: str


@dataclass(frozen=True)
class RecordedSystem:
    """The content of a recording's folder; ``problems`` concern the folder rather than single takes."""

    system: str
    manifest: dict[str, Any]
    prompts: list[Prompt]
    recordings: list[Recording]
    failures: list[FailedTake]
    problems: list[str]

    @property
    def failed(self) -> dict[str, int]:
        """The number of failed takes by kind."""
        return dict(Counter(failure.kind for failure in self.failures))


def read_recorded(folder: str | Path) -> RecordedSystem:
    """Read a recording's folder. Raises :class:`UserError` for other folders, and without readable rows."""
    root = Path(folder)
    manifest = read_manifest(root)
    content, problems = _read_outputs(root, manifest)
    rows, row_problems = _parse_rows(content)
    problems += row_problems
    if not rows:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise UserError(f"{root} has no readable take; record it again:\n{listed}")
    takes = [_read_take(root, row) for row in rows]
    recordings = [take for take in takes if isinstance(take, Recording)]
    failures = [take for take in takes if isinstance(take, FailedTake)]
    prompts = list({row["prompt_id"]: Prompt(**row["prompt"]) for row in rows}.values())
    if manifest.get("rows") != len(rows):
        problems.append(f"the manifest states {manifest.get('rows')} rows, {len(rows)} are readable")
    return RecordedSystem(str(rows[0]["system"]), manifest, prompts, recordings, failures, problems)


def with_distinct_names(
    recorded: Sequence[RecordedSystem], folders: Sequence[str], reserved: Sequence[str] = ()
) -> list[RecordedSystem]:
    """Return recorded systems whose names differ: a repeated or ``reserved`` one gets the name of its folder.

    Two runs of one system, such as two of its voices, are compared like two systems.
    """
    counts = Counter(system.system for system in recorded)
    runs = [Path(folder).name for folder in folders]
    labels = runs if len({*runs}) == len(runs) else folders
    names = [
        f"{system.system} ({label})"
        if counts[system.system] > 1 or system.system in reserved
        else system.system
        for system, label in zip(recorded, labels, strict=True)
    ]
    return [
        system if name == system.system else _renamed(system, name)
        for system, name in zip(recorded, names, strict=True)
    ]


def _renamed(system: RecordedSystem, name: str) -> RecordedSystem:
    recordings = [replace(recording, system=name) for recording in system.recordings]
    return replace(system, system=name, recordings=recordings)


def _read_outputs(root: Path, manifest: dict[str, Any]) -> tuple[bytes, list[str]]:
    resume = "run the same record command again to complete it"
    try:
        content = read_regular_file(root / OUTPUTS)
    except OSError as error:
        return b"", [f"cannot read {OUTPUTS} ({error.strerror}); the run was interrupted: {resume}"]
    problems = []
    if manifest.get("state") != "complete":
        problems.append(f"the recording is incomplete (state {manifest.get('state')!r}): {resume}")
    if hashlib.sha256(content).hexdigest() != manifest.get("outputs_sha256"):
        problems.append(f"the sha256 of {OUTPUTS} differs from the manifest's: the file was changed")
    return content, problems


def _parse_rows(content: bytes) -> tuple[list[JsonRow], list[str]]:
    """Return the rows in order, one for each prompt and take, and the problems of all other lines."""
    rows: dict[tuple[str, int], JsonRow] = {}
    problems: list[str] = []
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), start=1):
        if not line:
            continue
        row, row_problems = _parse_row(line)
        if row is None:
            problems.append(f"{OUTPUTS} line {number} {'; '.join(row_problems)}")
        elif (row["prompt_id"], row["take"]) in rows:
            problems.append(
                f"{OUTPUTS} line {number} repeats {row['prompt_id']!r}, take {row['take']}; "
                "the first row is used"
            )
        else:
            rows[row["prompt_id"], row["take"]] = row
    return list(rows.values()), problems


def _parse_row(line: str) -> tuple[JsonRow | None, list[str]]:
    try:
        row = parse_json(line)
    except ValueError as error:
        return None, [f"is not JSON ({error})"]
    if not isinstance(row, dict):
        return None, ["is not a JSON object"]
    problems = _key_problems(row, ROW_KEYS)
    if not problems and not row["error_kind"]:
        problems = _key_problems(row, AUDIO_KEYS)
    if not problems:
        problems = _prompt_problems(row["prompt"])
    return (None, problems) if problems else (row, [])


def _key_problems(row: JsonRow, keys: dict[str, Types]) -> list[str]:
    return [
        f"has no {key} of type {_type_name(types)}"
        for key, types in keys.items()
        if not _has_type(row.get(key), types)
    ]


def _prompt_problems(prompt: dict[str, Any]) -> list[str]:
    known = {field.name for field in fields(Prompt)}
    texts = all(isinstance(value, str) for key, value in prompt.items() if key != "columns")
    texts = texts and isinstance(prompt.get("columns", {}), dict)
    if not ({"id", "script"} <= {*prompt} <= known and texts):
        return ["has a prompt without id or script, with unknown keys, or with values that are not text"]
    try:
        Script.parse(prompt["script"])
    except ValueError as error:
        return [f"has an invalid script: {error}"]
    return []


def _read_take(root: Path, row: JsonRow) -> Recording | FailedTake:
    prompt_id, take = row["prompt_id"], row["take"]
    if row["error_kind"]:
        return FailedTake(prompt_id, take, row["error_kind"], str(row.get("message", "")))
    waveform, rate, problem = _read_waveform(root, row)
    if problem:
        return FailedTake(prompt_id, take, "unusable", problem)
    script, times = Script.parse(row["prompt"]["script"]), _turn_times(row, len(waveform) / rate)
    language = row["prompt"].get("language", ENGLISH)
    return Recording(prompt_id, row["system"], script, waveform, rate, take, times, language=language)


def _read_waveform(root: Path, row: JsonRow) -> tuple[Waveform, int, str]:
    """Return the waveform, its sample rate in hertz, and the problem of its file (empty if there is none)."""
    path, empty = root / row["wav_path"], np.zeros(0, np.float32)
    if not is_inside(root, row["wav_path"]):
        return empty, 0, f"{row['wav_path']} is outside of the recording"
    try:
        content = read_regular_file(path)
    except OSError as error:
        return empty, 0, f"cannot read {row['wav_path']} ({error.strerror})"
    if hashlib.sha256(content).hexdigest() != row["wav_sha256"]:
        return empty, 0, f"{row['wav_path']} is not the recorded file: its sha256 differs"
    try:
        waveform, rate = waveform_from_bytes(content)
    except UserError as error:
        return empty, 0, f"{row['wav_path']}: {error}"
    if rate != row["sample_rate"]:
        return empty, 0, f"{row['wav_path']} has {rate} Hz, its row states {row['sample_rate']}"
    return waveform, rate, ""


def _turn_times(row: JsonRow, seconds: float) -> tuple[tuple[float, float], ...] | None:
    """Return each turn's start and end in seconds, None where they are unknown or invalid."""
    times, turns = row.get("turn_times"), len(Script.parse(row["prompt"]["script"]).turns)
    if not isinstance(times, list) or len(times) != turns:
        return None
    pairs: list[tuple[float, float]] = []
    for pair in times:
        if not (isinstance(pair, list) and len(pair) == 2 and all(_has_type(x, (int, float)) for x in pair)):
            return None
        pairs.append((float(pair[0]), float(pair[1])))
    valid = all(0 <= start <= end <= seconds + 0.01 for start, end in pairs)
    return tuple(pairs) if valid else None


def _has_type(value: object, types: Types) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _type_name(types: Types) -> str:
    names: dict[Types, str] = {str: "text", int: "whole number", dict: "object"}
    return names.get(types, "number")
