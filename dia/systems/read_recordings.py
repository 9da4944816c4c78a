"""A recording read back: `outputs/SYSTEM/RUN_ID` as :class:`Recording`s, without a key and without a network.

Nothing in the folder is believed: hashes, sample rates and lengths are those of the files. What cannot be
used is named and counted, and what failed when it was recorded stays a failure of the system.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import waveform_from_bytes
from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.prompts import Prompt
from dia.judges.recording import Recording
from dia.systems.run_folder import OUTPUTS, read_manifest
from dia.types import Waveform

Row = dict[str, Any]
NEEDED: dict[str, type | tuple[type, ...]] = {
    "prompt_id": str,
    "take": int,
    "prompt": dict,
    "system": str,
    "error_kind": str,
}
OF_SOUND: dict[str, type | tuple[type, ...]] = {
    "wav_path": str, "wav_sha256": str, "sample_rate": int, "duration_s": (int, float),
}  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """A take that there is no sound of, and why. ``kind`` is the recording's own word, or ``unusable`` for a
    file.
    """

    prompt_id: str
    take: int
    kind: str
    message: str


@dataclass(frozen=True)
class RecordedSystem:
    """What a folder holds. Takes are ``recordings`` and ``failures`` together; ``problems`` are of the folder
    itself.
    """

    system: str
    manifest: dict[str, Any]
    prompts: list[Prompt]
    recordings: list[Recording]
    failures: list[Failure]
    problems: list[str]

    @property
    def failed(self) -> dict[str, int]:
        """How many takes failed, by kind."""
        return dict(Counter(failure.kind for failure in self.failures))


def read_recorded(folder: str | Path) -> RecordedSystem:
    """Read the folder of a recording. Raises :class:`UserError` only when it is none, or holds no row that
    can be read.
    """
    root = Path(folder)
    manifest = read_manifest(root)
    content, problems = _outputs(root, manifest)
    rows, wrong = _rows(content)
    if not rows:
        listed = "\n".join(f"  - {problem}" for problem in [*problems, *wrong])
        raise UserError(f"{root} holds no take that can be read; record it again:\n{listed}")
    found = [_read(root, row) for row in rows]
    recordings = [item for item in found if isinstance(item, Recording)]
    failures = [item for item in found if isinstance(item, Failure)]
    prompts = list({row["prompt_id"]: _prompt(row) for row in rows}.values())
    problems += [*wrong, *_counts(manifest, len(rows))]
    return RecordedSystem(str(rows[0]["system"]), manifest, prompts, recordings, failures, problems)


def _outputs(root: Path, manifest: dict[str, Any]) -> tuple[bytes, list[str]]:
    try:
        content = (root / OUTPUTS).read_bytes()
    except OSError as error:
        return b"", [
            f"{OUTPUTS} cannot be read ({error.strerror}); the run was cut off: the same record command goes on"
        ]
    problems = []
    if manifest.get("state") != "complete":
        problems.append(
            f"the recording is not whole (state {manifest.get('state')!r}): the same record command goes on"
        )
    if hashlib.sha256(content).hexdigest() != manifest.get("outputs_sha256"):
        problems.append(f"{OUTPUTS} is not the file that the manifest tells of: its sha256 differs")
    return content, problems


def _rows(content: bytes) -> tuple[list[Row], list[str]]:
    """Rows in order, one for each prompt and take, and what is wrong with the others."""
    rows: dict[tuple[str, int], Row] = {}
    problems: list[str] = []
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), start=1):
        if not line:
            continue
        row, wrong = _row(line)
        if row is None:
            problems.append(f"{OUTPUTS} line {number} {'; '.join(wrong)}")
        elif (row["prompt_id"], row["take"]) in rows:
            problems.append(
                f"{OUTPUTS} line {number} tells again of {row['prompt_id']!r}, take {row['take']}; the first is used"
            )
        else:
            rows[row["prompt_id"], row["take"]] = row
    return list(rows.values()), problems


def _row(line: str) -> tuple[Row | None, list[str]]:
    try:
        row = json.loads(line)
    except ValueError as error:
        return None, [f"is no JSON ({error})"]
    if not isinstance(row, dict):
        return None, ["is no JSON object"]
    wrong = [
        f"lacks {key}, or it is no {_named(kind)}"
        for key, kind in NEEDED.items()
        if not _is(row.get(key), kind)
    ]
    if not wrong and not row["error_kind"]:
        wrong = [
            f"lacks {key}, or it is no {_named(kind)}"
            for key, kind in OF_SOUND.items()
            if not _is(row.get(key), kind)
        ]
    if not wrong:
        wrong = _prompt_problems(row["prompt"])
    return (None, wrong) if wrong else (row, [])


def _prompt_problems(prompt: dict[str, Any]) -> list[str]:
    known = {field.name for field in fields(Prompt)}
    if not {"id", "script"} <= {*prompt} <= known or not all(
        isinstance(value, str) for value in prompt.values()
    ):
        return [
            "has a prompt without id or script, with keys that are none of a prompt's, or with values that are no text"
        ]
    try:
        Script.parse(prompt["script"])
    except ValueError as error:
        return [f"has a script that cannot be read: {error}"]
    return []


def _prompt(row: Row) -> Prompt:
    return Prompt(**row["prompt"])


def _read(root: Path, row: Row) -> Recording | Failure:
    prompt_id, take = row["prompt_id"], row["take"]
    if row["error_kind"]:
        return Failure(prompt_id, take, row["error_kind"], str(row.get("message", "")))
    waveform, rate, wrong = _wave(root, row)
    if wrong:
        return Failure(prompt_id, take, "unusable", wrong)
    return Recording(
        prompt_id,
        row["system"],
        Script.parse(row["prompt"]["script"]),
        waveform,
        rate,
        take,
        _times(row, len(waveform) / rate),
    )


def _wave(root: Path, row: Row) -> tuple[Waveform, int, str]:
    """The waveform, its rate in hertz, and what is wrong."""
    path, none = root / row["wav_path"], np.zeros(0, np.float32)
    if not path.resolve().is_relative_to(root.resolve()):
        return none, 0, f"{row['wav_path']} lies outside of the recording"
    try:
        content = path.read_bytes()
    except OSError as error:
        return none, 0, f"{row['wav_path']} cannot be read ({error.strerror})"
    if hashlib.sha256(content).hexdigest() != row["wav_sha256"]:
        return none, 0, f"{row['wav_path']} is not the file that was recorded: its sha256 differs"
    try:
        waveform, rate = waveform_from_bytes(content)
    except UserError as error:
        return none, 0, f"{row['wav_path']}: {error}"
    if rate != row["sample_rate"]:
        return none, 0, f"{row['wav_path']} has {rate} Hz, its row says {row['sample_rate']}"
    return waveform, rate, ""


def _times(row: Row, seconds: float) -> tuple[tuple[float, float], ...] | None:
    """Starts and ends of the turns in seconds, where every turn was a request of its own."""
    times, turns = row.get("turn_times"), len(Script.parse(row["prompt"]["script"]).turns)
    if not isinstance(times, list) or len(times) != turns:
        return None
    pairs = [
        tuple(pair)
        for pair in times
        if isinstance(pair, list) and len(pair) == 2 and all(_is(x, (int, float)) for x in pair)
    ]
    sound = len(pairs) == turns and all(0 <= start <= end <= seconds + 0.01 for start, end in pairs)
    return tuple((float(start), float(end)) for start, end in pairs) if sound else None


def _counts(manifest: dict[str, Any], rows: int) -> list[str]:
    told = manifest.get("rows")
    return [] if told == rows else [f"the manifest tells of {told} rows, {rows} can be read"]


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _named(kind: type | tuple[type, ...]) -> str:
    return (
        {str: "text", int: "whole number", dict: "object"}.get(kind, "number")
        if isinstance(kind, type)
        else "number"
    )
