"""The folder of a recording: `OUT/SYSTEM/RUN_ID/{manifest.json,outputs.jsonl,attempts.jsonl,raw/,wav/}`.

`attempts.jsonl` is added to and never changed: a line before each request is sent and one after it is
answered. The rest follows from it. `outputs.jsonl` has one row for each prompt and take, failures included,
and is written when a run ends, however it ends.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dia.errors import UserError
from dia.files import write_bytes
from dia.systems.recording_files import Log, bytes_sha256, keep

MANIFEST, OUTPUTS, ATTEMPTS = "manifest.json", "outputs.jsonl", "attempts.jsonl"
Row = dict[str, Any]
Part = tuple[str, int, int]  # prompt id, take, part


class RunFolder:
    """An open recording; no other process can record into it meanwhile."""

    def __init__(self, path: Path, fingerprint: str, redact: Callable[[str], str]) -> None:
        """Make the folder, or go on in it. Raises :class:`UserError` when it holds another recording, or its
        answers changed.
        """
        self.path, self.redact = path, redact
        self.manifest = read_manifest(path) if (path / MANIFEST).is_file() else {}
        if self.manifest and self.manifest.get("fingerprint") != fingerprint:
            raise UserError(
                f"{path} holds a recording of other prompts or settings; give another run_id, nothing is overwritten"
            )
        for folder in ("raw", "wav"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        self.log = Log(path / ATTEMPTS, redact)
        self._begun: dict[Part, int] = {}
        self.answered: dict[Part, Row] = {}
        self.refused: dict[Part, Row] = {}
        for row in self.log.rows():
            self._read(row)
        self._check_raw()

    def attempts_of(self, key: tuple[str, int], part: int) -> int:
        """Return how often a part was asked for before this run."""
        return self._begun.get((*key, part), 0)

    def keep_raw(self, name: str, content: bytes) -> tuple[str, str]:
        """Keep an answer as it came; return its path in the folder, and its sha256."""
        return f"raw/{name}", keep(self.path / "raw" / name, content)

    def keep_wav(self, name: str, content: bytes) -> tuple[str, str]:
        """Keep the waveform of a take; return its path in the folder, and its sha256."""
        path = self.path / "wav" / name
        try:
            return f"wav/{name}", keep(path, content)
        except FileExistsError as error:
            raise UserError(
                f"{path} is not what its answers make; remove it, and it is made again from raw/"
            ) from error

    def write_manifest(self, **content: Any) -> None:
        """Change some of the manifest."""
        self.manifest |= content
        text = self.redact(json.dumps(self.manifest, indent=2, ensure_ascii=False, allow_nan=False))
        write_bytes(self.path / MANIFEST, (text + "\n").encode("utf-8", "replace"))

    def write_outputs(self, rows: list[Row]) -> str:
        """Write the rows and return the file's sha256."""
        lines = [self.redact(json.dumps(row, ensure_ascii=False, allow_nan=False)) + "\n" for row in rows]
        content = "".join(lines).encode("utf-8", "replace")
        write_bytes(self.path / OUTPUTS, content)
        return bytes_sha256(content)

    @staticmethod
    def file_name(prompt_id: str) -> str:
        """Return a prompt's id as part of a file's name: ids that are none get a digest, so that two never
        meet.
        """
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", prompt_id)[:80]
        return (
            plain if plain == prompt_id else f"{plain}-{hashlib.sha256(prompt_id.encode()).hexdigest()[:8]}"
        )

    def _read(self, row: Row) -> None:
        part = (row["prompt_id"], row["take"], row["part"])
        if row["event"] == "asked":
            self._begun[part] = max(self._begun.get(part, 0), row["attempt"])
        elif row["event"] == "answered":
            self.answered[part] = row
        else:
            self.refused[part] = row

    def _check_raw(self) -> None:
        changed = [
            row["raw_path"]
            for row in self.answered.values()
            if not (self.path / row["raw_path"]).is_file()
            or bytes_sha256((self.path / row["raw_path"]).read_bytes()) != row["raw_sha256"]
        ]
        if changed:
            listed = "\n".join(f"  - {name}" for name in changed)
            raise UserError(
                f"{self.path}: answers that were paid for are gone or changed; bring them back, or give another run_id:\n{listed}"
            )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a recording. Raises :class:`UserError` when it is missing, damaged, or of
    another kind.
    """
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path / MANIFEST} cannot be read ({error}); name the folder of a recording"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != "dia recording":
        raise UserError(
            f"{path / MANIFEST} is no manifest of a recording; name a folder that `dia.eval record` wrote"
        )
    return content
