"""A prepared data set on disk: an ordinary `datasets` folder with a card that says what it was made from.

It is written under a temporary name and renamed, so a folder that exists is whole. Its name ends in a hash of the
request, so that another request never meets an older answer.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_from_disk

from dia.data.rows import AUDIO, FEATURES
from dia.errors import UserError

CARD = "dia.json"


def folder_for(root: Path, name: str, request: dict[str, Any]) -> Path:
    """Return where the answer to ``request`` lies: ``root/name-<hash>``."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return root / f"{name}-{digest[:10]}"


def write_prepared(folder: Path, rows: list[dict[str, Any]], card: dict[str, Any]) -> None:
    """Write rows, split by their ``split``, and the card. Raises ``OSError`` as the file system does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        splits = {split: [row for row in rows if row["split"] == split] for split in dict.fromkeys(row["split"] for row in rows)}
        tables = {split: Dataset.from_list(kept, features=FEATURES).cast_column("audio", AUDIO) for split, kept in splits.items()}
        DatasetDict(tables).save_to_disk(made)
        (made / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def open_prepared(folder: Path) -> DatasetDict:
    """Open a prepared data set. Raises :class:`UserError` when it is missing or damaged."""
    if not (folder / CARD).is_file():
        raise UserError(f"there is no prepared data set at {folder}; run `python -m dia.prepare` with the same recipe")
    try:
        return DatasetDict(load_from_disk(str(folder)))
    except (OSError, ValueError) as error:
        raise UserError(f"the data set at {folder} is damaged ({error}); delete the folder and prepare it again") from error


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a prepared data set: what it was made from, and its figures."""
    card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return card
