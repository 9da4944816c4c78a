"""Settings for labelling raw recordings: the models, and the thresholds applied to their output."""

from dataclasses import dataclass, field

from dia.config.choices import Diarization, EmotionEstimate, coerce_choices


@dataclass
class Thresholds:
    """Decisions on the models' output. Changing one does not run a model again."""

    speech: float = 0.5
    """Probability of Silero VAD above which speech begins; it ends .15 lower."""
    shortest_silence: float = 0.3
    """Seconds; a shorter gap does not end speech."""
    shortest_speech: float = 0.25
    """Seconds; shorter speech is dropped."""
    same_voice: float = 0.72
    """Cosine similarity of GE2E embeddings above which two stretches have one speaker: .9 within the demo
    voices, .53 across."""
    turn_pause: float = 0.6
    """Seconds of pause at which a turn may be cut into two clips."""
    events: dict[str, float] = field(
        default_factory=lambda: {"laughs": 0.3, "coughs": 0.3, "sneezes": 0.3, "screams": 0.3}
    )
    """Score, by tag, above which a sound counts as this nonverbal; a tag without a score is never detected.
    See `calibration`."""
    snr_db: float = 10.0
    """Lowest signal-to-noise ratio of a clip in decibels."""
    mos: float = 2.5
    """Lowest mean opinion score of a clip, as DistillMOS estimates it."""
    agreement: float = 0.6
    """Lowest mean word probability; with a second recogniser, the lowest share of words on which both agree.
    """
    clipped: float = 0.001
    """Highest share of samples at full scale."""


@dataclass
class RecordingsConfig:
    """How raw recordings become labelled dialogues."""

    asr: str = ""
    """Folder of a Whisper model for faster-whisper; empty takes the tiny English one that is installed with
    the extra `evaluation`."""
    second_asr: str = ""
    """Another Whisper model, whose words are compared with the first one's; empty uses the first one's word
    probabilities."""
    diarization: Diarization = Diarization.clusters
    """`clusters` of speaker embeddings (offline), or `pyannote` (its model needs a token in HF_TOKEN)."""
    pyannote: str = ""
    """Python of an environment with pyannote.audio, which cannot be installed beside this package."""
    emotion: EmotionEstimate = EmotionEstimate.prosody
    """`prosody` (arousal from pitch, energy and speech rate) or `off`."""
    mos: bool = True
    """Estimate the mean opinion score with DistillMOS."""
    calibration: str = ""
    """A prepared data set with known nonverbals, on which event thresholds are chosen; empty uses
    `thresholds.events`."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    loudness: float | None = -23.0
    """Loudness in LUFS that every recording is normalized to; null leaves it unchanged."""
    licence: str = "unknown"
    """Licence of the recordings, stored with every row."""
    commercial_ok: bool = False
    """Whether the licence allows commercial use."""
    splits: dict[str, float] = field(default_factory=lambda: {"train": 0.9, "validation": 0.05, "test": 0.05})
    """Shares of recordings by split, chosen by the hash of a recording's name."""
    measures: str = "prepared/measures"
    """Folder that caches the models' output, by the SHA-256 of each recording."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        if self.diarization is Diarization.pyannote and not self.pyannote:
            problems.append(
                "data.recordings.diarization=pyannote needs data.recordings.pyannote=ENV/bin/python, "
                "of an environment with pyannote.audio"
            )
        if abs(sum(self.splits.values()) - 1) > 1e-6 or min(self.splits.values(), default=-1) < 0:
            problems.append(f"data.recordings.splits={self.splits} must be shares that add up to 1")
        limits = self.thresholds
        shares = {name: getattr(limits, name) for name in ("speech", "same_voice", "agreement", "clipped")}
        shares |= {f"events.{tag}": limit for tag, limit in limits.events.items()}
        return problems + [
            f"data.recordings.thresholds.{name}={value} is a share; choose 0 to 1"
            for name, value in shares.items()
            if not 0 <= value <= 1
        ]
