"""Values of the command line: how the text after `KEY=` is read, by the type of the key.

A text key takes its text as it is, whatever characters it has, so that paths and scripts need no second
quoting; only a value in Hydra's quotes is unquoted. A whole number may be written `1e3`, a list `[a, b]`,
`a,b` or `a`.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, cast, get_args, get_origin

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from dia.config.keys import without_none

Schema = TypeVar("Schema")
FREE_TEXT = ("text", "question")  # keys whose text may begin and end with quotes
SEVERAL = re.compile(r"[^\[\]{}]+(,[^\[\]{}]+)+")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def read_value(key: str, text: str, hint: Any) -> Any:
    """Return the value of a key. Raises ``ValueError`` with the problem for a text that is no such value."""
    kind, optional = without_none(hint)
    if optional and text == "null":
        return None
    if get_origin(kind) is list:
        return _list(key, text, get_args(kind)[0])
    if get_origin(kind) is dict or kind is Any:
        return _any(text)
    if kind is str:
        return text if key in FREE_TEXT else unquoted(text)
    plain = unquoted(text).strip()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(key, plain, kind)
    if kind is bool:
        return _boolean(key, plain)
    return _number(key, plain, whole=kind is int)


def escaped(value: Any) -> Any:
    """Return a value in whose texts OmegaConf does not interpolate: ``${...}`` stays as it is."""
    if isinstance(value, Enum) or not isinstance(value, str | list | dict):
        return value
    if isinstance(value, list):
        return [escaped(item) for item in value]
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", value)


def typed(schema: type[Schema], content: Mapping[str, Any]) -> Schema:
    """Return plain values as a dataclass, without resolving anything in them. Raises as OmegaConf does."""
    merged = OmegaConf.merge(OmegaConf.structured(schema), escaped(dict(content)))
    return cast(Schema, OmegaConf.to_object(merged))


def unquoted(text: str) -> str:
    """Return the text inside Hydra's quotes; a text without them as it is."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        return text
    parsed = _parsed(text)
    if isinstance(parsed, QuotedString):
        return parsed.text.replace("\\${", "${")
    return text


def _list(key: str, text: str, item: Any) -> list[Any]:
    parsed = _parsed(text)
    if isinstance(parsed, list):
        return [
            read_value(key, str(value.text if isinstance(value, QuotedString) else plain_text(value)), item)
            for value in parsed
        ]
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    return [read_value(key, part.strip(), item) for part in inner.split(",") if part.strip()]


def _any(text: str) -> Any:
    """Return a value of any type; dictionaries in Hydra's or YAML's notation."""
    parsed = _parsed(text)
    if parsed is not None:
        return _plain(parsed)
    if text.strip().startswith(("{", "[")):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{text} is neither Hydra's notation nor YAML") from error
    return None if text.strip() == "null" else text


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text.replace("\\${", "${")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {
            str(key.text if isinstance(key, QuotedString) else key): _plain(item)
            for key, item in value.items()
        }
    return value


def plain_text(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _parsed(text: str) -> Any:
    """Return what Hydra's grammar reads from a value, None where it reads nothing or `null`."""
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return None
    if override.is_sweep_override():
        return None
    return override._value


def _choice(key: str, text: str, kind: type[Enum]) -> Enum:
    choices = [str(member.value) for member in kind]
    if text not in choices:
        raise ValueError(f"{key}={text} is unknown; choose one of {', '.join(choices)}")
    return kind(text)


def _boolean(key: str, text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError(f"{key}={text} must be true or false")
    return text.lower() in TRUE


def _number(key: str, text: str, *, whole: bool) -> int | float:
    if SEVERAL.fullmatch(text):
        raise ValueError(f"{key}={text} has several values")
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        raise ValueError(f"{key}={text} must be a {'whole ' if whole else ''}number") from None
    if not whole:
        return number
    if re.fullmatch(r"[+-]?\d+", text.replace("_", "")):
        return int(text.replace("_", ""))
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise ValueError(f"{key}={text} must be a whole number")
    return int(number)
