"""The folder of a recording: `OUT/SYSTEM/RUN_ID/{manifest.json,outputs.jsonl,attempts.jsonl,raw/,wav/}`.

`attempts.jsonl` is append-only: one line before each request is sent and one after its response. Everything
else can be rebuilt from it and `raw/`. `outputs.jsonl` has one row for each prompt and take, failures
included, and is written when a run ends, also when it fails.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dia.documents import read_json
from dia.errors import UserError
from dia.files import is_inside, make_folder, write_bytes
from dia.systems.recording_files import AppendOnlyLog, JsonRow, bytes_sha256, write_once

MANIFEST, OUTPUTS, ATTEMPTS = "manifest.json", "outputs.jsonl", "attempts.jsonl"
RequestKey = tuple[str, int, int]  # prompt id, take, index of the request
SENT, SUCCEEDED, FAILED = "sent", "succeeded", "failed"  # events of attempts.jsonl
EVENTS_OF_VERSION_1 = {"asked": SENT, "answered": SUCCEEDED, "refused": FAILED}


class RecordingFolder:
    """An open recording; a lock prevents other processes from recording into it."""

    def __init__(self, path: Path, fingerprint: str, redact: Callable[[str], str]) -> None:
        """Create the folder or resume the recording in it.

        Raises :class:`UserError` when it holds another recording, or when stored responses changed.
        """
        self.path, self.redact = path, redact
        self.manifest = read_manifest(path) if (path / MANIFEST).is_file() else {}
        if self.manifest and self.manifest.get("fingerprint") != fingerprint:
            raise UserError(
                f"{path} holds a recording of other prompts or settings, which is never overwritten; "
                "give another run_id"
            )
        for folder in ("raw", "wav"):
            make_folder(path / folder)
        self.log = AppendOnlyLog(path / ATTEMPTS, redact)
        self.responses: dict[RequestKey, JsonRow] = {}
        self._attempts: dict[RequestKey, int] = {}
        try:
            for row in self.log.rows():
                self._replay(row)
            self._verify_raw()
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path / ATTEMPTS} has a row that no recording writes ({error!r}); restore it, "
                "or give another run_id"
            ) from error

    def attempts_before(self, key: tuple[str, int], index: int) -> int:
        """Return the number of times that a request was sent before this run."""
        return self._attempts.get((*key, index), 0)

    def write_raw(self, name: str, content: bytes) -> tuple[str, str]:
        """Store a response as received; return its path in the folder and its sha256."""
        return f"raw/{name}", write_once(self.path / "raw" / name, content)

    def write_wav(self, name: str, content: bytes) -> tuple[str, str]:
        """Store the waveform of a take; return its path in the folder and its sha256."""
        path = self.path / "wav" / name
        try:
            return f"wav/{name}", write_once(path, content)
        except FileExistsError as error:
            raise UserError(
                f"{path} does not match its responses; remove it, and the next run rebuilds it from raw/"
            ) from error

    def update_manifest(self, **content: Any) -> None:
        """Replace some entries of the manifest."""
        self.manifest |= content
        text = self.redact(json.dumps(self.manifest, indent=2, ensure_ascii=False, allow_nan=False))
        write_bytes(self.path / MANIFEST, (text + "\n").encode("utf-8", "replace"))

    def write_outputs(self, rows: list[JsonRow]) -> str:
        """Write the rows and return the file's sha256."""
        lines = [self.redact(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n" for row in rows]
        content = "".join(lines).encode("utf-8", "replace")
        write_bytes(self.path / OUTPUTS, content)
        return bytes_sha256(content)

    @staticmethod
    def file_name(prompt_id: str) -> str:
        """Return a prompt's id as a unique part of a file name; ids with other characters get a digest."""
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", prompt_id)[:80]
        if plain == prompt_id:
            return plain
        return f"{plain}-{hashlib.sha256(prompt_id.encode()).hexdigest()[:8]}"

    def _replay(self, row: JsonRow) -> None:
        key = (row["prompt_id"], row["take"], row["part"])
        event = EVENTS_OF_VERSION_1.get(row["event"], row["event"])
        if event == SENT:
            self._attempts[key] = max(self._attempts.get(key, 0), row["attempt"])
        elif event == SUCCEEDED:
            self.responses[key] = row

    def _is_stored(self, row: JsonRow) -> bool:
        """Whether the file of a response is there and unchanged."""
        path = self.path / row["raw_path"]
        is_file = is_inside(self.path, row["raw_path"]) and path.is_file()
        return is_file and bytes_sha256(path.read_bytes()) == str(row["raw_sha256"])

    def _verify_raw(self) -> None:
        changed = [row["raw_path"] for row in self.responses.values() if not self._is_stored(row)]
        if changed:
            listed = "\n".join(f"  - {name}" for name in changed)
            raise UserError(
                f"{self.path}: paid responses are missing or changed; "
                f"restore them, or give another run_id:\n{listed}"
            )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a recording's manifest. Raises :class:`UserError` when it is missing or damaged."""
    try:
        content = read_json(path / MANIFEST)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path / MANIFEST} ({error}); give the folder of a recording, outputs/SYSTEM/RUN_ID"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != "dia recording":
        raise UserError(
            f"{path / MANIFEST} is not the manifest of a recording; "
            "give a folder that `dia.eval record` wrote"
        )
    return content
