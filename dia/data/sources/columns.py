"""The columns of a user's table: other names for the declared ones, misspelt names, and names of splits."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dia.data.sources.declaration import Declaration

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "development", "eval"),
    "test": ("test", "testing"),
}
SIMILAR = 0.8  # ratio of difflib above which an unknown column is taken for a misspelt one


def normalised(name: str) -> str:
    """Return a name without the differences that do not matter: letter case, spaces and hyphens."""
    return re.sub(r"[\s\-]+", "_", str(name).strip().lower())


def split_named(stated: str, splits: Mapping[str, str]) -> str | None:
    """Return the split that a table calls ``stated``, None if it is none of ``splits`` (ours to theirs)."""
    name = normalised(stated)
    for ours, theirs in splits.items():
        if name == normalised(theirs):
            return ours
    return next((ours for ours in splits if name in SPLITS.get(ours, ())), None)


def split_in_name(parts: Iterable[str], splits: Mapping[str, str]) -> str | None:
    """Return the split that a folder or file name states: `train/`, `metadata_val.csv`; None without one."""
    for part in parts:
        for word in re.split(r"[^A-Za-z]+", part):
            if word and (split := split_named(word, splits)):
                return split
    return None


def spellings(column: str, declared: Declaration) -> list[str]:
    """Return the names, normalised, under which a table may have a declared column."""
    aliases = declared.files.aliases if declared.files and declared.files.aliases else {}
    return [normalised(name) for name in (column, *aliases.get(column, ()))]


@dataclass(frozen=True)
class Columns:
    """How the columns of one table are read: ``names`` maps declared columns to those of the table.

    ``misspelt`` maps unknown columns to the declared one that they resemble; ``unread`` are the others.
    """

    names: dict[str, str] = field(default_factory=dict)
    misspelt: dict[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    @classmethod
    def of(cls, header: Iterable[str], declared: Declaration) -> "Columns":
        """Return how a table with this header is read."""
        theirs = {normalised(name): name for name in reversed(list(header))}
        free_form = declared.files is not None and declared.files.aliases is not None
        names: dict[str, str] = {}
        known: dict[str, str] = {}
        for column in declared.columns:
            accepted = spellings(column, declared)
            known |= dict.fromkeys(accepted, column)
            if present := [theirs[name] for name in accepted if name in theirs]:
                names[column] = present[0]
        misspelt, unread = {}, []
        for name, written in theirs.items():
            if name in known:
                continue
            near = difflib.get_close_matches(name, known, 1, SIMILAR) if free_form else []
            if near and known[near[0]] not in names:
                misspelt[written] = near[0]
            else:
                unread.append(written)
        return cls(names, misspelt, tuple(unread))

    def read(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with the declared columns, beside those of the table."""
        return row | {column: row.get(name) for column, name in self.names.items()}


def is_header(cells: Iterable[str], declared: Declaration) -> bool:
    """Return whether cells name the columns that a row needs: the audio, and the text if there is one."""
    return not missing_columns(Columns.of(cells, declared), declared)


def missing_columns(columns: Columns, declared: Declaration) -> list[str]:
    """Return the needed columns that a table lacks."""
    roles, files = declared.roles, declared.files
    needed = [] if files is not None and files.sound else [roles.audio]
    from_name = re.findall(r"\?P<(\w+)>", declared.names.pattern) if declared.names else []
    needed += [role for role in (roles.text,) if role is not None and role not in from_name]
    return [column for column in needed if column not in columns.names]
