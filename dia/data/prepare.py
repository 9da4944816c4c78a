"""Preparation: units of a source become shards, on whatever engine, and the shards a data set, once.

The same request again finds its folder and does nothing; one that was stopped goes on with the shards that
are missing.
"""

import errno
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dia.codecs.protocol import Codec
from dia.codecs.registry import portable_name
from dia.data.engines.run import RESUME_HINT, EngineConfig, run_jobs
from dia.data.prepared import CARD, finish_prepared, folder_for, folder_of_parts, open_prepared, read_card
from dia.data.shards import ShardJob, ShardReport, Storing, build_shard, finished_report
from dia.data.source import Source, Unit
from dia.data.sources.settings import SourceConfig, open_source, source_problems
from dia.errors import UserError
from dia.home import in_home


@dataclass
class DataConfig(SourceConfig):
    """What is prepared, and how it is stored."""

    name: str = "demo"
    root: str = "prepared"
    """Folder that prepared data sets lie in, relative to the working directory."""
    sample_rate: int = 16_000
    """Hertz of the stored audio."""
    tokens: bool = True
    """Whether codes are made (a codec's own training needs none)."""
    keep_audio: bool = True
    """Whether the sound is kept beside its codes."""
    shard_units: int = 64
    """Units (dialogues, rows, recordings) in one shard, which is what is made or lost as one."""
    device: str = "cpu"
    """Where codes are made: `cpu` or `cuda`."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = source_problems(self)
        if self.shard_units < 1:
            found.append(f"data.shard_units={self.shard_units} must be 1 or more; usual is 64")
        if self.sample_rate < 8000:
            found.append(
                f"data.sample_rate={self.sample_rate} is too low for speech; usual are 16000 to 44100"
            )
        if self.device not in ("cpu", "cuda"):
            found.append(f"data.device={self.device} is unknown; choose cpu or cuda")
        return found


@dataclass
class Summary:
    """What became of everything: clips and hours by split, labels by kind, counts by sentence, and units that
    were left out.
    """

    clips: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    tags: Counter[str] = field(default_factory=Counter)
    emotions: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def add(self, report: ShardReport) -> None:
        """Take a shard in."""
        self.clips[report.split] += report.rows
        self.seconds[report.split] = self.seconds.get(report.split, 0.0) + report.seconds
        self.tags.update(report.tags)
        self.emotions.update(report.emotions)
        self.labels.update(report.labels)
        self.counts.update(report.counts)
        self.left_out += report.left_out

    def figures(self) -> dict[str, Any]:
        """Return it as plain values, sorted: the same whatever came first."""
        return {
            "clips": dict(sorted(self.clips.items())),
            "hours": {split: round(seconds / 3600, 3) for split, seconds in sorted(self.seconds.items())},
            "tags": dict(sorted(self.tags.items())),
            "emotions": dict(sorted(self.emotions.items())),
            "labels": dict(sorted(self.labels.items())),
            "counts": dict(sorted(self.counts.items())),
        }


def prepare(config: DataConfig, codec: Codec | None, engine: EngineConfig | None = None) -> Path:
    """Return the folder of the prepared data set, made now unless it is there. ``codec`` None makes no codes.

    Raises :class:`UserError` for a sample rate below the codec's, for labels that no table knows, for a lost
    worker or cluster, and when nothing could be read.
    """
    source = open_source(config)
    request = _request(config, source, codec)
    folder = folder_of_request(config, codec)
    if folder.exists():
        return folder
    storing = _storing(config, codec)
    try:
        reports = _make_shards(
            source, folder_of_parts(folder).resolve(), storing, config.shard_units, engine or EngineConfig()
        )
        summary = summarise(reports)
        finish_prepared(
            folder, reports, {"request": request, "figures": summary.figures(), "left_out": summary.left_out}
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        raise UserError(
            f"{folder_of_parts(folder)} cannot be written ({error.strerror}); make room, then: {RESUME_HINT}"
        ) from error
    return folder


def folder_of_request(config: DataConfig, codec: Codec | None) -> Path:
    """Return where a request's data set lies, or will lie. Raises :class:`UserError` when its source is not
    there.
    """
    return folder_for(in_home(config.root), config.name, _request(config, open_source(config), codec))


def find_prepared(config: DataConfig, codec_name: str) -> list[Path]:
    """Return the data sets of this request that lie there, tokenized by a codec of this name: one, or none.

    It is found without the codec's weights. Raises :class:`UserError` when its source is not there.
    """
    asked = _request(config, open_source(config), None) | {"codec": ""}
    found = []
    for folder in sorted(in_home(config.root).glob(f"{config.name}-*")):
        if (folder / CARD).is_file() and read_card(folder)["request"] | {"codec": ""} == asked:
            rows = open_prepared(folder)["train"]
            found += [folder] if len(rows) and rows[0]["codec"] == codec_name else []
    return found


def _storing(config: DataConfig, codec: Codec | None) -> Storing:
    batch = 1 if config.device == "cpu" else 16
    if codec is None:
        return Storing(config.sample_rate, config.keep_audio, "", "", "", config.device, batch)
    if codec.sample_rate > config.sample_rate:
        raise UserError(
            f"data.sample_rate={config.sample_rate} would cut off what the codec {codec.name} can say at {codec.sample_rate} "
            f"hertz; set data.sample_rate={codec.sample_rate}"
        )
    name, fingerprint, file = codec.name, codec.fingerprint, portable_name(codec.name)
    return Storing(config.sample_rate, config.keep_audio, name, fingerprint, file, config.device, batch)


def summarise(reports: list[ShardReport]) -> Summary:
    """Return what became of everything. Raises :class:`UserError` with the reasons when there is no clip at
    all.
    """
    summary = Summary()
    for report in reports:
        summary.add(report)
    if not sum(summary.clips.values()):
        raise UserError("\n".join(["nothing could be prepared:", *_reasons(summary)]))
    return summary


def _make_shards(
    source: Source, parts: Path, storing: Storing, size: int, engine: EngineConfig
) -> list[ShardReport]:
    """Return the reports of all shards, in order; those that are there and whole are not made again."""
    reports: list[ShardReport] = []

    def missing() -> Iterator[ShardJob]:
        for job in plan_shards(source, parts, storing, size):
            if report := finished_report(job):
                reports.append(report)
                continue
            for path in (job.path, job.report_path):
                path.parent.mkdir(parents=True, exist_ok=True)
            yield job

    columns = (
        TextColumn("preparing {task.fields[hours]:.2f} h of sound, {task.fields[pace]:.1f} h an hour"),
        BarColumn(),
    )
    with Progress(
        *columns, TextColumn("{task.completed}/{task.total} units"), TimeRemainingColumn()
    ) as progress:
        total = source.count()
        bar = progress.add_task("", total=total, hours=0.0, pace=0.0)
        begun, made = time.monotonic(), 0.0
        for report in run_jobs(engine, build_shard, missing(), storing.device == "cuda"):
            reports.append(report)
            made += report.seconds
            pace = made / max(time.monotonic() - begun, 1e-3)
            done = min(total or len(reports) * size, len(reports) * size)
            progress.update(
                bar, completed=done, hours=sum(item.seconds for item in reports) / 3600, pace=pace
            )
    return sorted(reports, key=lambda report: (report.split, report.name))


def plan_shards(source: Source, parts: Path, storing: Storing, size: int) -> Iterator[ShardJob]:
    """Yield the shards of a source: ``size`` units of one split each, in the source's order."""
    waiting: dict[str, list[Unit]] = {}
    numbers = Counter[str]()

    def job(split: str) -> ShardJob:
        numbers[split] += 1
        return ShardJob(str(parts), split, numbers[split] - 1, source, tuple(waiting.pop(split)), storing)

    for unit in source.units():
        waiting.setdefault(unit.split, []).append(unit)
        if len(waiting[unit.split]) == size:
            yield job(unit.split)
    for split in sorted(waiting):
        yield job(split)


def _reasons(summary: Summary) -> list[str]:
    """The first reasons why clips were left out or dropped."""
    found = [f"  - {item['id']}: {item['error']}" for item in summary.left_out[:10]]
    return found + [f"  - {count} times {what}" for what, count in islice(summary.counts.items(), 10)]


def _request(config: DataConfig, source: Source, codec: Codec | None) -> dict[str, Any]:
    """Everything the result depends on; where it lies and who makes it is left out."""
    stored = {key: getattr(config, key) for key in ("sample_rate", "keep_audio", "shard_units", "device")}
    return source.request() | stored | {"codec": codec.fingerprint if codec else "none"}
