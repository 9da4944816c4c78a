"""Values of table cells: text, lists of names, numbers and times, as spreadsheets write them."""

import math
import re
from typing import Any

from dia.documents import parse_json
from dia.errors import UserError

CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")


def cell_text(value: Any) -> str:
    """Return the text of a cell; "" for an empty one, which some readers give as None or NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def cell_list(value: Any) -> list[str]:
    """Return the names in a cell: a list, its JSON, or text with semicolons or commas between them."""
    if not isinstance(value, list | tuple):
        text = cell_text(value)
        try:
            value = parse_json(text) if text.startswith("[") else re.split(r"[;,]", text)
        except ValueError:
            value = re.split(r"[;,]", text.strip("[]"))
    names = [cell_text(item).strip("'\"") for item in value]
    return names if any(names) else []


def cell_number(value: Any, column: str) -> float | None:
    """Return a number, whose decimal sign may be a comma; None for an empty cell.

    Raises :class:`UserError`.
    """
    text = cell_text(value)
    if not text:
        return None
    try:
        number = float(text.replace(",", ".") if "." not in text else text)
    except ValueError as error:
        raise UserError(f"{column}={text} is no number; write it as 0.5, or leave the cell empty") from error
    if not math.isfinite(number):
        raise UserError(f"{column}={text} is not finite; write a number, or leave the cell empty")
    return number


def cell_seconds(value: Any, column: str) -> float | None:
    """Return a time in seconds, also of ``hours:minutes:seconds``; None for an empty cell.

    Raises :class:`UserError`.
    """
    if match := CLOCK.fullmatch(cell_text(value)):
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
    return cell_number(value, column)
