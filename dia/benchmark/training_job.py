"""A measured training run: its job and its measurement, exchanged as JSON between processes."""

from dataclasses import asdict, dataclass, field
from typing import Any

from dia.benchmark.training_data import LengthDistribution, SyntheticClips
from dia.network import DecoderConfig, DiaConfig, EncoderConfig

DIA, DIA_PACKED = "dia", "dia-packed"
TRANSFORMERS, TRANSFORMERS_BY_LENGTH = "transformers", "transformers-by-length"
OURS = (DIA, DIA_PACKED)
SEED = 0
LEARNING_RATE, BETAS, WEIGHT_DECAY, CLIP_NORM = 3e-4, (0.9, 0.95), 0.01, 1.0


@dataclass(frozen=True)
class TrainingJob:
    """Training by ``implementation`` for ``steps`` steps of ``per_step`` clips, at a constant learning rate.

    With ``equal``, objective and batches are the same for all implementations (no channel weights, no text
    dropout, no weight decay), and the loss of each step is recorded.
    """

    implementation: str
    model: dict[str, Any]
    precision: str
    steps: int
    per_step: int
    lengths: LengthDistribution
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
    def clips(self) -> SyntheticClips:
        """The clips of all steps; each is used once."""
        return SyntheticClips(self.steps * self.per_step, self.lengths, self.config, SEED)

    @property
    def equal_batches(self) -> list[list[int]]:
        """The clip indices of each batch, with ``equal``."""
        return [list(range(step * self.per_step, (step + 1) * self.per_step)) for step in range(self.steps)]

    def to_dict(self) -> dict[str, Any]:
        """Return the job as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "TrainingJob":
        """Return the job of :meth:`to_dict`."""
        return cls(**plain | {"lengths": LengthDistribution(**plain["lengths"])})


@dataclass
class TrainingMeasurement:
    """End time, codec frames and clips of each step, its loss and operations where recorded, and peak memory
    in bytes."""

    ends: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    peak: float = 0.0
    flops: list[float] = field(default_factory=list)

    def frames_per_second(self, warm: int) -> float:
        """Return codec frames (without padding) a second, after the first ``warm`` steps."""
        return sum(self.frames[warm:]) / (self.ends[-1] - self.ends[warm - 1])

    def flops_per_second(self, warm: int) -> float:
        """Return operations of the model a second, after the first ``warm`` steps."""
        return sum(self.flops[warm:]) / (self.ends[-1] - self.ends[warm - 1])
