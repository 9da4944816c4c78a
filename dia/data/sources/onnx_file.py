"""Read the graph of an ONNX file: nodes, initializers and outputs.

The package `onnx` needs a newer protobuf than descript-audio-codec allows, so the few messages are decoded
here, by the field numbers of onnx.proto3 and the wire format of Protocol Buffers.
"""

import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
DTYPES: dict[int, Any] = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_}
Fields = dict[int, list[Any]]


@dataclass(frozen=True)
class Node:
    """An operator with its inputs, outputs and attributes; an absent input has an empty name."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order, constants by name, and the names of the outputs."""

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]
    outputs: tuple[str, ...]


def read_graph(content: bytes) -> Graph:
    """Return the graph of an ONNX file. Raises ``ValueError`` for what the format does not allow."""
    graph = _fields(_fields(memoryview(content))[7][0])
    constants = dict(_tensor(message) for message in graph[5])
    outputs = tuple(_text(_fields(message)[1][0]) for message in graph[12])
    return Graph(tuple(_node(message) for message in graph[1]), constants, outputs)


def _node(message: memoryview) -> Node:
    fields = _fields(message)
    attributes = dict(_attribute(item) for item in fields[5])
    inputs, outputs = (tuple(_text(name) for name in fields[number]) for number in (1, 2))
    return Node(_text(fields[4][0]), inputs, outputs, attributes)


def _attribute(message: memoryview) -> tuple[str, Any]:
    """The name and value of an attribute: of type 1 float, 2 integer, 3 text, 4 tensor, 7 integers."""
    fields = _fields(message)
    kind = fields[20][0]
    name = _text(fields[1][0])
    if kind == 1:
        return name, struct.unpack("<f", fields[2][0])[0]
    if kind == 2:
        return name, _signed(fields[3][0]) if fields[3] else 0
    if kind == 3:
        return name, _text(fields[4][0])
    if kind == 4:
        return name, _tensor(fields[5][0])[1]
    if kind == 7:
        return name, _integers(fields[8])
    raise ValueError(f"attribute {name} has the unsupported type {kind}")


def _tensor(message: memoryview) -> tuple[str, NDArray[Any]]:
    """The name and values of a tensor, stored as raw bytes or as a list of its type."""
    fields = _fields(message)
    name = _text(fields[8][0]) if fields[8] else ""
    kind, shape = fields[2][0], _integers(fields[1])
    if kind not in DTYPES:
        raise ValueError(f"tensor {name} has the unsupported type {kind}")
    if fields[9]:
        values = np.frombuffer(fields[9][0], DTYPES[kind])
    elif fields[4]:
        values = np.concatenate([np.frombuffer(part, np.float32) for part in fields[4]])
    else:
        values = np.array(_integers(fields[5] or fields[7]), DTYPES[kind])
    return name, values.reshape(shape)


def _integers(values: list[Any]) -> list[int]:
    """Integers that are stored one by one or packed."""
    result: list[int] = []
    for value in values:
        if isinstance(value, int):
            result.append(_signed(value))
            continue
        place = 0
        while place < len(value):
            number, place = _varint(value, place)
            result.append(_signed(number))
    return result


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _fields(message: memoryview) -> Fields:
    """The values of a message by field number, in order; messages, texts and floats remain bytes."""
    fields: Fields = defaultdict(list)
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = _varint(message, place)
            fields[number].append(value)
            continue
        if wire == BYTES:
            size, place = _varint(message, place)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if wire == EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire} at byte {place}")
        if place + size > len(message):
            raise ValueError(f"the file ends within field {number}")
        fields[number].append(message[place : place + size])
        place += size
    return fields


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    result = shift = 0
    while place < len(message):
        byte = message[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, place
        shift += 7
    raise ValueError("the file ends within a number")
