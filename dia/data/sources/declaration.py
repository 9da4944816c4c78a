"""The schema of corpus declarations: one YAML file per corpus that defines how a row becomes a labelled clip.

The shipped declarations are `data/corpora/*.yaml`; any other file is used by its path
(`data.corpus=path/to/my_corpus.yaml`). A declaration lists the columns of the corpus as its card documents
them, the role of each column, and how its labels map to the tags and emotions of this project. A missing
column and a label without a mapping are errors.

The fields of a declaration enter the hash of a prepared data set: renaming one invalidates prepared data.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dia.config.choices import CorpusUse
from dia.config.data import corpora, is_declaration_file
from dia.dialogue.tags import known_tags
from dia.errors import UserError, one_line
from dia.resources import declaration

LAYOUTS = ("clip", "script", "conversation", "sound")


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


@dataclass
class Roles:
    """The column for each role.

    ``cuts`` holds the sample range [first, last) of each turn, ``region`` the start and end of an event in
    seconds.
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
        tags = [*self.marks.tags.values(), *(self.sound.tags.values() if self.sound else ())]
        problems += [f"({tag}) is not a tag of data/tags.yaml" for tag in tags if tag not in known_tags()]
        emotions = declaration("data/emotions.yaml")
        labels = (label for label in self.emotion.labels.values() if label and label not in emotions)
        problems += [f"{label} is not in data/emotions.yaml" for label in labels]
        return problems


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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a corpus declaration: it must be a mapping of keys; see data/corpora")
    return parse_declaration(path.stem, content, str(path))


def parse_declaration(name: str, content: dict[str, Any], file: str = "") -> Declaration:
    """Return the typed declaration. Raises :class:`UserError` with every problem, naming the ``file``."""
    file = file or f"data/corpora/{name}.yaml"
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Declaration), {"name": name}, content)
        parsed = cast(Declaration, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"{file}: {one_line(error)}") from error
    if problems := parsed.problems():
        raise UserError("\n".join([f"{file}:", *(f"  - {problem}" for problem in problems)]))
    return parsed
