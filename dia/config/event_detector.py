"""How a detector of nonverbal sounds is trained (`task=event_detector`)."""

from dataclasses import dataclass, field

from dia.config.checks import not_positive

TAGS = ["laughs", "coughs", "sighs", "clears throat", "sneezes", "groans", "screams"]


@dataclass
class EventDetectorTraining:
    """Recordings, the clips that are mixed from them, and the head that is trained on the clips."""

    folder: str = ""
    """Folder with a folder of recordings for each source of ``labels`` (scripts/recordings/sounds.sh)."""
    labels: str = "eval/detectors/real.yaml"
    """Labels of the recordings: a shipped declaration, or the path of one."""
    tags: list[str] = field(default_factory=lambda: list(TAGS))
    """Tags to detect; recordings of other tags are not used."""
    held_out: float = 0.4
    """Share of the people whose recordings measure the validation loss and calibrate the trained head. A tag
    is measurable only when ten of its recordings are held out."""
    clips: int = 800
    """Clips of running speech with sounds that are mixed for training."""
    clip_seconds: float = 27.0
    """Length of a training clip; the encoder reads 30 s at a time, whatever the length."""
    most_sounds: int = 6
    """Most sounds in a training clip; the number is drawn uniformly from 0."""
    channels: float = 0.7
    """Probability that a training recording passes through a random channel (speed, room, bandwidth,
    noise)."""
    width: int = 96
    """Features of the head."""
    layers: int = 3
    """Blocks of the head."""
    dropout: float = 0.2
    """Dropout of the head."""
    batch_size: int = 16
    """Windows in a batch."""
    window_seconds: float = 9.0
    """Length of a window of a batch."""
    positive_weight: float = 3.0
    """Weight of a frame with the sound beside one without."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        numbers = (
            ("clips", self.clips),
            ("clip_seconds", self.clip_seconds),
            ("most_sounds", self.most_sounds),
            ("width", self.width),
            ("layers", self.layers),
            ("batch_size", self.batch_size),
            ("window_seconds", self.window_seconds),
            ("positive_weight", self.positive_weight),
        )
        problems = not_positive((f"event_detector.{name}", number) for name, number in numbers)
        if not self.folder:
            problems.append(
                "event_detector.folder names no recordings; give a folder that scripts/recordings/sounds.sh "
                "has filled"
            )
        if not self.tags:
            problems.append("event_detector.tags is empty; name the tags to detect")
        if not 0 <= self.channels <= 1:
            problems.append(f"event_detector.channels={self.channels} is a probability; choose 0 to 1")
        if not 0 <= self.dropout < 1:
            problems.append(f"event_detector.dropout={self.dropout} must be 0 or more, and below 1")
        if not 0 < self.held_out < 1:
            problems.append(f"event_detector.held_out={self.held_out} must be between 0 and 1")
        if self.window_seconds > self.clip_seconds:
            problems.append(
                f"event_detector.window_seconds={self.window_seconds} must be at most clip_seconds="
                f"{self.clip_seconds}"
            )
        return problems
