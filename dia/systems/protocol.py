"""The interface of a text-to-speech system: the `System` protocol, its requests, responses and failures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from dia.evaluation.prompts import Prompt
from dia.systems.script_rendering import RenderedTurn

TurnTimes = tuple[tuple[float, float], ...]
"""Start and end of each turn, in seconds."""


@dataclass(frozen=True)
class SystemRequest:
    """One request: its body, the indices of the rendered turns that it covers, and its billed characters."""

    body: dict[str, Any]
    turns: tuple[int, ...]
    characters: int


@dataclass(frozen=True)
class SystemResponse:
    """One response with audio.

    ``audio`` are the bytes as received, ``request`` is the body as sent (without credentials), ``cost_units``
    the cost that the response states, in the service's own unit, and ``turn_times`` the times of the
    request's turns that it states.
    """

    audio: bytes
    request: dict[str, Any]
    status: int | None = None
    request_id: str = ""
    cost_units: float | None = None
    turn_times: TurnTimes | None = None


@dataclass(eq=False)  # exceptions compare by identity
class RequestFailed(Exception):
    """A request without audio. ``retryable``: another attempt may succeed; ``fatal``: no request will."""

    kind: str
    message: str
    status: int | None = None
    request_id: str = ""
    retry_after: float | None = None
    retryable: bool = False
    fatal: bool = False
    request: dict[str, Any] = field(default_factory=dict)


class System(Protocol):
    """A text-to-speech system. Manifests store the version of the distribution ``package``."""

    package: str

    def build_requests(self, prompt_id: str, turns: Sequence[RenderedTurn], take: int) -> list[SystemRequest]:
        """Return the requests of one take: one for the whole script, or one for each turn. Sends nothing."""
        ...

    def open(self) -> None:
        """Load credentials or weights. Raises ``UserError`` when the system is not available."""
        ...

    def send(self, request: SystemRequest) -> SystemResponse:
        """Send one request and return its response. Raises :class:`RequestFailed` when no audio arrives."""
        ...


@runtime_checkable
class ProvidesPrompts(Protocol):
    """A system that brings its own prompts, because its audio exists already."""

    def provided_prompts(self) -> list[Prompt]:
        """Return the prompts."""
        ...

    def provided_takes(self) -> int:
        """Return the largest number of takes that any prompt has."""
        ...
