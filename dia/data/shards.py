"""One shard: consecutive units, read, labelled, tokenized and written as an Arrow file, with a JSON report.

The Arrow file is written atomically, the report after it: a shard with a report is complete, and the report
stores its SHA-256. A unit that cannot be read is skipped and listed in the report.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Features

from dia.audio.files import resample
from dia.codecs.protocol import Codec, require_codec
from dia.codecs.registry import load_codec
from dia.data.clip import Clip
from dia.data.length_limits import LengthLimits
from dia.data.schema import FEATURES, row_of
from dia.data.source import Source, Tally, Unit
from dia.data.tokenization import Tokenizer
from dia.documents import read_json_object
from dia.errors import StorageError, UserError, one_line
from dia.files import atomic_write, file_sha256, write_text

CLIPS_PER_GROUP = 16  # in memory at a time, tokenized together
REPORTS = "reports"


@dataclass(frozen=True)
class StorageFormat:
    """How clips are stored: sample rate in hertz, whether audio is stored, and the codec (empty: no codes).

    ``codec`` is the name that rows store; ``codec_file`` loads the codec on any worker.
    """

    sample_rate: int
    keep_audio: bool
    codec: str
    codec_fingerprint: str
    codec_file: str
    device: str = "cpu"
    batch: int = 1
    limits: LengthLimits = LengthLimits()


@dataclass(frozen=True)
class ShardJob:
    """The work of one shard: units of one split, their source, and the folder and format to write."""

    folder: str
    split: str
    number: int
    source: Source
    units: tuple[Unit, ...]
    storage: StorageFormat

    @property
    def name(self) -> str:
        """File name of the shard without ending."""
        return f"data-{self.number:05d}"

    @property
    def path(self) -> Path:
        """Path of the Arrow file."""
        return Path(self.folder) / self.split / f"{self.name}.arrow"

    @property
    def report_path(self) -> Path:
        """Path of the report."""
        return Path(self.folder) / REPORTS / self.split / f"{self.name}.json"


@dataclass
class ShardReport:
    """The content of a shard and the result of its units.

    ``labels`` counts labels by kind and origin, ``counts`` events of processing (mapped, removed, dropped).
    ``dropped`` are clips that a rule refused, ``left_out`` units that could not be read, with the error.
    """

    split: str
    name: str
    rows: int
    seconds: float
    sha256: str
    tags: dict[str, int] = field(default_factory=dict)
    emotions: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)


def read_report(path: Path) -> ShardReport:
    """Return the report of a shard. Raises :class:`UserError` when it is missing or damaged."""
    try:
        return ShardReport(**read_json_object(path))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is missing or damaged ({one_line(error)}); prepare the data again"
        ) from error


def finished_report(job: ShardJob) -> ShardReport | None:
    """Return the report of a shard that exists and is intact, otherwise None."""
    try:
        report = read_report(job.report_path)
    except UserError:
        return None
    return report if job.path.is_file() and file_sha256(job.path) == report.sha256 else None


def build_shard(job: ShardJob) -> ShardReport:
    """Build a shard unless it exists, and return its report.

    Raises :class:`UserError` for labels without a mapping, and ``OSError`` when the shard cannot be written.
    """
    if report := finished_report(job):
        return report
    tally, left_out = Tally(), list[dict[str, str]]()
    groups = (_rows(clips, job) for clips in _groups(_clips(job, tally, left_out), CLIPS_PER_GROUP))
    report = replace(
        write_rows(job.split, job.path, groups),
        counts=_sorted(tally.counts),
        dropped=tally.dropped,
        left_out=left_out,
    )
    write_json(job.report_path, asdict(report))
    return report


def write_rows(
    split: str, path: Path, groups: Iterable[list[dict[str, Any]]], features: Features = FEATURES
) -> ShardReport:
    """Write groups of rows as an Arrow file, atomically; return its report. Raises ``OSError``."""
    report = ShardReport(split, path.stem, 0, 0.0, "")
    tags, emotions, labels = Counter[str](), Counter[str](), Counter[str]()
    with atomic_write(path) as temporary:
        with (
            pa.OSFile(str(temporary), "wb") as file,
            pa.ipc.new_stream(file, features.arrow_schema) as writer,
        ):
            for rows in groups:
                writer.write_table(pa.Table.from_pylist(rows, features.arrow_schema))
                report.rows += len(rows)
                report.seconds += sum(row["seconds"] for row in rows)
                tags.update(sound["tag"] for row in rows for sound in row["nonverbals"])
                emotions.update(emotion["label"] for emotion in _emotions(rows) if emotion["label"])
                labels.update(_label_kinds(rows))
        report.sha256 = file_sha256(temporary)
    return replace(report, tags=_sorted(tags), emotions=_sorted(emotions), labels=_sorted(labels))


def _clips(job: ShardJob, tally: Tally, left_out: list[dict[str, str]]) -> Iterator[Clip]:
    """The clips of all units at the stored sample rate.

    Raises :class:`UserError` that lists all labels without a mapping, or all texts that are too long.
    """
    limits, too_long = job.storage.limits, list[str]()
    for unit in job.units:
        try:
            clips = job.source.read(unit, tally)
        except StorageError:  # of a cache: the unit itself can be read
            raise
        except UserError as error:
            left_out.append({"id": unit.id, "error": str(error)})
            continue
        for clip in clips:
            if reason := limits.drop_reason(clip):
                tally.drop(clip.id, reason)
                continue
            if problem := limits.text_problem(clip.script().render()):
                too_long.append(f"{clip.id}: {problem}")
            if tally.unknown or too_long:
                continue  # the shard fails; further units are read to list all problems
            waveform = resample(clip.waveform, clip.sample_rate, job.storage.sample_rate)
            yield replace(clip, waveform=waveform, sample_rate=job.storage.sample_rate)
    tally.require_known(f"{job.split}/{job.name}")
    limits.require_short(too_long)


def _groups(clips: Iterator[Clip], size: int) -> Iterator[tuple[Clip, ...]]:
    while group := tuple(islice(clips, size)):
        yield group


def _rows(clips: tuple[Clip, ...], job: ShardJob) -> list[dict[str, Any]]:
    storage = job.storage
    codes = [np.zeros((0, 0), dtype=np.uint16)] * len(clips)
    if storage.codec:
        codec = _codec(storage.codec_file, storage.codec_fingerprint, storage.device)
        codes = Tokenizer(codec, storage.batch).codes([clip.waveform for clip in clips], storage.sample_rate)
    return [
        row_of(clip, job.split, codes_TC, storage.codec or "none", storage.sample_rate, storage.keep_audio)
        for clip, codes_TC in zip(clips, codes, strict=True)
    ]


@cache
def _codec(name: str, expected: str, device: str) -> Codec:
    """The codec, loaded once per process.

    Raises :class:`UserError` for a codec with another fingerprint and for a missing GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("data.device=cuda, but a worker has no GPU; set data.device=cpu, or give it one")
    codec = load_codec(name, device)
    require_codec(codec, expected, "this data set")
    return codec


def _emotions(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (emotion for row in rows for turn in row["turns"] for emotion in turn["emotions"])


def _label_kinds(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The kind and origin of each label."""
    for emotion in _emotions(rows):
        for name in ("label", "intensity", "valence", "arousal", "dominance"):
            if emotion[name] is not None:
                yield f"{'category' if name == 'label' else name} by {emotion['origin']}"
    for sound in (item for row in rows for item in row["nonverbals"]):
        yield f"nonverbal by {sound['origin']}"
        if sound["start"] is not None:
            yield f"nonverbal time by {sound['origin']}"


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically and sync it to disk."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
