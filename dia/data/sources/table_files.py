"""Which files of a folder are tables of clips."""

from pathlib import Path

from dia.audio.formats import READABLE
from dia.data.sources.declaration import Files
from dia.files import inside

# JSON files of `datasets` and of prepared data sets, which hold no rows
PREPARED = "dia.json"
DESCRIBING = ("dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json", PREPARED)
FURTHER = ("*.json", "*.txt|filelists/*.txt")  # patterns of tables that count only where there are no others


def find_tables(folder: Path, files: Files, *, free_form: bool, outside: bool) -> list[Path]:
    """Return the tables of a folder, or its audio files where a declaration names no tables.

    Raises:
        UserError: When a link leads out of the folder, unless ``outside`` permits it.
    """

    def matching(pattern: str) -> list[Path]:
        paths = {path for part in pattern.split("|") if part for path in folder.glob(part)}
        for path in paths if files.manifest and not outside else ():
            remedy = "copy it there, or set data.outside=true if you trust the table"
            inside(folder, str(path.relative_to(folder)), "a symbolic link", remedy)
        return sorted(
            path for path in paths if path.is_file() and not (free_form and _is_no_table(path, folder))
        )

    tables = matching(files.manifest or files.audio or "")
    if not free_form:
        return tables
    for pattern in FURTHER:
        tables = tables or matching(pattern)
    return tables or sorted(path for path in folder.rglob("*.txt") if audio_beside(path))


def audio_beside(text: Path) -> Path | None:
    """Return the audio file with the same name as a text file, None if there is none."""
    candidates = (text.with_suffix(ending) for ending in READABLE)
    return next((path for path in candidates if path.is_file()), None)


def _is_no_table(path: Path, folder: Path) -> bool:
    """Whether a file that a pattern matches holds no rows: a hidden one, a cache or output."""
    parts = path.relative_to(folder).parts
    if any(part.startswith(".") for part in parts) or path.name.startswith("cache-"):
        return True
    if path.name in DESCRIBING or (path.suffix == ".txt" and not _is_list(path)):
        return True
    inner = [parent for parent in path.parents if parent.is_relative_to(folder) and parent != folder]
    return any((parent / PREPARED).is_file() for parent in inner)  # prepared from this folder, in it


def _is_list(path: Path) -> bool:
    """Whether a text file may be a list of clips: it is not the text of one, and its lines have cells."""
    if audio_beside(path):
        return False
    with path.open("rb") as file:
        first = file.readline(10_000)
    return b"|" in first or b"\t" in first
