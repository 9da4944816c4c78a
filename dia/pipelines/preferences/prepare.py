"""Prepare a preference data set: the pairs of a source, in a folder named after the hash of its request.

A preference data set has one shard for each split. What is slow (takes, scores) is cached by content, so that
an interrupted preparation resumes there.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from dia.codecs.protocol import Codec
from dia.config.choices import PreferenceOrigin
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.data.preferences.schema import PREFERENCE_FEATURES
from dia.data.prepare import data_set_name, summarise
from dia.data.prepared import finish_prepared, folder_for, parts_folder
from dia.data.shards import REPORTS, ShardReport, write_json, write_rows
from dia.errors import UserError
from dia.files import make_folder
from dia.home import in_home
from dia.locks import file_lock
from dia.pipelines.preferences.length import Rows, leave_out_long, limits_of
from dia.pipelines.preferences.table import PairTable
from dia.pipelines.preferences.takes import JudgedTakes
from dia.pipelines.preferences.votes import ListenerVotes

SHARD = "data-00000"
SHOWN_REASONS = 10


class PairSource(Protocol):
    """Where the pairs of a data set come from."""

    def request(self) -> dict[str, Any]:
        """Return everything that the pairs depend on, as plain values."""
        ...

    def rows(self, engine: EngineConfig) -> tuple[Rows, Counter[str], list[dict[str, str]]]:
        """Return rows of ``PREFERENCE_FEATURES`` by split, counts of events, and what could not be read."""
        ...


SOURCES: dict[PreferenceOrigin, Callable[[DataConfig, Codec], PairSource]] = {
    PreferenceOrigin.takes: JudgedTakes,
    PreferenceOrigin.votes: ListenerVotes,
    PreferenceOrigin.table: PairTable,
}


def prepare(config: DataConfig, codec: Codec | None, engine: EngineConfig | None = None) -> Path:
    """Return the folder of the prepared data set; build it unless it exists.

    Raises :class:`UserError` as its source does, and when no pair could be formed.
    """
    source = _open(config, codec)
    request = _request(config, source, codec)
    folder = _folder(config, request)
    make_folder(folder.parent)
    with file_lock(folder.with_name(f".{folder.name}.lock"), lambda: None):
        if not folder.exists():
            rows, counts, left_out = source.rows(engine or EngineConfig())
            _write(folder, request, leave_out_long(rows, config, counts), counts, left_out)
    return folder


def folder_of_request(config: DataConfig, codec: Codec | None) -> Path:
    """Return the folder of a request's data set, whether it exists or not; raises as :func:`prepare`."""
    return _folder(config, _request(config, _open(config, codec), codec))


def _open(config: DataConfig, codec: Codec | None) -> PairSource:
    if codec is None:
        raise UserError("data.corpus=preferences stores codes; leave data.tokens=true")
    return SOURCES[config.preferences.origin](config, codec)


def _folder(config: DataConfig, request: dict[str, Any]) -> Path:
    return folder_for(in_home(config.root), data_set_name(config), request)


def _request(config: DataConfig, source: PairSource, codec: Codec | None) -> dict[str, Any]:
    stored = {key: getattr(config, key) for key in ("sample_rate", "keep_audio", "held_out")}
    return source.request() | stored | limits_of(config) | {"codec": codec.fingerprint if codec else "none"}


def _write(
    folder: Path, request: dict[str, Any], rows: Rows, counts: Counter[str], left_out: list[dict[str, str]]
) -> None:
    """Write the data set. Raises :class:`UserError` when there is no pair to learn from."""
    if not rows.get("train"):
        events = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        reasons = "".join(f"\n  - {item['id']}: {item['error']}" for item in left_out[:SHOWN_REASONS])
        raise UserError(
            f"no pair could be formed for training: {events}; give more scripts or takes, or a smaller "
            f"data.preferences.deviations{reasons}"
        )
    parts, reports = parts_folder(folder), list[ShardReport]()
    for split, own in rows.items():
        if not own:
            continue
        path = parts / split / f"{SHARD}.arrow"
        make_folder(path.parent)
        report = write_rows(split, path, [own], PREFERENCE_FEATURES)
        report.counts = dict(sorted(counts.items())) if split == "train" else {}
        make_folder(parts / REPORTS / split)
        write_json(parts / REPORTS / split / f"{SHARD}.json", asdict(report))
        reports.append(report)
    summary = summarise(reports)
    card = {"request": request, "figures": summary.statistics(), "left_out": left_out}
    finish_prepared(folder, reports, card, PREFERENCE_FEATURES)
