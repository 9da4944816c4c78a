"""Keys of `python -m dia.bench suite` and `python -m dia.bench compare`."""

from dataclasses import dataclass, field

from dia.config.checks import below
from dia.config.choices import Device, coerce_choices

GPU_VARIANTS = (
    "dia-bf16-compiled",
    "dia-int8-compiled",
    "dia-fp8-compiled",
    "dia-bf16",
    "transformers-bf16",
    "transformers-bf16-compiled",
)


@dataclass
class BenchSuiteConfig:
    """Everything that `python -m dia.bench suite` reads."""

    model: str = "dia_1_6b"
    """Shape of the random weights, a file of `configs/model/`."""
    device: Device = Device.cuda
    """Device that is measured."""
    minutes: float = 7.0
    """Time of all parts together; parts that do not fit are left out."""
    part_seconds: float = 90.0
    """Time of a part; one that takes longer is stopped."""
    variants: list[str] = field(default_factory=lambda: list(GPU_VARIANTS))
    """Variants that are decoded with, each a part; batches are measured with the first."""
    batches: list[int] = field(default_factory=lambda: [16, 64])
    """Texts of a batch, each size a part."""
    steps: int = 64
    """Decoder steps of a generation, and optimizer steps of training (a quarter of them)."""
    seconds: float = 2.0
    """Seconds of audio from text to waveform."""
    codec: str = ""
    """The codec; empty is DAC at 44.1 kHz with random weights."""
    clips: int = 24
    """Clips of an optimizer step."""
    precision: str = "bf16-mixed"
    """Precision of training, as of `python -m dia.bench train`."""
    out: str = "bench-suite.json"
    """JSON file of the results, written after each part."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        minima = (("minutes", 0.1), ("part_seconds", 1), ("steps", 16), ("seconds", 0.1), ("clips", 1))
        problems = [
            problem for name, least in minima for problem in below(least, [(name, getattr(self, name))])
        ]
        problems += below(2, [("batches", min(self.batches, default=2))])
        if not self.variants:
            problems.append("variants is empty; name one, such as dia-bf16")
        return problems


@dataclass
class BenchCompareConfig:
    """Everything that `python -m dia.bench compare` reads."""

    files: list[str] = field(default_factory=list)
    """Two JSON files of `dia-bench`; words without `=` on the command line."""

    def problems(self) -> list[str]:
        """Return what is missing."""
        return [] if len(self.files) == 2 else [f"{len(self.files)} files are given; name two JSON files"]
