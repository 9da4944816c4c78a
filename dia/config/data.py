"""Settings of data preparation: the source, how it is cut into clips, storage and labels."""

from dataclasses import dataclass, field
from pathlib import Path

from dia.config.choices import (
    RAISE,
    CorpusUse,
    Device,
    EmotionLabels,
    LicencePolicy,
    NonverbalLabels,
    UnknownLabel,
    coerce_choices,
)
from dia.config.recordings import RecordingsConfig
from dia.resources import resource

DECLARATION_SUFFIXES = (".yaml", ".yml")


def corpora() -> list[str]:
    """Return the names of all declared corpora (data/corpora/*.yaml), sorted."""
    return sorted(path.stem for path in resource("data/corpora").glob("*.yaml"))


def is_declaration_file(corpus: str) -> bool:
    """Return whether ``data.corpus`` is the path of a declaration, not the name of a shipped corpus."""
    return corpus.endswith(DECLARATION_SUFFIXES)


@dataclass
class DemoConfig:
    """The demo corpus: dialogues that two text-to-speech voices speak."""

    clips: dict[str, int] = field(default_factory=lambda: {"train": 300, "validation": 24, "test": 24})
    """Dialogues per split."""
    turns: list[float] = field(default_factory=lambda: [0.2, 0.8])
    """Shares of the dialogues that have one turn, two turns and so on."""
    tags: list[str] = field(default_factory=lambda: ["laughs", "coughs", "sighs", "humming"])
    """Nonverbal tags that occur."""
    tag_rate: float = 0.4
    """Probability that a turn has a nonverbal."""
    style_rate: float = 0.3
    """Probability that a turn is spoken with an emotion."""
    seed: int = 0
    """Seed of the dialogues."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [
            f"data.demo.{name}={getattr(self, name)} is a probability; choose 0 to 1"
            for name in ("tag_rate", "style_rate")
            if not 0 <= getattr(self, name) <= 1
        ]
        problems += [
            f"data.demo.clips.{split}={count} must be 1 or more"
            for split, count in self.clips.items()
            if count < 1
        ]
        if min(self.turns, default=0) < 0 or sum(self.turns) <= 0:
            problems.append(
                f"data.demo.turns={self.turns} are shares of dialogues of one, two, ... turns; "
                "one must be above 0"
            )
        if missing := {"train", "validation", "test"} - self.clips.keys():
            problems.append(f"data.demo.clips lacks {sorted(missing)}; give each split a number of clips")
        return problems


@dataclass
class DialogueLimits:
    """How turns of a conversation are joined to clips. Lengths are in seconds."""

    shortest: float = 5.0
    """Shorter clips are dropped."""
    wanted: float = 20.0
    """Turns are joined until a clip has this length."""
    longest: float = 35.0
    """Longer clips are dropped."""
    pause: float = 2.0
    """A longer pause between two turns ends a clip."""
    speakers: int = 2
    """Most speakers in a clip."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        if 0 <= self.shortest <= self.wanted <= self.longest and self.pause >= 0 and self.speakers >= 1:
            return []
        return [
            "data.dialogue must have 0 <= shortest <= wanted <= longest, pause >= 0, speakers >= 1; "
            "usual are 5, 20, 35, 2, 2"
        ]


@dataclass
class SourceConfig:
    """Which source is read."""

    corpus: str = "demo"
    """`demo`, `recordings`, a name of data/corpora (`local` is your own folder with a table), or the path of
    a YAML declaration of your own."""
    path: str = ""
    """Folder of the recordings, of `local`, or of a local copy of a corpus; empty reads from the Hugging Face
    Hub."""
    licence: LicencePolicy = LicencePolicy.any
    """`commercial` refuses data whose licence does not allow commercial use."""
    use: CorpusUse = CorpusUse.train
    """Purpose of the prepared data; a corpus declares which purposes it allows."""
    unknown: UnknownLabel = RAISE
    """What happens to a label without a mapping: an error, or the tag or the clip is dropped."""
    streaming: bool = False
    """Read a corpus of the Hub without downloading all of it."""
    limit: int = 0
    """Rows of a corpus that are read; 0 reads all."""
    demo: DemoConfig = field(default_factory=DemoConfig)
    recordings: RecordingsConfig = field(default_factory=RecordingsConfig)
    dialogue: DialogueLimits = field(default_factory=DialogueLimits)

    def __post_init__(self) -> None:
        coerce_choices(self)


@dataclass
class DataConfig(SourceConfig):
    """Which data are prepared, and how they are stored."""

    name: str = "demo"
    """Name of the prepared data set's folder."""
    root: str = "prepared"
    """Folder of prepared data sets, relative to the working directory."""
    sample_rate: int = 16_000
    """Sample rate of the stored audio in hertz."""
    tokens: bool = True
    """Store codec codes. The training of a codec needs none."""
    keep_audio: bool = True
    """Store the audio beside its codes."""
    shard_units: int = 64
    """Units (dialogues, rows, recordings) per shard. A shard is prepared, or lost, as a whole."""
    device: Device = Device.cpu
    """Device of the codec in preparation."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        known = ("demo", "recordings", *corpora())
        if is_declaration_file(self.corpus):
            if not Path(self.corpus).is_file():
                problems.append(
                    f"data.corpus={self.corpus}: there is no such file; give the YAML declaration of a corpus"
                )
        elif self.corpus not in known:
            problems.append(f"data.corpus={self.corpus} is unknown; choose one of {', '.join(known)}")
        if self.limit < 0:
            problems.append(f"data.limit={self.limit} must be 0 (all) or more")
        if self.corpus == "recordings":
            problems += self.recordings.problems()
        if self.corpus == "demo":
            problems += self.demo.problems()
        problems += self.dialogue.problems()
        if self.shard_units < 1:
            problems.append(f"data.shard_units={self.shard_units} must be 1 or more; usual is 64")
        if self.sample_rate < 8000:
            problems.append(
                f"data.sample_rate={self.sample_rate} is too low for speech; usual are 16000 to 44100"
            )
        return problems


@dataclass
class LabelsConfig:
    """Which labels the model sees, and how often clips with rare labels are drawn."""

    nonverbals: NonverbalLabels = NonverbalLabels.inline
    """`inline` writes nonverbals into the text as `(laughs)`; `off` leaves them out."""
    emotion: EmotionLabels = EmotionLabels.off
    """`off`; `prefix` writes `{happy}` before a turn's words; `prompt` puts a clip of the same voices and
    emotion before the clip."""
    emotion_dropout: float = 0.3
    """Probability that a turn's prefix, or a clip's prompt, is left out, so that the model also works without
    it."""
    balance: float = 0.0
    """0 draws labels as often as they occur, 1 draws all equally often: a clip's weight is (most frequent /
    its rarest label) ** balance."""
    tagged_share: float | None = 0.5
    """Share of drawn clips that have a nonverbal; null leaves it as in the data."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [
            f"labels.{name}={getattr(self, name)} is a share; choose 0 to 1"
            for name in ("emotion_dropout", "balance")
            if not 0 <= getattr(self, name) <= 1
        ]
        if self.tagged_share is not None and not 0 < self.tagged_share < 1:
            problems.append(
                f"labels.tagged_share={self.tagged_share} is a share; choose above 0 and below 1, or null"
            )
        return problems
