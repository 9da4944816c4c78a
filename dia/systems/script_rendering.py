"""A script in a system's own spelling of tags and ways of speaking; what it has no word for is left out, and
told.
"""

from dataclasses import dataclass, replace

from dia.dialogue import Script, Turn
from dia.dialogue.script import TAG
from dia.systems.declaration import Declaration


@dataclass(frozen=True)
class Line:
    """What one speaker (1, 2, ...) is given to say; ``style`` is how, where the system has a field of its own
    for it.
    """

    speaker: int
    text: str
    style: str = ""

    @property
    def voice(self) -> str:
        """The speaker as voices are declared: S1, S2, ..."""
        return f"S{self.speaker}"


@dataclass(frozen=True)
class Dialect:
    """The lines in order, and what was dropped: tags as ``(tag)``, ways of speaking as ``{name}``, whole
    turns as ``[S1]``.
    """

    lines: tuple[Line, ...]
    dropped: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as one text, for people to read."""
        styled = (
            f"[{line.voice}] " + (f"<{line.style}> " if line.style else "") + line.text for line in self.lines
        )
        return " ".join(styled)


def in_dialect(script: Script, declaration: Declaration) -> Dialect:
    """Translate a script."""
    lines: list[Line] = []
    dropped: list[str] = []
    for turn in script.turns:
        line, missing = _line(turn, declaration)
        dropped += missing
        if line.text:
            lines.append(line)
        else:
            dropped.append(f"[{line.voice}]")
    return Dialect(tuple(lines), tuple(dropped))


def _line(turn: Turn, declaration: Declaration) -> tuple[Line, list[str]]:
    known = tuple(nonverbal for nonverbal in turn.nonverbals if nonverbal.tag in declaration.tags)
    dropped = [f"({nonverbal.tag})" for nonverbal in turn.nonverbals if nonverbal.tag not in declaration.tags]
    plain = replace(turn, nonverbals=known, emotion="").render().partition("]")[2].strip()
    text = TAG.sub(lambda found: declaration.tags[found.group(1)], plain)
    told = declaration.emotions.get(turn.emotion, "")
    if turn.emotion and not told:
        dropped.append(f"{{{turn.emotion}}}")
    if told and declaration.emotion_in == "text":
        return Line(turn.speaker, f"{told} {text}".strip()), dropped
    return Line(turn.speaker, text, told), dropped
