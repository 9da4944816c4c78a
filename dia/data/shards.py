"""One shard: a run of units read, labelled, tokenized and written as an Arrow file, with a report beside it.

The Arrow file is written under another name, synced and renamed, and the report after it: a shard with a
report is whole, and the report holds its sha256. A unit that cannot be read is left out and named in the
report; the rest goes on.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dia.audio.files import resample
from dia.codecs.protocol import Codec, require_codec
from dia.codecs.registry import load_codec
from dia.data.clip import Clip
from dia.data.schema import FEATURES, row_of
from dia.data.source import Source, Tally, Unit
from dia.data.tokenization import Tokenizer
from dia.errors import UserError
from dia.files import atomic_write, file_sha256, write_text

GROUP = 16  # clips in memory at a time, tokenized together
REPORTS = "reports"
ONE_AT_A_TIME = (
    threading.Lock()
)  # models and their threads belong to the process; somebody else's Dask worker may have several


@dataclass(frozen=True)
class Storing:
    """How clips are stored: hertz of the sound, whether it is kept, and the codec (empty: no codes) with its
    fingerprint.

    ``codec`` is what rows say, ``codec_file`` what opens it wherever a worker runs.
    """

    sample_rate: int
    keep_audio: bool
    codec: str
    codec_fingerprint: str
    codec_file: str
    device: str = "cpu"
    batch: int = 1


@dataclass(frozen=True)
class ShardJob:
    """What a worker is given: units of one split, where they come from, and where they go."""

    folder: str
    split: str
    number: int
    source: Source
    units: tuple[Unit, ...]
    storing: Storing

    @property
    def name(self) -> str:
        """File name of the shard without ending."""
        return f"data-{self.number:05d}"

    @property
    def path(self) -> Path:
        """The Arrow file."""
        return Path(self.folder) / self.split / f"{self.name}.arrow"

    @property
    def report_path(self) -> Path:
        """The report beside it."""
        return Path(self.folder) / REPORTS / self.split / f"{self.name}.json"


@dataclass
class ShardReport:
    """What a shard holds and what became of its units.

    ``labels`` counts kinds by origin; ``left_out`` are units that could not be read, with the error.
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


def finished_report(job: ShardJob) -> ShardReport | None:
    """Return the report of a shard that is there already and whole, None when it has to be made."""
    try:
        report = ShardReport(**json.loads(job.report_path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return report if job.path.is_file() and file_sha256(job.path) == report.sha256 else None


def build_shard(job: ShardJob) -> ShardReport:
    """Make a shard unless it is there, and return its report.

    Raises :class:`UserError` for labels that no table knows, and ``OSError`` when it cannot be written.
    """
    if report := finished_report(job):
        return report
    with ONE_AT_A_TIME:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # see engine.py
        try:
            return _make(job)
        finally:
            torch.set_num_threads(threads)


def _make(job: ShardJob) -> ShardReport:
    tally, left_out = Tally(), list[dict[str, str]]()
    report = ShardReport(job.split, job.name, 0, 0.0, "")
    tags, emotions, labels = Counter[str](), Counter[str](), Counter[str]()
    with atomic_write(job.path) as temporary:
        with (
            pa.OSFile(str(temporary), "wb") as file,
            pa.ipc.new_stream(file, FEATURES.arrow_schema) as writer,
        ):
            for clips in _groups(_clips(job, tally, left_out), GROUP):
                rows = _rows(clips, job)
                writer.write_table(pa.Table.from_pylist(rows, FEATURES.arrow_schema))
                report.rows += len(rows)
                report.seconds += sum(row["seconds"] for row in rows)
                tags.update(sound["tag"] for row in rows for sound in row["nonverbals"])
                emotions.update(emotion["label"] for emotion in _emotions(rows) if emotion["label"])
                labels.update(_label_kinds(rows))
        report.sha256 = file_sha256(temporary)
    report = replace(
        report, tags=_sorted(tags), emotions=_sorted(emotions), labels=_sorted(labels), counts=_sorted(tally.counts),
        dropped=tally.dropped, left_out=left_out,
    )  # fmt: skip
    write_json(job.report_path, asdict(report))
    return report


def _clips(job: ShardJob, tally: Tally, left_out: list[dict[str, str]]) -> Iterator[Clip]:
    """The clips of all units at the stored sample rate. Raises :class:`UserError` when labels are unknown,
    with all of them.
    """
    for unit in job.units:
        try:
            clips = job.source.read(unit, tally)
        except UserError as error:
            left_out.append({"id": unit.id, "error": str(error)})
            continue
        if tally.unknown:
            continue  # nothing is stored; the rest is only read so that all unknown labels are named at once
        for clip in clips:
            waveform = resample(clip.waveform, clip.sample_rate, job.storing.sample_rate)
            yield replace(clip, waveform=waveform, sample_rate=job.storing.sample_rate)
    if tally.unknown:
        listed = "\n".join(f"  - {label!r}, {count} times" for label, count in sorted(tally.unknown.items()))
        raise UserError(
            f"labels without a mapping in {job.split}/{job.name}; map them in the corpus's declaration, or set "
            f"data.unknown=drop_tag or drop_clip:\n{listed}"
        )


def _groups(clips: Iterator[Clip], size: int) -> Iterator[tuple[Clip, ...]]:
    while group := tuple(islice(clips, size)):
        yield group


def _rows(clips: tuple[Clip, ...], job: ShardJob) -> list[dict[str, Any]]:
    storing = job.storing
    codes = [np.zeros((0, 0), dtype=np.uint16)] * len(clips)
    if storing.codec:
        codec = _codec(storing.codec_file, storing.codec_fingerprint, storing.device)
        codes = Tokenizer(codec, storing.batch).codes([clip.waveform for clip in clips], storing.sample_rate)
    return [
        row_of(clip, job.split, codes_TC, storing.codec or "none", storing.sample_rate, storing.keep_audio)
        for clip, codes_TC in zip(clips, codes, strict=True)
    ]


@cache
def _codec(name: str, expected: str, device: str) -> Codec:
    """The codec, opened once a process; a worker on another machine must have the same one, and a GPU if it
    is asked for.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("data.device=cuda, but a worker sees no GPU; set data.device=cpu, or give it one")
    codec = load_codec(name, device)
    require_codec(codec, expected, "this data set")
    return codec


def _emotions(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (emotion for row in rows for turn in row["turns"] for emotion in turn["emotions"])


def _label_kinds(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What is known of turns and sounds, and who says it, once for each label."""
    for emotion in _emotions(rows):
        for name in ("label", "intensity", "valence", "arousal", "dominance"):
            if emotion[name] is not None:
                yield f"{'category' if name == 'label' else name} by {emotion['origin']}"
    for sound in (sound for row in rows for sound in row["nonverbals"]):
        yield f"nonverbal by {sound['origin']}"
        if sound["start"] is not None:
            yield f"nonverbal time by {sound['origin']}"


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all, synced."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
