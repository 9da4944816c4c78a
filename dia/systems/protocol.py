"""What the code of a system offers, and what it answers with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from dia.evaluation.prompts import Prompt
from dia.systems.script_rendering import Line


@dataclass(frozen=True)
class Call:
    """One request: its body, and which of the script's lines (from 0) it speaks."""

    body: dict[str, Any]
    lines: tuple[int, ...]
    characters: int


@dataclass(frozen=True)
class Answer:
    """Sound as it came. ``request`` is the body as it was sent, without any key; ``cost_units`` what the
    answer says it cost.
    """

    raw: bytes
    request: dict[str, Any]
    status: int | None = None
    request_id: str = ""
    cost_units: float | None = None


@dataclass(eq=False)  # exceptions are told apart by identity
class Refusal(Exception):
    """No sound. ``again`` says that asking again may help, ``stops`` that nothing else will be answered
    either.
    """

    kind: str
    message: str
    status: int | None = None
    request_id: str = ""
    retry_after: float | None = None
    again: bool = False
    stops: bool = False
    request: dict[str, Any] = field(default_factory=dict)


class System(Protocol):
    """A system that speaks. ``package`` is the distribution whose version the manifest keeps."""

    package: str

    def calls(self, prompt_id: str, lines: Sequence[Line], take: int) -> list[Call]:
        """Return what has to be asked for one take of one script: one request, or one a turn. Asks nothing
        yet.
        """
        ...

    def open(self) -> None:
        """Make ready what asking needs: a key, weights. Raises ``UserError`` when the system is not available
        here.
        """
        ...

    def ask(self, call: Call) -> Answer:
        """Ask. Raises :class:`Refusal` when no sound comes."""
        ...


@runtime_checkable
class BringsPrompts(Protocol):
    """A system that knows what it can speak, and how often."""

    def own_prompts(self) -> list[Prompt]:
        """Return its prompts."""
        ...

    def own_takes(self) -> int:
        """Return how many takes it has of the prompt that it has most of."""
        ...
