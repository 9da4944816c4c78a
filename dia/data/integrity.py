"""Verify that a prepared data set is what was stored: shards against their SHA-256, and the range of codes.

Every shard is compared with the checksum in its report, and the reports with the files that ``datasets``
opens: neither changed bytes nor the files of another split are read. Results are stored below
``outputs/.verified`` (see ``dia/home.py``), so that a data set whose files keep their sizes and times is read
only once, and data sets may be read-only.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dia.data.preferences.schema import CODE_COLUMNS
from dia.data.shards import REPORTS, ShardReport, read_report
from dia.documents import read_json_object
from dia.errors import StorageError, UserError
from dia.files import file_sha256, make_folder, write_text
from dia.home import in_home
from dia.locks import file_lock
from dia.progress import Progress

VERIFIED = "outputs/.verified"
THREADS = 8  # hashing does not hold the interpreter's lock
SHOWN = 20
MALFORMED = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VerifiedFile:
    """A shard whose bytes had this SHA-256 at this size and these times (nanoseconds), and its codes.

    ``largest_code`` is -1 and both numbers of channels are 0 where there are no codes.
    """

    sha256: str
    size: int
    modified: int
    changed: int
    largest_code: int
    fewest_channels: int
    most_channels: int


def verify_prepared(folder: Path, *, again: bool = False) -> list[VerifiedFile]:
    """Verify a prepared data set and return its shards; ``again`` reads files that are known to be intact.

    Raises:
        UserError: With every shard that is missing, differs from its checksum, or belongs elsewhere.
    """
    expected, problems = _expected_files(folder)
    with _memory(folder) as memory:
        known = {} if again else memory
        verified: dict[str, VerifiedFile] = {}
        unknown = []
        for name, sha256 in expected.items():
            entry = known.get(name)
            if entry is not None and entry.sha256 == sha256 and _stamp(folder / name) == _stamp_of(entry):
                verified[name] = entry
            else:
                unknown.append(name)
        for name, result in _read_all(folder, unknown, expected):
            if isinstance(result, VerifiedFile):
                verified[name] = result
            else:
                problems.append(f"{name}: {result}")
        memory.clear()
        memory.update(verified)
    if problems:
        more = [f"  - and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        listed = "\n".join([*(f"  - {problem}" for problem in problems[:SHOWN]), *more])
        raise UserError(
            f"the data set at {folder} is not what was stored: {len(problems)} files are damaged; delete the "
            f"folder and prepare it again:\n{listed}"
        )
    return list(verified.values())


def code_problems(folder: Path, channels: int, codebook_size: int) -> list[str]:
    """Return why the codes of a data set do not fit a model or codec; raises as :func:`verify_prepared`."""
    files = [file for file in verify_prepared(folder) if file.most_channels]
    if not files:
        return []
    problems = []
    numbers = min(file.fewest_channels for file in files), max(file.most_channels for file in files)
    if numbers != (channels, channels):
        listed = str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]} to {numbers[1]}"
        problems.append(f"{folder} has codes of {listed} channels, {channels} are needed; prepare it again")
    if (largest := max(file.largest_code for file in files)) >= codebook_size:
        problems.append(
            f"{folder} has codes up to {largest}, but the codebook has {codebook_size} entries; prepare it "
            "again with the codec of the model"
        )
    return problems


def _expected_files(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the SHA-256 of every shard by path in the folder, and what the files beside them contradict."""
    expected: dict[str, str] = {}
    problems: list[str] = []
    splits: list[str] = []
    for state_path in sorted(folder.glob("*/state.json")):
        split = state_path.parent.name
        splits.append(split)
        try:
            reports = _reports(folder, split)
            state = read_json_object(state_path)
            opened = [item["filename"] for item in state["_data_files"]]
            digest = hashlib.sha256("".join(report.sha256 for report in reports).encode()).hexdigest()[:16]
        except (UserError, *MALFORMED) as error:
            problems.append(f"{split}: state.json or a report is damaged ({type(error).__name__})")
            continue
        if opened != [f"{report.name}.arrow" for report in reports] or state["_fingerprint"] != digest:
            problems.append(f"{split}: state.json lists other files than the reports")
        expected |= {f"{split}/{report.name}.arrow": report.sha256 for report in reports}
    try:
        listed = sorted(read_json_object(folder / "dataset_dict.json")["splits"])
    except MALFORMED as error:
        problems.append(f"dataset_dict.json is damaged ({type(error).__name__})")
    else:
        if listed != splits:
            problems.append(f"dataset_dict.json lists the splits {listed}, there are {splits}")
    return expected, problems


def _reports(folder: Path, split: str) -> list[ShardReport]:
    """Return the reports of a split in the order of its shards. Raises ``ValueError`` for one of another."""
    reports = []
    for path in sorted((folder / REPORTS / split).glob("*.json")):
        report = read_report(path)
        if (report.split, report.name) != (split, path.stem):
            raise ValueError(f"{path} is the report of {report.split}/{report.name}")
        reports.append(report)
    return reports


def _read_all(
    folder: Path, names: list[str], expected: dict[str, str]
) -> Iterator[tuple[str, VerifiedFile | str]]:
    """Yield the result of each file: what it holds, or why it is damaged."""
    if not names:
        return
    with (
        ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool,
        Progress("Verifying checksums", len(names), unit="shards") as progress,
    ):
        for name, result in zip(
            names, pool.map(lambda name: _read(folder / name, expected[name]), names), strict=True
        ):
            progress.advance()
            yield name, result


def _read(path: Path, sha256: str) -> VerifiedFile | str:
    if not path.is_file():
        return "is missing"
    stamp = _stamp(path)
    if file_sha256(path) != sha256:
        return "differs from its checksum"
    try:
        return VerifiedFile(sha256, *stamp, *_codes_range(path))
    except (pa.ArrowException, *MALFORMED) as error:
        return f"cannot be read ({type(error).__name__})"


def _codes_range(path: Path) -> tuple[int, int, int]:
    """Return the largest code of a shard, and the smallest and largest number of channels of a frame."""
    largest, fewest, most = -1, 0, 0
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as batches:
        columns = [name for name in CODE_COLUMNS if name in batches.schema.names]
        for frames in (batch.column(name).flatten() for batch in batches for name in columns):
            if not len(frames):
                continue
            lengths = pc.min_max(pc.list_value_length(frames))
            low, high = lengths["min"].as_py(), lengths["max"].as_py()
            fewest, most = min(low, fewest) if most else low, max(high, most)
            largest = max(largest, pc.max(frames.flatten()).as_py() if high else -1)
    return largest, fewest, most


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return size, time of modification and time of the last change of name or permissions; 0 if missing."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _stamp_of(file: VerifiedFile) -> tuple[int, int, int]:
    return file.size, file.modified, file.changed


@contextmanager
def _memory(folder: Path) -> Iterator[dict[str, VerifiedFile]]:
    """Yield the stored results of a data set, and store them again if the block changes them.

    Processes that verify the same data set take turns, so that only the first one reads it. Without a place
    that can be written nothing is stored.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    path = in_home(VERIFIED) / f"{name}.json"
    with ExitStack() as locked:
        try:
            make_folder(path.parent)
            locked.enter_context(file_lock(path.with_suffix(".lock"), lambda: None))
        except StorageError as error:
            logger.debug("the place of stored results cannot be written: %s", error)
        memory = _read_memory(path)
        before = dict(memory)
        yield memory
        if memory != before:
            _write_memory(path, folder, memory)


def _read_memory(path: Path) -> dict[str, VerifiedFile]:
    try:
        stored = read_json_object(path)
        return {name: VerifiedFile(**entry) for name, entry in stored["files"].items()}
    except MALFORMED:
        return {}


def _write_memory(path: Path, folder: Path, memory: dict[str, VerifiedFile]) -> None:
    files = {name: asdict(entry) for name, entry in sorted(memory.items())}
    try:
        write_text(path, json.dumps({"folder": str(folder.resolve()), "files": files}, indent=1) + "\n")
    except StorageError as error:
        logger.debug("the checksums are read again the next time: %s", error)
