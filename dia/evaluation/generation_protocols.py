"""Protocols of generation that a suite compares: in one pass or in pieces, with context, with retries.

Published figures of one checkpoint differ by its protocol more than by anything else (docs/dia-numbers.md).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

SECONDS = "piece_seconds"


@dataclass(frozen=True)
class GenerationProtocol:
    """How a checkpoint speaks a script; the default is one pass, whose first take is scored.

    ``piece_seconds`` is the longest estimated duration of a piece, 0 for one pass. With ``context`` the
    prompt of a piece is the piece before it. ``retries`` is how often a take that the guard rejects
    (`dia/inference/guard.py`) is generated again.
    """

    name: str
    piece_seconds: float = 0.0
    context: bool = False
    retries: int = 0

    @property
    def in_pieces(self) -> bool:
        """Whether the script is spoken in pieces."""
        return self.piece_seconds > 0

    @property
    def settings(self) -> dict[str, Any]:
        """The values without the name, which does not change a take."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def protocols_of(content: Mapping[str, Mapping[str, Any]]) -> tuple[GenerationProtocol, ...]:
    """Return the protocols of a suite, given as their settings by name."""
    return tuple(GenerationProtocol(name, **settings) for name, settings in content.items())


def protocol_problems(content: object) -> list[str]:
    """Return what is wrong with the protocols of a suite's file, one sentence each."""
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, dict) for key, value in content.items()
    ):
        return ["protocols must be settings by name, such as {pieces: {piece_seconds: 6}}"]
    return [problem for name, settings in content.items() for problem in _problems(name, settings)]


def _problems(name: str, settings: dict[Any, Any]) -> list[str]:
    known = {field.name: field.default for field in fields(GenerationProtocol) if field.name != "name"}
    problems = [
        f"protocols.{name} has the unknown key {key}; known keys: {', '.join(known)}"
        for key in settings
        if key not in known
    ]
    values = known | {key: value for key, value in settings.items() if key in known}
    seconds, context, retries = values[SECONDS], values["context"], values["retries"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        problems.append(f"protocols.{name}.{SECONDS}={seconds!r} must be a number of seconds, 0 or more")
    if type(retries) is not int or retries < 0:
        problems.append(f"protocols.{name}.retries={retries!r} must be a whole number, 0 or more")
    if type(context) is not bool:
        problems.append(f"protocols.{name}.context={context!r} must be true or false")
    elif context and not seconds:
        problems.append(f"protocols.{name} has a context, which needs pieces; set {SECONDS}")
    return problems
