"""Preparation of a data set: units of a source become shards on an engine, and shards become a data set.

A data set lies in a folder named after the hash of its request. If the folder exists, nothing is done; an
interrupted preparation resumes with the missing shards.
"""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from dia.codecs.protocol import Codec
from dia.codecs.registry import portable_name
from dia.config.choices import TooLong
from dia.config.data import DataConfig, is_declaration_file
from dia.config.engine import EngineConfig
from dia.data.length_limits import LengthLimits
from dia.data.prepared import CARD, finish_prepared, folder_for, open_prepared, parts_folder, read_card
from dia.data.shards import ShardJob, ShardReport, StorageFormat, build_shard, finished_report
from dia.data.shipped_shards import REQUEST, unpack_shards
from dia.data.source import Source, Unit
from dia.data.sources.settings import open_source
from dia.engines.local import RESUME_HINT
from dia.engines.run import Workers
from dia.errors import StorageError, UserError
from dia.files import make_folder, refused_write, storage_error
from dia.home import in_home
from dia.locks import file_lock
from dia.progress import Progress
from dia.resources import resource

SHOWN_REASONS = 10
logger = logging.getLogger(__name__)


@dataclass
class PreparationSummary:
    """Totals over all shards: clips and hours by split, labels by kind, events, and unreadable units."""

    clips: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    tags: Counter[str] = field(default_factory=Counter)
    emotions: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def add(self, report: ShardReport) -> None:
        """Add the report of a shard."""
        self.clips[report.split] += report.rows
        self.seconds[report.split] = self.seconds.get(report.split, 0.0) + report.seconds
        self.tags.update(report.tags)
        self.emotions.update(report.emotions)
        self.labels.update(report.labels)
        self.counts.update(report.counts)
        self.left_out += report.left_out

    def statistics(self) -> dict[str, Any]:
        """Return the totals as plain values, sorted: they do not depend on the order of the shards."""
        return {
            "clips": dict(sorted(self.clips.items())),
            "hours": {split: round(seconds / 3600, 3) for split, seconds in sorted(self.seconds.items())},
            "tags": dict(sorted(self.tags.items())),
            "emotions": dict(sorted(self.emotions.items())),
            "labels": dict(sorted(self.labels.items())),
            "counts": dict(sorted(self.counts.items())),
        }


def prepare(config: DataConfig, codec: Codec | None, engine: EngineConfig | None = None) -> Path:
    """Return the folder of the prepared data set; build it unless it exists.

    Without ``codec`` no codes are stored. While another process prepares the same data, wait for it.
    Raises :class:`UserError` for a sample rate below the codec's, labels without a mapping, texts above the
    model's length, a lost worker or cluster, and when no clip could be read; :class:`StorageError` for a
    folder that cannot be written.
    """
    source = open_source(config, config.device)
    request = _request(config, source, codec)
    folder = folder_for(in_home(config.root), data_set_name(config), request)
    if folder.exists():
        return folder
    storage = _storage_format(config, codec)
    source.check(storage.limits)

    def log_waiting() -> None:
        logger.info("another process prepares %s; waiting for it", folder)

    make_folder(folder.parent)
    with file_lock(folder.with_name(f".{folder.name}.lock"), log_waiting), _reported(folder):
        if not folder.exists():
            _unpack_shipped_shards(request, parts_folder(folder))
            reports = _build_shards(
                source, parts_folder(folder).resolve(), storage, config.shard_units, engine or EngineConfig()
            )
            summary = summarise(reports)
            card = {"request": request, "figures": summary.statistics(), "left_out": summary.left_out}
            finish_prepared(folder, reports, card)
    return folder


def _unpack_shipped_shards(request: dict[str, Any], parts: Path) -> None:
    """Write the shards of this request that the package ships to ``parts``."""
    for stored in sorted(resource("data/codes").glob(f"*/{REQUEST}")):
        if count := unpack_shards(stored.parent, request, parts):
            logger.info("%d shards are those of %s", count, stored.parent)


@contextmanager
def _reported(folder: Path) -> Iterator[None]:
    """Raise :class:`StorageError` with a hint how to resume when the parts of a data set cannot be written.

    Where a file system has no locks, another process may have finished the data set meanwhile: that is no
    error.
    """
    parts = parts_folder(folder)
    try:
        yield
    except OSError as error:
        if folder.exists():
            shutil.rmtree(parts, ignore_errors=True)
            return
        number = refused_write(error, parts)
        if number is None and not isinstance(error, StorageError):
            raise
        refused = error if number is None else storage_error(parts, number)
        raise StorageError(f"{refused}; {RESUME_HINT}") from error
    finally:
        _remove_empty(parts)


def _remove_empty(parts: Path) -> None:
    """Remove the folder of parts unless it holds a file."""
    if parts.is_dir() and not any(path.is_file() for path in parts.rglob("*")):
        shutil.rmtree(parts, ignore_errors=True)


def folder_of_request(config: DataConfig, codec: Codec | None) -> Path:
    """Return the folder of a request's data set, whether it exists or not.

    Raises :class:`UserError` when the source does not exist.
    """
    return folder_for(in_home(config.root), data_set_name(config), request_of(config, codec))


def request_of(config: DataConfig, codec: Codec | None) -> dict[str, Any]:
    """Return everything that the content of the data set depends on.

    Raises :class:`UserError` when the source does not exist.
    """
    return _request(config, open_source(config), codec)


def find_prepared(config: DataConfig, codec_name: str) -> list[Path]:
    """Return the existing data sets (none or one) of this request that a codec of this name tokenized.

    The weights of the codec are not needed. Raises :class:`UserError` when the source does not exist.
    """
    request = _request(config, open_source(config), None) | {"codec": ""}
    folders = []
    for folder in sorted(in_home(config.root).glob(f"{data_set_name(config)}-*")):
        if (folder / CARD).is_file() and read_card(folder)["request"] | {"codec": ""} == request:
            rows = next(iter(open_prepared(folder).values()))
            folders += [folder] if len(rows) and rows[0]["codec"] == codec_name else []
    return folders


def missing_splits(config: DataConfig, needed: set[str]) -> list[str]:
    """Return which of the needed splits the source lacks; nothing for a stream, which is not read here."""
    if config.streaming:
        return []
    left = set(needed)
    for unit in open_source(config).units():
        left.discard(unit.split)
        if not left:
            break
    return sorted(left)


def data_set_name(config: DataConfig) -> str:
    """The name before the hash of the folder; for a declaration file (`data=corpus` names it) its stem."""
    return Path(config.name).stem if is_declaration_file(config.name) else config.name


def length_limits(config: DataConfig, codec: Codec | None) -> LengthLimits:
    """Return the longest text and audio of a clip, where the config limits them."""
    seconds = None
    if config.max_frames is not None and codec is not None:
        seconds = config.max_frames * codec.hop / codec.sample_rate
    return LengthLimits(config.max_text_bytes, seconds, config.too_long == TooLong.skip)


def _storage_format(config: DataConfig, codec: Codec | None) -> StorageFormat:
    batch, limits = 1 if config.device == "cpu" else 16, length_limits(config, codec)
    if codec is None:
        return StorageFormat(config.sample_rate, config.keep_audio, "", "", "", config.device, batch, limits)
    if codec.sample_rate > config.sample_rate:
        raise UserError(
            f"data.sample_rate={config.sample_rate} is below the {codec.sample_rate} hertz of the codec "
            f"{codec.name}; set data.sample_rate={codec.sample_rate}"
        )
    return StorageFormat(
        config.sample_rate,
        config.keep_audio,
        codec.name,
        codec.fingerprint,
        portable_name(codec.name),
        config.device,
        batch,
        limits,
    )


def summarise(reports: list[ShardReport]) -> PreparationSummary:
    """Return the totals of all shards. Raises :class:`UserError` with the reasons when there is no clip."""
    summary = PreparationSummary()
    for report in reports:
        summary.add(report)
    if not sum(summary.clips.values()):
        raise UserError("\n".join(["no clip could be prepared:", *_reasons(summary)]))
    return summary


def _build_shards(
    source: Source, parts: Path, storage: StorageFormat, units_per_shard: int, engine: EngineConfig
) -> list[ShardReport]:
    """Return the reports of all shards, sorted. Complete shards of an earlier run are not built again."""
    reports: list[ShardReport] = []

    def missing_jobs() -> Iterator[ShardJob]:
        for job in plan_shards(source, parts, storage, units_per_shard):
            if report := finished_report(job):
                reports.append(report)
                continue
            for path in (job.path, job.report_path):
                make_folder(path.parent)
            yield job

    total, begin, seconds = source.count(), time.monotonic(), 0.0
    gpu = storage.device == "cuda"
    with (
        Progress("Preparing", total, unit="units") as progress,
        Workers(engine, build_shard, gpu=gpu) as workers,
    ):
        for report in workers.run(missing_jobs()):
            reports.append(report)
            seconds += report.seconds
            done = len(reports) * units_per_shard
            progress.update(
                done if total is None else min(total, done),
                hours_of_audio=sum(item.seconds for item in reports) / 3600,
                times_real_time=seconds / max(time.monotonic() - begin, 1e-3),
            )
    return sorted(reports, key=lambda report: (report.split, report.name))


def plan_shards(
    source: Source, parts: Path, storage: StorageFormat, units_per_shard: int
) -> Iterator[ShardJob]:
    """Yield the jobs of a source: ``units_per_shard`` units of one split each, in the source's order."""
    waiting: dict[str, list[Unit]] = {}
    numbers = Counter[str]()

    def next_job(split: str) -> ShardJob:
        numbers[split] += 1
        return ShardJob(str(parts), split, numbers[split] - 1, source, tuple(waiting.pop(split)), storage)

    for unit in source.units():
        waiting.setdefault(unit.split, []).append(unit)
        if len(waiting[unit.split]) == units_per_shard:
            yield next_job(unit.split)
    for split in sorted(waiting):
        yield next_job(split)


def _reasons(summary: PreparationSummary) -> list[str]:
    """The first reasons why units could not be read or clips were dropped."""
    errors = [f"  - {item['id']}: {item['error']}" for item in summary.left_out[:SHOWN_REASONS]]
    return errors + [
        f"  - {count} times {event}" for event, count in islice(summary.counts.items(), SHOWN_REASONS)
    ]


def _request(config: DataConfig, source: Source, codec: Codec | None) -> dict[str, Any]:
    """Everything that the content of the data set depends on, without its location and its engine."""
    stored = {key: getattr(config, key) for key in ("sample_rate", "keep_audio", "shard_units", "device")}
    if config.too_long == TooLong.skip:
        stored["too_long"] = {"bytes": config.max_text_bytes, "frames": config.max_frames}
    return source.request() | stored | {"codec": codec.fingerprint if codec else "none"}
