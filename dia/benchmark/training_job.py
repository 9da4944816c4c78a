"""One training run that is measured: what it is asked for and what it finds, as JSON between processes."""

from dataclasses import asdict, dataclass, field
from typing import Any

from dia.benchmark.training_data import Lengths, MadeUpClips
from dia.network import DecoderConfig, DiaConfig, EncoderConfig

OURS, THEIRS, THEIRS_BY_LENGTH = "dia", "transformers", "transformers-by-length"
SEED = 0
LEARNING_RATE, BETAS, WEIGHT_DECAY, CLIP_NORM = 3e-4, (0.9, 0.95), 0.01, 1.0


@dataclass(frozen=True)
class TrainingJob:
    """``who`` trains, for ``steps`` steps of ``per_step`` clips, a constant learning rate.

    With ``equal`` objectives and batches are made the same: no weights of channels, no dropout of texts, the
    same clips in each batch, no weight decay; and the loss of each step is told.
    """

    who: str
    model: dict[str, Any]
    precision: str
    steps: int
    per_step: int
    lengths: Lengths
    threads: int
    equal: bool = False

    @property
    def config(self) -> DiaConfig:
        """The network's shape."""
        parts = {
            "encoder": EncoderConfig(**self.model["encoder"]),
            "decoder": DecoderConfig(**self.model["decoder"]),
        }
        return DiaConfig(**self.model | parts)

    @property
    def clips(self) -> MadeUpClips:
        """As many clips as the steps take, once."""
        return MadeUpClips(self.steps * self.per_step, self.lengths, self.config, SEED)

    @property
    def equal_batches(self) -> list[list[int]]:
        """The clips of each batch where batches are the same."""
        return [list(range(step * self.per_step, (step + 1) * self.per_step)) for step in range(self.steps)]

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "TrainingJob":
        """Read what :meth:`as_plain` gave."""
        return cls(**plain | {"lengths": Lengths(**plain["lengths"])})


@dataclass
class Trained:
    """What a run found: when each step ended, the codec frames and clips that it held, the loss of each if
    asked for.
    """

    ends: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    peak: float = 0.0

    def frames_per_second(self, warm: int) -> float:
        """Return codec frames, without padding, a second, over the steps after the first ``warm``."""
        return sum(self.frames[warm:]) / (self.ends[-1] - self.ends[warm - 1])
