"""Corpora as declarations: the schema of data/corpora/*.yaml, which say how a row becomes a clip.

A declaration names the columns of the corpus as its card documents them, what each is read as, and what its
labels mean here. Nothing is guessed from a row: a column that is missing and a label without a mapping are
errors.
"""

from dataclasses import dataclass, field
from typing import Any, cast

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dia.dialogue.tags import known_tags
from dia.errors import UserError, one_line
from dia.resources import declaration, resource

LAYOUTS = ("clip", "script", "conversation", "sound")
USES = ("train", "evaluation")


@dataclass
class Hub:
    """Where the Hub has it: ``path`` is the data set's id, ``data_files`` patterns by split for those without
    a builder.
    """

    path: str = MISSING
    config: str | None = None
    data_files: dict[str, str] | None = None
    local_only: bool = False
    """Whether nobody may take it from the Hub: a local copy in the same columns is read."""


@dataclass
class Files:
    """Where a local copy has it: ``audio`` is a pattern of sound files, ``manifest`` one of tables that name
    them.
    """

    audio: str | None = None
    manifest: str | None = None
    line: str | None = None
    """A pattern of the lines of a manifest that is neither JSONL nor CSV; its groups are the columns."""
    sound: str | None = None
    """Path of a row's sound, made of its columns, where no column holds it."""


@dataclass
class Roles:
    """Which column is what. ``cuts`` are (first, past the last) samples of each turn; ``region`` the seconds
    of an event.
    """

    audio: str = "audio"
    id: str | None = None
    text: str | None = None
    voice: str | None = None
    split: str | None = None
    licence: str | None = None
    commercial_ok: str | None = None
    texts: str | None = None
    voices: str | None = None
    cuts: str | None = None
    region: str | None = None
    events: str | None = None


@dataclass
class Names:
    """Columns that stand in a name: the groups of ``pattern``, searched for in the text of ``column``
    (`audio`: its path).
    """

    column: str = "audio"
    pattern: str = MISSING


@dataclass
class Marks:
    """Marks of sounds inside a text. ``pattern`` finds them; its first group, if it has one, is the label.

    ``tags`` gives a label's tag, ``drop`` labels are taken out of the text (with the reason), ``drop_clip``
    ones take the clip with them: their sound would stay unexplained. ``strip`` are patterns that are not
    words.
    """

    pattern: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    drop: dict[str, str] = field(default_factory=dict)
    drop_clip: dict[str, str] = field(default_factory=dict)
    strip: list[str] = field(default_factory=list)


@dataclass
class Scale:
    """A number in a column. ``low`` and ``high`` of the source become -1 and 1 (intensity: 0 and 1); or a
    table of words.
    """

    column: str = MISSING
    low: float = -1.0
    high: float = 1.0
    labels: dict[str, float] | None = None


@dataclass
class EmotionRule:
    """How turns are spoken, as the source says: ``labels`` maps its words to data/emotions.yaml, null claims
    nothing.
    """

    column: str | None = None
    labels: dict[str, str | None] = field(default_factory=dict)
    origin: str = "human"
    intensity: Scale | None = None
    valence: Scale | None = None
    arousal: Scale | None = None
    dominance: Scale | None = None


@dataclass
class SoundRule:
    """A nonverbal sound that is a label of its own, not a mark in a text: the whole clip is that sound."""

    column: str = MISSING
    tags: dict[str, str] = field(default_factory=dict)
    drop_clip: dict[str, str] = field(default_factory=dict)


@dataclass
class Keep:
    """A clip is kept when a column's number is ``at_least`` and ``at_most`` so much, or its text one of
    ``one_of``.
    """

    at_least: float | None = None
    at_most: float | None = None
    one_of: list[str] | None = None


@dataclass
class Declaration:
    """One corpus. ``uses`` says what it may be used for, ``splits`` maps our splits to the source's."""

    name: str = MISSING
    title: str = MISSING
    licence: str = MISSING
    commercial_ok: bool = MISSING
    uses: list[str] = MISSING
    card: str = MISSING
    """Where the facts of this file come from."""
    layout: str = "clip"
    language: str = "en"
    hub: Hub | None = None
    files: Files | None = None
    splits: dict[str, str] = field(default_factory=lambda: {"train": "train"})
    columns: dict[str, str] = field(default_factory=dict)
    """Every documented column and its type."""
    roles: Roles = field(default_factory=Roles)
    names: Names | None = None
    texts: dict[str, str] | None = None
    """Text by the value of the text column, where the source names sentences by a code."""
    marks: Marks = field(default_factory=Marks)
    emotion: EmotionRule = field(default_factory=EmotionRule)
    sound: SoundRule | None = None
    keep: dict[str, Keep] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Return what the tables of this project do not know, one sentence each."""
        found = (
            [f"layout {self.layout} is none of {', '.join(LAYOUTS)}"] if self.layout not in LAYOUTS else []
        )
        if (self.hub is None) == (self.files is None):
            found.append("either hub or files says where it is")
        found += [f"{use} is no use; there are {', '.join(USES)}" for use in self.uses if use not in USES]
        tags = [*self.marks.tags.values(), *(self.sound.tags.values() if self.sound else ())]
        found += [f"({tag}) is no tag of data/tags.yaml" for tag in tags if tag not in known_tags()]
        emotions = declaration("data/emotions.yaml")
        labels = (label for label in self.emotion.labels.values() if label and label not in emotions)
        found += [f"{label} is not in data/emotions.yaml" for label in labels]
        return found


def corpora() -> list[str]:
    """Return the names of all declared corpora, sorted."""
    return sorted(path.stem for path in resource("data/corpora").glob("*.yaml"))


def read_declaration(name: str) -> Declaration:
    """Return a corpus's declaration. Raises :class:`UserError` when there is none, or it says what the schema
    does not know.
    """
    if name not in corpora():
        raise UserError(
            f"there is no corpus {name!r} in data/corpora; there are: demo, recordings, {', '.join(corpora())}"
        )
    return parse_declaration(name, declaration(f"data/corpora/{name}.yaml"))


def parse_declaration(name: str, content: dict[str, Any]) -> Declaration:
    """Return the typed declaration. Raises :class:`UserError` with every problem at once."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Declaration), {"name": name}, content)
        parsed = cast(Declaration, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"data/corpora/{name}.yaml: {one_line(error)}") from error
    if problems := parsed.problems():
        raise UserError(
            "\n".join([f"data/corpora/{name}.yaml:", *(f"  - {problem}" for problem in problems)])
        )
    return parsed
