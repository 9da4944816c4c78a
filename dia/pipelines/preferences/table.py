"""Pairs from a table: a JSONL file of scripts with a preferred and a rejected audio file each."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import read_audio_file
from dia.codecs.protocol import Codec
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.data.sources.held_out import is_held_out
from dia.dialogue import Script
from dia.documents import parse_json
from dia.errors import UserError
from dia.evaluation.prompts import script_of
from dia.files import file_sha256, inside
from dia.pipelines.preferences.audio_pairs import AudioPairs
from dia.pipelines.preferences.rows import PairAudio, PairSource

VERSION = 1  # raise when the same request yields other pairs
TEXTS = ("script", "chosen", "rejected")
OPTIONAL: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "split": (str,),
    "licence": (str,),
    "voice": (str,),
    "voice_script": (str,),
    "margin": (int, float),
}
SPLITS = ("train", "validation")
SHOWN_PROBLEMS = 20


class PairTable:
    """Pairs of a JSONL file; see :class:`dia.pipelines.preferences.prepare.PairSource`.

    Raises :class:`UserError` with the problems of all lines: wrong keys, scripts that cannot be read, and
    audio files that are missing or outside of the file's folder.
    """

    def __init__(self, config: DataConfig, codec: Codec) -> None:
        self.config, self.path = config, Path(config.preferences.table)
        self.pairs = AudioPairs(config, codec)
        problems: list[str] = []
        self.lines = list(_read_lines(self.path, problems))
        for line in self.lines:
            for name in ("chosen", "rejected", "voice"):
                if name in line and not self._file(line, name).is_file():
                    problems.append(f"{line['id']}: there is no audio file {line[name]}")
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems[:SHOWN_PROBLEMS])
            raise UserError(f"the table {self.path} has {len(problems)} problems:\n{listed}")

    def request(self) -> dict[str, Any]:
        """Return everything that the pairs depend on."""
        names = sorted(
            {line[name] for line in self.lines for name in ("chosen", "rejected", "voice") if name in line}
        )
        return {
            "table": file_sha256(self.path),
            "files": {name: file_sha256(self.path.parent / name) for name in names},
            "version": VERSION,
        }

    def rows(self, engine: EngineConfig) -> tuple[dict[str, list[dict[str, Any]]], Counter[str], list[Any]]:
        """Return the rows by split, counts, and the pairs whose audio cannot be read."""
        rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        counts, left_out = Counter[str](), list[Any]()
        for line in self.lines:
            held_out = "validation" if is_held_out(line["id"], self.config.held_out) else "train"
            split = line.get("split", held_out)
            try:
                rows[split].append(self._row(line, split))
            except UserError as error:
                left_out.append({"id": line["id"], "error": str(error)})
                continue
            counts["pairs: of the table"] += 1
        return rows, counts, left_out

    def _row(self, line: Mapping[str, Any], split: str) -> dict[str, Any]:
        audio = PairAudio.read(self._file(line, "chosen"), self._file(line, "rejected"))
        voice: dict[str, Any] = {}
        if "voice" in line:
            voice_codes: np.ndarray = self.pairs.voice_codes(*read_audio_file(self._file(line, "voice")))
            voice = {"voice_script": script_of(line["voice_script"]), "voice_codes": voice_codes}
        licence = line.get("licence", "")
        source = PairSource(
            line["id"], self.path.name, licence, False, Script.parse(script_of(line["script"]))
        )
        return self.pairs.row(
            source,
            split,
            audio,
            prompt_id=line["id"],
            margin=float(line.get("margin", 1.0)),
            origin=f"table {self.path.name}",
            **voice,
        )

    def _file(self, line: Mapping[str, Any], name: str) -> Path:
        return inside(self.path.parent, line[name], str(self.path))


def _read_lines(path: Path, problems: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines without problems; those of the others are appended to ``problems``."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the table {path} cannot be read ({error}); give a JSONL file") from error
    names: set[str] = set()
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = parse_json(text)
        except ValueError as error:
            problems.append(f"line {number} is not valid JSON ({error})")
            continue
        own = _line_problems(line)
        if not own:
            line.setdefault("id", f"pair-{number}")
            if line["id"] in names:
                own = [f"repeats the id {line['id']!r}"]
            names.add(line["id"])
        problems += [f"line {number} {problem}" for problem in own]
        if not own:
            yield line


def _line_problems(line: Any) -> list[str]:
    if not isinstance(line, dict):
        return ["is not a JSON object"]
    problems = [f"lacks {name}, a text" for name in TEXTS if not isinstance(line.get(name), str)]
    problems += [
        f"has {name}={line[name]!r} of another type"
        for name, kind in OPTIONAL.items()
        if name in line and (not isinstance(line[name], kind) or isinstance(line[name], bool))
    ]
    if not problems and line.get("split", "train") not in SPLITS:
        problems.append(f"has split={line['split']!r}; choose train or validation")
    if not problems and ("voice" in line) != bool(line.get("voice_script")):
        problems.append("must have both voice and voice_script, its transcript, or neither")
    if not problems:
        for name in ("script", "voice_script"):
            try:
                Script.parse(script_of(line[name])) if name in line else None
            except ValueError as error:
                problems.append(f"has a {name} that cannot be read: {error}")
    return problems
