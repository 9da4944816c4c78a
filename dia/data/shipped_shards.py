"""Shards of synthesized corpora that the package ships, because synthesizing them takes hours.

A folder of data/codes has the request of a data set without its number of clips (`request.json`), and
archives of shards with their reports. A shard depends on its number and the request only: a data set of fewer
clips begins with the same shards.
"""

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dia.data.shards import REPORTS, write_json
from dia.documents import read_json_object
from dia.errors import UserError
from dia.files import atomic_write, make_folder

REQUEST = "request.json"
SHARDS_PER_ARCHIVE = 30
MEMBER = re.compile(r"(reports/)?(?P<split>\w+)/data-(?P<number>\d{5})\.(arrow|json)")


def pack_shards(folder: Path, request: Mapping[str, Any], target: Path) -> list[Path]:
    """Add the complete shards of ``folder`` that ``target`` lacks, and return the new archives.

    ``folder`` is a prepared data set or the parts of one, ``request`` that of its card. Raises
    :class:`UserError` when ``target`` has shards of another request, or the data set has audio.
    """
    if request["keep_audio"] or request["codec"] == "none":
        raise UserError(f"only codes are shipped; prepare {folder} with data.keep_audio=false")
    make_folder(target)
    if (target / REQUEST).exists() and read_json_object(target / REQUEST) != _general(request):
        raise UserError(f"{target} has shards of another request; choose another folder")
    write_json(target / REQUEST, _general(request))
    present = {name for archive in _archives(target) for name in _names(archive)}
    written = []
    for split, size in sorted(_clips(request).items()):
        complete = [f"data-{number:05d}" for number in range(size // request["shard_units"])]
        missing = [
            name
            for name in complete
            if f"{split}/{name}.arrow" not in present and _report(folder, split, name).is_file()
        ]
        for begin in range(0, len(missing), SHARDS_PER_ARCHIVE):
            names = missing[begin : begin + SHARDS_PER_ARCHIVE]
            archive = target / f"{split}-{names[0].removeprefix('data-')}.tar.xz"
            _write_archive(archive, folder, split, names)
            written.append(archive)
    return written


def unpack_shards(shipped: Path, request: Mapping[str, Any], parts: Path) -> int:
    """Write the shards of a shipped folder that a request needs into ``parts``; return their number.

    Nothing is written when the folder belongs to another request. A shard that exists is not overwritten.
    The checksums in the reports are compared when the data set is prepared.
    """
    if read_json_object(shipped / REQUEST) != _general(request):
        return 0
    complete = {split: size // request["shard_units"] for split, size in _clips(request).items()}
    count = 0
    for path in _archives(shipped):
        with tarfile.open(path, "r:xz") as archive:
            for member in archive:
                match = MEMBER.fullmatch(member.name)
                content = archive.extractfile(member) if match and member.isfile() else None
                if match is None or content is None:
                    raise UserError(f"{path} contains {member.name}, which is no shard; restore the file")
                target = parts / member.name
                if int(match["number"]) < complete.get(match["split"], 0) and not target.exists():
                    make_folder(target.parent)
                    with atomic_write(target) as temporary:
                        temporary.write_bytes(content.read())
                    count += target.suffix == ".arrow"
    return count


def _general(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the request without its numbers of clips, as JSON stores it."""
    general: dict[str, Any] = json.loads(json.dumps(dict(request)))
    for value in general.values():
        if isinstance(value, dict):
            value.pop("clips", None)
    return general


def _clips(request: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of clips by split; nothing for a source that is not synthesized."""
    sizes = (value["clips"] for value in request.values() if isinstance(value, Mapping) and "clips" in value)
    return next(sizes, {})


def _archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar.xz"))


def _names(path: Path) -> list[str]:
    with tarfile.open(path, "r:xz") as archive:
        return archive.getnames()


def _report(folder: Path, split: str, name: str) -> Path:
    return folder / REPORTS / split / f"{name}.json"


def _write_archive(path: Path, folder: Path, split: str, names: list[str]) -> None:
    """Write shards and their reports; the same shards give the same bytes."""
    with atomic_write(path) as temporary, tarfile.open(temporary, "w:xz", preset=9) as archive:
        for file in _files(folder, split, names):
            member = tarfile.TarInfo(str(file.relative_to(folder)))
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(member, content)


def _files(folder: Path, split: str, names: list[str]) -> Iterator[Path]:
    for name in names:
        yield folder / split / f"{name}.arrow"
        yield _report(folder, split, name)
