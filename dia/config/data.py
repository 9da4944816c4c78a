"""Settings of data preparation: the source, how it is cut into clips, storage and labels."""

from dataclasses import dataclass, field
from pathlib import Path

from dia.config.choices import (
    RAISE,
    RAISE_TOO_LONG,
    CorpusUse,
    Device,
    EmotionLabels,
    LicencePolicy,
    NonverbalLabels,
    TooLong,
    UnknownLabel,
    coerce_choices,
)
from dia.config.preference_data import PreferenceDataConfig
from dia.config.recordings import RecordingsConfig
from dia.files import is_plain_name
from dia.resources import declaration, resource

SYNTHESIZED = ("demo", "open_english")
RECORDINGS, PREPARED = "recordings", "prepared"  # raw recordings; a data set that was prepared before
PREFERENCES = "preferences"  # pairs of takes
DECLARATION_SUFFIXES = (".yaml", ".yml")


def corpora() -> list[str]:
    """Return the names of all declared corpora (data/corpora/*.yaml), sorted."""
    return sorted(path.stem for path in resource("data/corpora").glob("*.yaml"))


def is_declaration_file(corpus: str) -> bool:
    """Return whether ``data.corpus`` is the path of a declaration, not the name of a shipped corpus."""
    return corpus.endswith(DECLARATION_SUFFIXES)


@dataclass
class SynthesisConfig:
    """A synthesized corpus: dialogues that text-to-speech voices speak."""

    clips: dict[str, int] = field(default_factory=lambda: {"train": 300, "validation": 24, "test": 48})
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

    def problems(self, key: str) -> list[str]:
        """Return which values are out of range, one sentence per problem; ``key`` is this group's name."""
        problems = [
            f"{key}.{name}={getattr(self, name)} is a probability; choose 0 to 1"
            for name in self.probabilities()
            if not 0 <= getattr(self, name) <= 1
        ]
        problems += [
            f"{key}.clips.{split}={count} must be 1 or more"
            for split, count in self.clips.items()
            if count < 1
        ]
        if min(self.turns, default=0) < 0 or sum(self.turns) <= 0:
            problems.append(
                f"{key}.turns={self.turns} are shares of dialogues of one, two, ... turns; "
                "one must be above 0"
            )
        if missing := {"train", "validation", "test"} - self.clips.keys():
            problems.append(f"{key}.clips lacks {sorted(missing)}; give each split a number of clips")
        return problems

    def probabilities(self) -> tuple[str, ...]:
        """Return the names of the fields that are probabilities."""
        return ("tag_rate", "style_rate")


@dataclass
class DemoConfig(SynthesisConfig):
    """The demo corpus: a small grammar and two voices."""


@dataclass
class OpenEnglishConfig(SynthesisConfig):
    """The corpus of open vocabulary: sentences of books and dictionaries, everyday speech, many voices."""

    slow_voices: float = 0.5
    """Probability that a dialogue is spoken by voices of Kokoro, which need .7 seconds of processor time for
    a second of audio (.5 in bfloat16); the others need a twentieth."""
    kokoro_bfloat16: bool = False
    """Whether Kokoro's convolutions run in bfloat16: faster where the processor has instructions for it."""
    recorded_sounds: float = 0.8
    """Probability that a nonverbal is a recording of a person, where data/human_sounds has its tag."""
    held_out_voices: float = 0.25
    """Share of the test dialogues that are spoken by voices which training lacks."""
    voices: list[str] = field(default_factory=list)
    """Voices of all splits, such as `[af_nova]`; empty uses the lists of data/open_english/voices.yaml."""

    def probabilities(self) -> tuple[str, ...]:
        """Return the names of the fields that are probabilities."""
        return (*super().probabilities(), "slow_voices", "recorded_sounds", "held_out_voices")


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
    """`demo`, `open_english`, `recordings`, a name of data/corpora (`local` is your own folder with a table),
    the path of a YAML declaration of your own, `prepared`: a data set that was prepared before, for
    another codec or sample rate, or `preferences`: pairs of takes (`data.preferences`)."""
    path: str = ""
    """Folder of the recordings, of `local` (or one table in it), of a prepared data set, or of a local copy
    of a corpus; empty reads from the Hugging Face Hub."""
    outside: bool = False
    """Permit a table, or links in the folder, to name files outside of the folder."""
    labels: dict[str, str | None] = field(default_factory=dict)
    """Your labels by what they mean: an emotion of data/emotions.yaml, a tag of data/tags.yaml, or null for
    nothing: `data.labels={joy: happy, giggle: laughs}`. Letter case does not matter."""
    held_out: float = 0.05
    """Share of the training clips that become the validation split of a corpus without one, by speaker or
    recording."""
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
    speed_factors: list[float] = field(default_factory=list)
    """Each training clip occurs once more at each of these speeds, as other voices: `[0.9, 1.1]`."""
    demo: DemoConfig = field(default_factory=DemoConfig)
    open_english: OpenEnglishConfig = field(default_factory=OpenEnglishConfig)
    recordings: RecordingsConfig = field(default_factory=RecordingsConfig)
    preferences: PreferenceDataConfig = field(default_factory=PreferenceDataConfig)
    dialogue: DialogueLimits = field(default_factory=DialogueLimits)

    def __post_init__(self) -> None:
        coerce_choices(self)

    @property
    def synthesis(self) -> SynthesisConfig:
        """The settings of the synthesized corpus that ``corpus`` names."""
        return self.open_english if self.corpus == "open_english" else self.demo

    def label_problems(self) -> list[str]:
        """Return which of `labels` mean nothing that is known, one sentence per problem."""
        emotions, tags = declaration("data/emotions.yaml"), declaration("data/tags.yaml")
        return [
            f"data.labels: {label} means {name}, which is neither an emotion ({', '.join(emotions)}) nor a "
            f"nonverbal ({', '.join(tags)}); choose one of them, or null"
            for label, name in self.labels.items()
            if name is not None and name not in emotions and name not in tags
        ]


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
    """Device of the codec, and of Kokoro's voices, in preparation."""
    too_long: TooLong = RAISE_TOO_LONG
    """What happens to clips that are too long for the model: an error that names the texts, or `skip`, which
    drops long texts and long audio."""
    max_text_bytes: int | None = None
    """Longest text in bytes; null takes the model's (`model.encoder.max_positions`)."""
    max_frames: int | None = None
    """Longest audio in codec frames; null takes what the model and a batch hold."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        known = (*SYNTHESIZED, RECORDINGS, PREPARED, PREFERENCES, *corpora())
        if is_declaration_file(self.corpus):
            if not Path(self.corpus).is_file():
                problems.append(
                    f"data.corpus={self.corpus}: there is no such file; give the YAML declaration of a corpus"
                )
        elif self.corpus not in known:
            problems.append(f"data.corpus={self.corpus} is unknown; choose one of {', '.join(known)}")
        if not is_declaration_file(self.name) and not is_plain_name(self.name):
            problems.append(
                f"data.name={self.name!r} must be a plain folder name; data.root=FOLDER is where it lies"
            )
        if self.limit < 0:
            problems.append(f"data.limit={self.limit} must be 0 (all) or more")
        if self.corpus == RECORDINGS:
            problems += self.recordings.problems()
        if self.corpus == PREPARED and not self.path:
            problems.append("data.corpus=prepared needs data.path=FOLDER, a prepared data set with its audio")
        if self.corpus == PREFERENCES:
            problems += self.preferences.problems()
        if self.corpus in SYNTHESIZED:
            problems += self.synthesis.problems(f"data.{self.corpus}")
        problems += self.dialogue.problems() + self.label_problems()
        if not all(0.5 <= factor <= 2 and factor != 1 for factor in self.speed_factors):
            problems.append(
                f"data.speed_factors={list(self.speed_factors)} must be 0.5 to 2 and not 1; "
                "usual are 0.9 and 1.1"
            )
        if not 0 <= self.held_out < 1:
            problems.append(f"data.held_out={self.held_out} is a share; choose 0 to below 1 (usual .05)")
        for name in ("max_text_bytes", "max_frames"):
            if (value := getattr(self, name)) is not None and value < 1:
                problems.append(f"data.{name}={value} must be 1 or more, or null")
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
    voice_prompt: float = 0.0
    """Probability that a clip of the same voices precedes a clip as its prompt, so that the model learns to
    continue in the voices of a prompt. `emotion=prompt` has its own probability, 1 - `emotion_dropout`."""
    balance: float = 0.0
    """0 draws labels as often as they occur, 1 draws all equally often: a clip's weight is (most frequent /
    its rarest label) ** balance."""
    tagged_share: float | None = 0.5
    """Share of drawn clips that have a nonverbal; null leaves it as in the data."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    @property
    def prompt_probability(self) -> float:
        """The probability that a clip of the same voices precedes a clip."""
        return 1 - self.emotion_dropout if self.emotion == EmotionLabels.prompt else self.voice_prompt

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [
            f"labels.{name}={getattr(self, name)} is a share; choose 0 to 1"
            for name in ("emotion_dropout", "voice_prompt", "balance")
            if not 0 <= getattr(self, name) <= 1
        ]
        if self.tagged_share is not None and not 0 < self.tagged_share < 1:
            problems.append(
                f"labels.tagged_share={self.tagged_share} is a share; choose above 0 and below 1, or null"
            )
        return problems
