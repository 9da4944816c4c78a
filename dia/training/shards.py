"""Sharded checkpoints of which nothing is unpickled: torch's shards with a description in JSON.

torch.distributed.checkpoint describes shards in a pickle, `.metadata`, and its reader executes what a pickle
names. Here the description is `shards.json`: every tensor's type, size and chunks, and in which file each
chunk lies. Before memory is taken it is checked against the files: names stay inside of the folder, and a
tensor is not larger than its chunks. The chunks themselves are read with ``weights_only=True``.
"""

import io
import json
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException, FileSystemReader, FileSystemWriter, load, save
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import ReadItem
from torch.distributed.checkpoint.storage import WriteResult

from dia.checkpoint.locate import PICKLED_SHARDS, SHARDS
from dia.documents import read_json_object
from dia.errors import UserError, one_line
from dia.files import inside, write_text

_REMEDY = "remove {} to use the checkpoint before"
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}


def save_shards(state: dict[str, Any], folder: Path) -> None:
    """Write this rank's shards of a state; every rank must call it. Raises ``OSError`` as files do."""
    save(state, storage_writer=_Writer(folder))


def load_shards(state: dict[str, Any], folder: Path) -> None:
    """Fill a state, whose tensors may be sharded otherwise, in place; every rank must call it.

    Raises :class:`UserError` when the shards are damaged, or of an earlier version.
    """
    _load(state, folder)


def read_shards(folder: Path, prefix: str) -> dict[str, Tensor]:
    """Return the whole tensors whose names begin with ``prefix``, without it; one process suffices.

    Raises as :func:`load_shards` does.
    """
    state = {
        name: torch.empty(stored.size, dtype=stored.properties.dtype)
        for name, stored in _Reader(folder).read_metadata().state_dict_metadata.items()
        if name.startswith(prefix) and isinstance(stored, TensorStorageMetadata)
    }
    _load(state, folder, no_dist=True)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def _load(state: dict[str, Any], folder: Path, *, no_dist: bool = False) -> None:
    reader = _Reader(folder)
    reader.read_metadata()  # raises here; torch would hide the message in its own exception
    try:
        load(state, storage_reader=reader, planner=_Planner(), no_dist=no_dist)
    except CheckpointException as error:
        reasons = "; ".join(sorted({one_line(cause) for cause, _ in error.failures.values()}))
        raise UserError(f"{folder} cannot be loaded: {reasons}; {_REMEDY.format(folder)}") from error


def shard_problem(folder: Path) -> str:
    """Return why a folder of shards cannot be read, with the remedy; empty if it can."""
    if (folder / SHARDS).is_file() or not (folder / PICKLED_SHARDS).is_file():
        return ""
    return (
        f"{folder} was written by an earlier version, which described its shards in a pickle; a "
        "pickle can run any "
        "program, so it is not read. Resume or consolidate it with the version that wrote it, "
        "or start a new run "
        f"from its last model: init_from={folder.parents[1] / 'model'}"
    )


class _Writer(FileSystemWriter):
    """torch's writer of shards; the description is JSON."""

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the description; torch calls this on rank 0, after every rank has written its shards."""
        places = {result.index: result.storage_data for part in results for result in part}
        tensors: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, stored in metadata.state_dict_metadata.items():
            if isinstance(stored, BytesStorageMetadata):
                values[name] = _place(places[MetadataIndex(name)])
                continue
            chunks = [
                {"offsets": list(chunk.offsets), "sizes": list(chunk.sizes)}
                | _place(places[MetadataIndex(name, chunk.offsets)])
                for chunk in stored.chunks
            ]
            dtype = str(stored.properties.dtype).removeprefix("torch.")
            tensors[name] = {"dtype": dtype, "size": list(stored.size), "chunks": chunks}
        write_text(Path(self.path) / SHARDS, json.dumps({"tensors": tensors, "values": values}) + "\n")


def _place(info: _StorageInfo) -> dict[str, Any]:
    return {"file": info.relative_path, "offset": info.offset, "length": info.length}


class _Reader(FileSystemReader):
    """torch's reader of shards; the description is JSON."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return the description. Raises :class:`UserError` unless the folder's files agree with it."""
        folder = Path(self.path)
        if problem := shard_problem(folder):
            raise UserError(problem)
        try:
            metadata = _parse(read_json_object(folder / SHARDS), folder)
        except UserError:
            raise
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{folder / SHARDS} is missing or damaged ({error}); {_REMEDY.format(folder)}"
            ) from error
        metadata.storage_meta = StorageMeta(load_id=self.load_id)
        return metadata


class _Planner(DefaultLoadPlanner):
    """torch's planner; values that are no tensors are read with ``weights_only=True``."""

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        """Store a value, such as a learning rate, at its place in the state."""
        content = torch.load(value, weights_only=True)
        *parents, last = self.mappings[read_item.dest_index.fqn]
        target: Any = self.original_state_dict
        for key in parents:
            target = target[key]
        target[last] = content


def _parse(content: dict[str, Any], folder: Path) -> Metadata:
    described: dict[str, Any] = {}
    places: dict[MetadataIndex, _StorageInfo] = {}
    for name, tensor in content["tensors"].items():
        size, dtype = _numbers(tensor["size"]), DTYPES[tensor["dtype"]]
        chunks = []
        for chunk in tensor["chunks"]:
            offsets, sizes = _numbers(chunk["offsets"]), _numbers(chunk["sizes"])
            info = _info(chunk, folder)
            if not len(offsets) == len(sizes) == len(size) or prod(sizes) * dtype.itemsize > info.length:
                raise ValueError(f"a chunk of {name} is larger than what is stored")
            chunks.append(ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)))
            places[MetadataIndex(name, offsets)] = info
        if sum(prod(chunk.sizes) for chunk in chunks) != prod(size):
            raise ValueError(f"the chunks of {name} are not its whole")
        described[name] = TensorStorageMetadata(TensorProperties(dtype=dtype), torch.Size(size), chunks)
    for name, place in content["values"].items():
        described[name] = BytesStorageMetadata()
        places[MetadataIndex(name)] = _info(place, folder)
    return Metadata(described, storage_data=places)


def _info(place: dict[str, Any], folder: Path) -> _StorageInfo:
    path = inside(folder, place["file"], str(folder / SHARDS), _REMEDY.format(folder))
    offset, length = _numbers((place["offset"], place["length"]))
    if not path.is_file() or offset + length > path.stat().st_size:
        raise ValueError(f"{path.name} is missing or too short")
    return _StorageInfo(str(place["file"]), offset, length)


def _numbers(values: Sequence[Any]) -> list[int]:
    if not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{values!r} are not sizes")
    return cast(list[int], list(values))
