"""A prepared data set on disk: an ordinary `datasets` folder with a card that records its request.

Shards are collected in a hidden folder that is renamed when the last one is written: an existing data set is
complete. Its name ends in a hash of the request, so that different requests never share a folder.
The files beside the shards are written here and not by `datasets`, which would store times and random
fingerprints.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import DatasetDict, load_from_disk

from dia.data.preview import render_preview
from dia.data.schema import FEATURES
from dia.data.shards import REPORTS, ShardReport, write_json
from dia.errors import UserError
from dia.files import file_sha256, write_text

CARD, PAGE = "dia.json", "page.html"


def folder_for(root: Path, name: str, request: dict[str, Any]) -> Path:
    """Return the folder of the data set for ``request``: ``root/name-<hash>``."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return root / f"{name}-{digest[:10]}"


def parts_folder(folder: Path) -> Path:
    """Return the hidden folder that collects the shards of a data set until it is complete."""
    return folder.with_name(f".{folder.name}.parts")


def finish_prepared(folder: Path, reports: Iterable[ShardReport], card: dict[str, Any]) -> None:
    """Write the files beside the shards and rename the folder of parts to ``folder``. Raises ``OSError``."""
    parts = parts_folder(folder)
    for temporary in parts.rglob(".*"):  # incomplete files of a killed process
        temporary.unlink()
    by_split: dict[str, list[ShardReport]] = {}
    sorted_reports = sorted(reports, key=lambda report: (report.split, report.name))
    for report in sorted_reports:
        by_split.setdefault(report.split, []).append(report)
    for split, shards in by_split.items():
        fingerprint = hashlib.sha256("".join(report.sha256 for report in shards).encode()).hexdigest()[:16]
        state: dict[str, Any] = {
            "_data_files": [{"filename": f"{report.name}.arrow"} for report in shards],
            "_fingerprint": fingerprint,
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        }
        write_json(parts / split / "state.json", state)
        write_json(parts / split / "dataset_info.json", {"features": FEATURES.to_dict()})
    write_json(parts / "dataset_dict.json", {"splits": sorted(by_split)})
    write_text(
        parts / PAGE, render_preview(folder.name, parts, sorted_reports, card["figures"], card["left_out"])
    )
    write_json(parts / CARD, card)
    parts.rename(folder)


def require_prepared(folder: Path) -> None:
    """Raise :class:`UserError` unless there is a prepared data set at ``folder``."""
    if not (folder / CARD).is_file():
        raise UserError(
            f"there is no prepared data set at {folder}; run `python -m dia.prepare` with the same recipe"
        )


def open_prepared(folder: Path) -> DatasetDict:
    """Open a prepared data set. Raises :class:`UserError` when it is missing or damaged."""
    require_prepared(folder)
    try:
        return DatasetDict(load_from_disk(str(folder)))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the data set at {folder} is damaged ({error}); delete the folder and prepare it again"
        ) from error


def split_fingerprints(folder: Path) -> dict[str, str]:
    """Return by split a digest that depends on every byte of the shards and on nothing else."""
    return {
        path.parent.name: str(json.loads(path.read_text(encoding="utf-8"))["_fingerprint"])
        for path in sorted(folder.glob("*/state.json"))
    }


def require_intact(folder: Path) -> None:
    """Raise :class:`UserError` that lists the shards which are missing or differ from their SHA-256."""
    require_prepared(folder)
    damaged = []
    for path in sorted((folder / REPORTS).glob("*/*.json")):
        report = ShardReport(**json.loads(path.read_text(encoding="utf-8")))
        shard = folder / report.split / f"{report.name}.arrow"
        if not shard.is_file() or file_sha256(shard) != report.sha256:
            damaged.append(f"{report.split}/{report.name}.arrow")
    if damaged:
        listed = "\n".join(f"  - {name}" for name in damaged)
        raise UserError(
            f"{len(damaged)} shards of {folder} are damaged; delete the folder and prepare it again:\n"
            f"{listed}"
        )


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a prepared data set: its request, statistics (`figures`) and unreadable units."""
    card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return card
