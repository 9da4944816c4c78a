"""The schema of corpus declarations: one YAML file per corpus that defines how a row becomes a labelled clip.

The shipped declarations are `data/corpora/*.yaml`; any other file is used by its path
(`data.corpus=path/to/my_corpus.yaml`). A declaration lists the columns of the corpus as its card documents
them, the role of each column, and how its labels map to the tags and emotions of this project. A missing
column and a label without a mapping are errors.

The fields of a declaration enter the hash of a prepared data set: renaming one invalidates prepared data.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING
from omegaconf.errors import OmegaConfBaseException

from dia.config.choices import CorpusUse
from dia.config.data import corpora, is_declaration_file
from dia.config.values import typed
from dia.data.sources.patterns import pattern_problem
from dia.dialogue.tags import known_tags
from dia.documents import read_yaml
from dia.errors import UserError, one_line
from dia.files import is_plain_name, is_relative
from dia.resources import declaration

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
LAYOUTS = ("clip", "script", "conversation", "sound")
LATER_FIELDS = {"files": ("archives", "aliases"), "roles": ("start", "end", "duration")}


@dataclass
class Hub:
    """A data set on the Hugging Face Hub: ``path`` is its id.

    ``data_files`` are file patterns by split, for repositories without a loading configuration.
    """

    path: str = MISSING
    config: str | None = None
    data_files: dict[str, str] | None = None
    local_only: bool = False
    """Whether the corpus must not be downloaded from the Hub; a local copy with the same columns is read."""


@dataclass
class Files:
    """The files of a local copy: ``audio`` is a glob pattern of audio files, ``manifest`` of tables."""

    audio: str | None = None
    manifest: str | None = None
    line: str | None = None
    """Regular expression for the lines of other manifests than JSONL and CSV; its groups are columns."""
    sound: str | None = None
    """Template of a row's audio path (`clips/{id}.wav`), where no column holds the path."""
    archives: str | None = None
    """Glob pattern of tar archives with the audio files that are not unpacked."""
    aliases: dict[str, list[str]] | None = None
    """Other names of columns, for tables whose form is open: with or without a header, with guessed paths."""


@dataclass
class Roles:
    """The column for each role.

    ``cuts`` holds the sample range [first, last) of each turn, ``region`` the start and end of an event in
    seconds. A ``voice`` with braces is a template of several columns. ``voices`` holds the voices of a
    dialogue, by turn in a conversation and by speaker in a script. ``start`` and ``end`` (or ``duration``)
    are the part of the audio in seconds that is the clip.
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
    start: str | None = None
    end: str | None = None
    duration: str | None = None


@dataclass
class Names:
    """Columns encoded in a file name: the named groups of ``pattern``, matched against ``column``.

    For the column `audio` the text is the path.
    """

    column: str = "audio"
    pattern: str = MISSING


@dataclass
class Marks:
    """Marks of nonverbal sounds in a text: ``pattern`` matches them, its first group is the label.

    ``tags`` maps labels to tags. Labels in ``drop`` are removed from the text, labels in ``drop_clip`` drop
    the clip, whose audio would contain a sound without a tag; the values of both are the reason. ``strip``
    are patterns of text that is not spoken.
    """

    pattern: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    drop: dict[str, str] = field(default_factory=dict)
    drop_clip: dict[str, str] = field(default_factory=dict)
    strip: list[str] = field(default_factory=list)


@dataclass
class Scale:
    """A scale: ``low`` and ``high`` map to -1 and 1 (intensity: 0 and 1), or ``labels`` maps words."""

    column: str = MISSING
    low: float = -1.0
    high: float = 1.0
    labels: dict[str, float] | None = None


@dataclass
class EmotionRule:
    """Emotion labels: ``labels`` maps those of the corpus to data/emotions.yaml; null stores no label."""

    column: str | None = None
    labels: dict[str, str | None] = field(default_factory=dict)
    origin: str = "human"
    intensity: Scale | None = None
    valence: Scale | None = None
    arousal: Scale | None = None
    dominance: Scale | None = None


@dataclass
class SoundRule:
    """For the layout `sound`: the whole clip is one nonverbal sound, whose label is in ``column``."""

    column: str = MISSING
    tags: dict[str, str] = field(default_factory=dict)
    drop_clip: dict[str, str] = field(default_factory=dict)


@dataclass
class Keep:
    """A filter on a column: a number within ``at_least`` and ``at_most``, or a text in ``one_of``."""

    at_least: float | None = None
    at_most: float | None = None
    one_of: list[str] | None = None


@dataclass
class Declaration:
    """One corpus.

    ``uses`` lists the permitted uses, ``splits`` maps the splits of this project to those of the corpus.
    """

    name: str = MISSING
    title: str = MISSING
    licence: str = MISSING
    commercial_ok: bool = MISSING
    uses: list[str] = MISSING
    card: str = MISSING
    """The page that documents the corpus."""
    layout: str = "clip"
    language: str = "en"
    hub: Hub | None = None
    files: Files | None = None
    splits: dict[str, str] = field(default_factory=lambda: {"train": "train"})
    columns: dict[str, str] = field(default_factory=dict)
    """Every documented column with its type."""
    roles: Roles = field(default_factory=Roles)
    names: Names | None = None
    texts: dict[str, str] | None = None
    """Texts by the value of the text column, where that column holds sentence codes."""
    marks: Marks = field(default_factory=Marks)
    emotion: EmotionRule = field(default_factory=EmotionRule)
    sound: SoundRule | None = None
    keep: dict[str, Keep] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return the declaration as plain values without the later fields that are not set.

        The hash of a prepared data set includes it, and a new field must not change hashes of older ones.
        """
        content = asdict(self)
        for part, names in LATER_FIELDS.items():
            for name in names:
                if content[part] is not None and content[part][name] is None:
                    del content[part][name]
        return content

    def with_labels(self, labels: Mapping[str, str | None]) -> "Declaration":
        """Return the declaration with more labels, which are mapped to emotions, to tags, or to nothing."""
        tags = {label: name for label, name in labels.items() if name in known_tags()}
        emotions = {label: name for label, name in labels.items() if label not in tags}
        return replace(
            self,
            marks=replace(self.marks, tags=self.marks.tags | tags),
            emotion=replace(self.emotion, labels=self.emotion.labels | emotions),
        )

    def problems(self) -> list[str]:
        """Return everything that is not valid, one sentence each."""
        problems = []
        if self.layout not in LAYOUTS:
            problems.append(f"layout: {self.layout} is unknown; choose one of {', '.join(LAYOUTS)}")
        if (self.hub is None) == (self.files is None):
            problems.append("give either hub or files, which define where the rows are")
        problems += [
            f"uses: {use} is unknown; choose from {', '.join(CorpusUse)}"
            for use in self.uses
            if use not in list(CorpusUse)
        ]
        problems += self._place_problems()
        expressions = [self.marks.pattern, *self.marks.strip, self.names.pattern if self.names else None]
        problems += filter(None, (pattern_problem(pattern) for pattern in expressions if pattern))
        tags = [*self.marks.tags.values(), *(self.sound.tags.values() if self.sound else ())]
        problems += [f"({tag}) is not a tag of data/tags.yaml" for tag in tags if tag not in known_tags()]
        emotions = declaration("data/emotions.yaml")
        labels = (label for label in self.emotion.labels.values() if label and label not in emotions)
        problems += [f"{label} is not in data/emotions.yaml" for label in labels]
        return problems

    def _place_problems(self) -> list[str]:
        """Return which names lead out of the corpus: a declaration may come from someone else."""
        problems = []
        if not is_plain_name(self.name):
            problems.append(f"name: {self.name} must be a plain folder name")
        if self.hub is not None and not HUB_ID.fullmatch(self.hub.path):
            problems.append(f"hub.path: {self.hub.path} must be the id of a data set on the Hub, owner/name")
        patterns = dict((self.hub.data_files or {}) if self.hub else {})
        if self.files is not None:
            names = ("audio", "manifest", "sound", "archives")
            stated = {name: getattr(self.files, name) for name in names}
            patterns |= {name: pattern for name, pattern in stated.items() if pattern}
        return problems + [
            f"{name}: {pattern} must lie inside of the corpus, as a relative path without `..`"
            for name, joined in patterns.items()
            for pattern in joined.split("|")
            if not is_relative(pattern) or "::" in pattern or "://" in pattern
        ]


def read_declaration(corpus: str) -> Declaration:
    """Return the declaration of a shipped corpus by its name, or of any other by the path of its YAML file.

    Raises :class:`UserError` when there is no such declaration, and with every problem of an invalid one.
    """
    if is_declaration_file(corpus):
        return _read_declaration_file(Path(corpus))
    if corpus not in corpora():
        raise UserError(
            f"there is no corpus {corpus!r}; choose one of demo, recordings, {', '.join(corpora())}, "
            "or give the path of a declaration: data.corpus=path/to/corpus.yaml"
        )
    return parse_declaration(corpus, declaration(f"data/corpora/{corpus}.yaml"))


def _read_declaration_file(path: Path) -> Declaration:
    if not path.is_file():
        raise UserError(f"data.corpus={path}: there is no such file; give the YAML declaration of a corpus")
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not YAML: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a corpus declaration: it must be a mapping of keys; see data/corpora")
    return parse_declaration(path.stem, content, str(path))


def parse_declaration(name: str, content: dict[str, Any], file: str = "") -> Declaration:
    """Return the typed declaration. Raises :class:`UserError` with every problem, naming the ``file``."""
    file = file or f"data/corpora/{name}.yaml"
    try:
        parsed = typed(Declaration, {"name": name} | content)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(f"{file}: {one_line(error)}") from error
    if problems := parsed.problems():
        raise UserError("\n".join([f"{file}:", *(f"  - {problem}" for problem in problems)]))
    return parsed
