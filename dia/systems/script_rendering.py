"""Convert a script to another system's tags and style directions, and list what it cannot express."""

from dataclasses import dataclass, replace

from dia.dialogue import Script, Turn
from dia.dialogue.script import TAG
from dia.systems.declaration import SystemDeclaration


@dataclass(frozen=True)
class RenderedTurn:
    """The text of one turn in the system's notation; ``style`` is set where the system has a field for it."""

    speaker: int
    text: str
    style: str = ""

    @property
    def voice(self) -> str:
        """The key of the speaker's voice in the declaration: S1, S2, ..."""
        return f"S{self.speaker}"


@dataclass(frozen=True)
class RenderedScript:
    """The turns, and what was dropped: tags as ``(tag)``, emotions as ``{name}``, whole turns as ``[S1]``."""

    turns: tuple[RenderedTurn, ...]
    dropped: tuple[str, ...]

    @property
    def text(self) -> str:
        """All turns as one readable text."""
        return " ".join(
            f"[{turn.voice}] " + (f"<{turn.style}> " if turn.style else "") + turn.text for turn in self.turns
        )


def render_script(script: Script, declaration: SystemDeclaration) -> RenderedScript:
    """Return the script in the notation of a system; turns without any remaining text are dropped."""
    turns: list[RenderedTurn] = []
    dropped: list[str] = []
    for turn in script.turns:
        rendered, missing = _render_turn(turn, declaration)
        dropped += missing
        if rendered.text:
            turns.append(rendered)
        else:
            dropped.append(f"[{rendered.voice}]")
    return RenderedScript(tuple(turns), tuple(dropped))


def _render_turn(turn: Turn, declaration: SystemDeclaration) -> tuple[RenderedTurn, list[str]]:
    known = tuple(nonverbal for nonverbal in turn.nonverbals if nonverbal.tag in declaration.tags)
    dropped = [f"({nonverbal.tag})" for nonverbal in turn.nonverbals if nonverbal.tag not in declaration.tags]
    plain = replace(turn, nonverbals=known, emotion="").render().partition("]")[2].strip()
    text = TAG.sub(lambda match: declaration.tags[match.group(1)], plain)
    style = declaration.emotions.get(turn.emotion, "")
    if turn.emotion and not style:
        dropped.append(f"{{{turn.emotion}}}")
    if style and declaration.emotion_in == "text":
        return RenderedTurn(turn.speaker, f"{style} {text}".strip()), dropped
    return RenderedTurn(turn.speaker, text, style), dropped
