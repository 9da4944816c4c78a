"""The identity of files by their content: SHA-256 of each, cached by its size and time of change.

The first preparation of a folder reads every file once more; afterwards only files that changed are read.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dia.files import file_sha256, write_text
from dia.home import in_home

CACHE = "prepared/.checksums"  # below DIA_HOME
THREADS = 4  # hashing releases the interpreter's lock
Cache = dict[str, list[int | str]]  # size, times and SHA-256 of files by name
SETTLED = (
    2_000_000_000  # nanoseconds; a file that changed more recently may change again within one time stamp
)


def content_digest(folder: Path, paths: Iterable[Path]) -> str:
    """Return a digest of the names relative to ``folder`` and of the contents of files, whatever their times.

    A missing file counts as missing, so that the digest changes when it appears.
    """
    sums = file_checksums(folder, paths)
    lines = [f"{name} {sums[name]}\n" for name in sorted(sums)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def file_checksums(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of files by their name relative to ``folder``, from the cache if it is current."""
    cache_path = in_home(CACHE) / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.json"
    cached = _read_cache(cache_path)
    states: dict[str, list[int]] = {}
    sums: dict[str, str] = {}
    changed: dict[str, Path] = {}
    for path in set(paths):
        name = os.path.relpath(path, folder)
        try:
            state = path.stat()
        except OSError:
            sums[name] = "missing"
            continue
        if not stat.S_ISREG(state.st_mode):
            sums[name] = "no file"
            continue
        states[name] = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        if name in cached and cached[name][:3] == states[name]:
            sums[name] = str(cached[name][3])
        else:
            changed[name] = path
    if changed:
        with ThreadPoolExecutor(THREADS) as threads:
            sums |= dict(zip(changed, threads.map(_checksum, changed.values()), strict=True))
        settled = time.time_ns() - SETTLED
        current: Cache = {
            name: [*state, sums[name]] for name, state in states.items() if max(state[1:]) < settled
        }
        _write_cache(cache_path, cached | current)
    return sums


def _checksum(path: Path) -> str:
    """The SHA-256 of a file; a folder or a file that cannot be read is reported when its row is read."""
    try:
        return file_sha256(path)
    except OSError:
        return "unreadable"


def _read_cache(path: Path) -> Cache:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    valid = isinstance(content, dict) and all(
        isinstance(entry, list) and len(entry) == 4 for entry in content.values()
    )
    return content if valid else {}


def _write_cache(path: Path, content: Cache) -> None:
    """Write the cache; where it cannot be written, the files are read again the next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(content, sort_keys=True) + "\n")
    except OSError:
        return
