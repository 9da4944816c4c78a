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

import pyarrow as pa
import yaml
from datasets import DatasetDict, Features, load_from_disk

from dia.data.integrity import verify_prepared
from dia.data.preferences.schema import PREFERENCE_FEATURES
from dia.data.preview import render_preview
from dia.data.schema import FEATURES
from dia.data.shards import ShardReport, write_json
from dia.documents import read_json_object
from dia.errors import UserError, one_line
from dia.files import inside, is_plain_name, require_regular_file, write_text

CARD, PAGE, README, SPLITS = "dia.json", "page.html", "README.md", "dataset_dict.json"
CARD_KEYS = {"request": dict, "figures": dict, "left_out": list}


def folder_for(root: Path, name: str, request: dict[str, Any]) -> Path:
    """Return the folder of the data set for ``request``: ``root/name-<hash>``."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return root / f"{name}-{digest[:10]}"


def parts_folder(folder: Path) -> Path:
    """Return the hidden folder that collects the shards of a data set until it is complete."""
    return folder.with_name(f".{folder.name}.parts")


def finish_prepared(
    folder: Path, reports: Iterable[ShardReport], card: dict[str, Any], features: Features = FEATURES
) -> None:
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
        write_json(parts / split / "dataset_info.json", {"features": features.to_dict()})
    write_json(parts / SPLITS, {"splits": sorted(by_split)})
    write_text(
        parts / PAGE, render_preview(folder.name, parts, sorted_reports, card["figures"], card["left_out"])
    )
    write_text(parts / README, render_readme(folder.name, card["figures"]))
    write_json(parts / CARD, card)
    parts.rename(folder)


def render_readme(name: str, figures: dict[str, Any]) -> str:
    """Return the README.md of a data set, whose header lists the splits for `datasets.load_dataset`.

    ``figures`` are the statistics of the card: clips and hours by split.
    """
    files = [{"split": split, "path": f"{split}/*.arrow"} for split in figures["clips"]]
    header = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": files}]}, sort_keys=False)
    splits = "".join(
        f"- {split}: {clips} clips, {figures['hours'][split]} hours\n"
        for split, clips in figures["clips"].items()
    )
    return (
        f"---\n{header}---\n\n# {name}\n\nDialogue clips with labels and codec tokens:\n\n"
        f"{splits}\nOpen it with `datasets.load_from_disk(FOLDER)` or `datasets.load_dataset(FOLDER)`. "
        f"{CARD} holds the request and all statistics, {PAGE} shows examples.\n"
    )


def is_prepared(folder: Path) -> bool:
    """Return whether there is a prepared data set at ``folder``."""
    return (folder / CARD).is_file()


def require_prepared(folder: Path) -> None:
    """Raise :class:`UserError` unless there is a prepared data set at ``folder``."""
    if not is_prepared(folder):
        raise UserError(
            f"there is no prepared data set at {folder}; run `python -m dia.prepare` with the same recipe"
        )


def open_prepared(folder: Path) -> DatasetDict:
    """Open a prepared data set whose shards have the stored checksums.

    They are read once, as long as the files do not change (see ``dia/data/integrity.py``). Raises
    :class:`UserError` when it is missing or damaged.
    """
    require_prepared(folder)
    try:
        _require_own_files(folder)
        verify_prepared(folder)
        splits = DatasetDict(load_from_disk(str(folder)))
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise UserError(
            f"the data set at {folder} is damaged ({one_line(error)}); delete the folder and prepare it again"
        ) from error
    for split, rows in splits.items():
        if rows.features not in (
            FEATURES,
            PREFERENCE_FEATURES,
        ):  # another type of a column may read files that the rows name
            raise UserError(
                f"the split {split} of {folder} has other columns than prepared data; prepare it again"
            )
    return splits


def _require_own_files(folder: Path) -> None:
    """Raise :class:`UserError` unless every split and shard that the data set lists lies inside its
    folder."""
    remedy = "delete the folder and prepare it again"
    for split in read_json_object(folder / SPLITS)["splits"]:
        if not isinstance(split, str) or not is_plain_name(split):
            raise UserError(
                f"{folder / SPLITS} lists the split {split!r}, which is not the name of a folder; {remedy}"
            )
        state = inside(folder, split, str(folder / SPLITS), remedy) / "state.json"
        content = read_json_object(state)
        read_json_object(state.with_name("dataset_info.json"))
        for file in (*content["_data_files"], *(content.get("_indices_files") or ())):
            require_regular_file(inside(state.parent, file["filename"], str(state), remedy))


def split_fingerprints(folder: Path) -> dict[str, str]:
    """Return by split a digest that depends on every byte of the shards and on nothing else."""
    return {path.parent.name: _fingerprint(path) for path in sorted(folder.glob("*/state.json"))}


def _fingerprint(state: Path) -> str:
    try:
        return str(read_json_object(state)["_fingerprint"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{state} is damaged ({one_line(error)}); delete {state.parents[1]} and prepare it again"
        ) from error


def require_intact(folder: Path) -> None:
    """Read all shards. Raises :class:`UserError` with those that are missing or differ from their SHA-256."""
    require_prepared(folder)
    verify_prepared(folder, again=True)


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a prepared data set: its request, statistics (`figures`) and unreadable units.

    Raises :class:`UserError` when it is damaged.
    """
    try:
        card = read_json_object(folder / CARD)
        if not all(isinstance(card[key], kind) for key, kind in CARD_KEYS.items()):
            raise TypeError("values of another type")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / CARD} is damaged ({one_line(error)}); delete the folder and prepare it again"
        ) from error
    return card
