"""Read JSON and YAML from outside as plain values, with limits on size, nesting and aliases.

Nothing in a document is executed, imported or resolved: YAML tags that construct objects are refused, and a
text such as ``${oc.env:HOME}`` stays a text. The limits hold before memory is taken, so that a document
cannot exhaust the machine: an alias bomb of a few hundred bytes stands for gigabytes.

All functions raise ``ValueError`` for a document that is damaged or beyond a limit, and ``OSError`` for a
file that cannot be read. Callers name the document and the remedy.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dia.files import require_regular_file

MAX_NESTING = 100
MAX_JSON_BYTES = 1 << 26
MAX_YAML_BYTES = 1 << 20
MAX_YAML_NODES = 20_000  # with every alias replaced by what it stands for; about a second in PyYAML
MAX_DIGITS = 100

# numbers such as 1e-3, which YAML 1.1 reads as a text
FLOAT = re.compile(r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    _require_shallow(value)
    return value


def read_json(path: Path) -> Any:
    """Return the value in a JSON file."""
    return parse_json(_read(path, MAX_JSON_BYTES))


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; another value is a ``ValueError``."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")
    return value


def parse_yaml(text: str | bytes) -> Any:
    """Return the value of a YAML text: mappings with texts as keys, lists, texts, numbers, booleans, None."""
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"it has more than {MAX_YAML_BYTES:,} bytes")
    try:
        return _with_text_keys(yaml.load(text, _PlainLoader))  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise _too_deep() from None


def read_yaml(path: Path) -> Any:
    """Return the value in a YAML file, as :func:`parse_yaml` does."""
    return parse_yaml(_read(path, MAX_YAML_BYTES))


def read_yaml_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; another value is a ``ValueError``."""
    value = read_yaml(path)
    if not isinstance(value, dict):
        raise ValueError("it holds no mapping of keys to values")
    return value


def _read(path: Path, limit: int) -> bytes:
    require_regular_file(path)
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MAX_NESTING} deep")


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        containers = [item for item in level if isinstance(item, list | dict)]
        if not containers:
            return
        level = [
            inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)
        ]
    raise _too_deep()


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader with limits, numbers such as 1e-3, no dates, and no key given twice."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self.depth = 0
        self.nodes = 0
        self.size_by_anchor: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count the nodes of the document, an alias as many as the node that it stands for."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs lack types here
        if isinstance(event, yaml.AliasEvent):
            self._count(self.size_by_anchor.get(str(event.anchor), 0))
            return super().compose_node(parent, index)
        self._count(1)
        before = self.nodes
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _too_deep()
        node = super().compose_node(parent, index)
        self.depth -= 1
        if (
            isinstance(node, yaml.ScalarNode)
            and node.tag.endswith((":int", ":float"))
            and len(node.value) > MAX_DIGITS
        ):
            raise ValueError(f"it has a number of more than {MAX_DIGITS} digits")
        if event.anchor is not None:
            self.size_by_anchor[event.anchor] = self.nodes - before + 1
        return node

    def _count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_YAML_NODES:
            raise ValueError(f"it stands for more than {MAX_YAML_NODES:,} values")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice, of which PyYAML would take the last."""
        if isinstance(node, yaml.MappingNode):
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            if repeated := sorted(key for key, count in keys.items() if count > 1 and key != "<<"):
                raise ValueError(f"it gives the key {', '.join(repeated)} twice")
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def _with_text_keys(value: Any) -> Any:
    """Return a value without aliases of one object, whose mappings have texts as keys."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else _key_text(key): _with_text_keys(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set):
        return [_with_text_keys(item) for item in value]
    return value


def _key_text(key: Any) -> str:
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(key)
    raise ValueError(f"the key {key!r} is not a text; write it in quotes")
