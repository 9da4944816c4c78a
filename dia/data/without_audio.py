"""Write a copy of a prepared data set without its audio: what training reads is a tenth of the size.

The copy is byte for byte what preparing the same request with ``data.keep_audio=false`` stores, so that a run
with that setting finds it, on this machine or on another.
"""

from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa

from dia.data.prepare import summarise
from dia.data.prepared import finish_prepared, folder_for, open_prepared, parts_folder, read_card
from dia.data.shards import REPORTS, ShardReport, read_report, write_json
from dia.errors import UserError
from dia.files import atomic_write, file_sha256, make_folder


def store_without_audio(folder: Path) -> Path:
    """Return the folder, beside ``folder``, of the same data set without audio; write it unless it exists.

    Raises :class:`UserError` when ``folder`` is no prepared data set, is damaged, or has no codes, and
    :class:`StorageError` when the copy cannot be written.
    """
    splits = open_prepared(folder)
    card = read_card(folder)
    if card["request"]["codec"] == "none":
        raise UserError(f"{folder} has no codes; nothing would be left without its audio")
    card["request"]["keep_audio"] = False
    target = folder_for(folder.parent, folder.name.rpartition("-")[0], card["request"])
    if target.exists():
        return target
    parts = parts_folder(target)
    reports = [
        _copy_shard(folder, parts, read_report(path))
        for split in splits
        for path in sorted((folder / REPORTS / split).glob("*.json"))
    ]
    summary = summarise(reports)
    figures = {"figures": summary.statistics(), "left_out": summary.left_out}
    finish_prepared(target, reports, {"request": card["request"]} | figures)
    return target


def _copy_shard(folder: Path, parts: Path, report: ShardReport) -> ShardReport:
    """Copy a shard, and return its report with the checksum of the copy."""
    name = f"{report.split}/{report.name}.arrow"
    stored_report = parts / REPORTS / report.split / f"{report.name}.json"
    for path in (parts / name, stored_report):
        make_folder(path.parent)
    with (
        atomic_write(parts / name) as temporary,
        pa.memory_map(str(folder / name)) as stored,
        pa.ipc.open_stream(stored) as reader,
    ):
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_stream(file, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(_without_audio(batch))
        report = replace(report, sha256=file_sha256(temporary))
    write_json(stored_report, asdict(report))
    return report


def _without_audio(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows with the paths of their audio and without its bytes."""
    number = batch.schema.get_field_index("audio")
    field = batch.schema.field(number)
    paths = batch.column(number).field("path")
    audio = pa.StructArray.from_arrays(
        [pa.nulls(len(batch), field.type.field("bytes").type), paths], fields=list(field.type)
    )
    return batch.set_column(number, field, audio)
