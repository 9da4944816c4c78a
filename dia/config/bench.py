"""Keys of `python -m dia.bench`, and of its commands `prepare`, `train` and `serve`."""

import os
from dataclasses import dataclass, field

from dia.config.checks import below, unknown
from dia.config.choices import BF16_MIXED, FULL_PRECISION, Device, Precision, coerce_choices
from dia.config.codec import CodecConfig
from dia.config.model import DiaConfig
from dia.resources import DEFAULT_CHECKPOINT

VARIANTS = (
    "dia-fp32",
    "dia-bf16",
    "dia-int8",
    "dia-int4",
    "dia-fp32-compiled",
    "dia-int8-compiled",
    "transformers-fp32",
    "transformers-bf16",
    "transformers-fp32-compiled",
    "transformers-bf16-compiled",
)
TRAINERS = ("dia", "dia-packed", "transformers", "transformers-by-length")
DAC_FILE = ".pth"


@dataclass
class BenchConfig:
    """Everything that `python -m dia.bench` reads."""

    model: DiaConfig = field(default_factory=DiaConfig)
    """The shape of random weights."""
    weights: str = "random"
    """`random`, or a checkpoint as `python -m dia.generate` opens it."""
    codec: CodecConfig = field(default_factory=lambda: CodecConfig(""))
    """The codec; an empty name takes the checkpoint's, and for random weights DAC at 44.1 kHz with random
    weights."""
    device: Device = Device.cpu
    """Device that is measured."""
    threads: int = 0
    """CPU threads; 0 takes all cores that this process may use."""
    variants: list[str] = field(default_factory=lambda: list(VARIANTS))
    """What is measured: implementation, weights, and whether it is compiled, `dia-int8`,
    `transformers-bf16-compiled`."""
    rounds: int = 3
    """Rounds; the variants take turns, and medians are compared."""
    steps: int = 16
    """Decoder steps of a generation, in each round."""
    seconds: float = 1.0
    """Seconds of audio from text to waveform; 0 generates the whole text of a batch and measures nothing
    else."""
    batch: int = 1
    """Texts per batch; above 1 a batch is compared with its texts one by one."""
    memory: bool = True
    """Measure peak memory, each variant in a process of its own."""
    out: str = ""
    """JSON file of the results; empty writes none."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        return [
            problem
            for name, minimum in (("rounds", 1), ("steps", 8), ("seconds", 0), ("batch", 1))
            for problem in below(minimum, [(name, getattr(self, name))])
        ]


@dataclass
class BenchCodec:
    """The codec that is measured."""

    name: str = ""
    """A codec's name or file; empty is DAC at 44.1 kHz with random weights."""


@dataclass
class BenchPrepareConfig:
    """Everything that `python -m dia.bench prepare` reads."""

    codec: BenchCodec = field(default_factory=BenchCodec)
    workers: int = 2
    """Processes of our preparation, and threads of dac's command."""
    growth: bool = True
    """Measure inputs of growing size."""
    seconds: float = 16.0
    """Seconds of audio in the smallest input."""
    scales: list[int] = field(default_factory=lambda: [1, 4, 16])
    """Sizes of the inputs, as multiples of the smallest."""
    dac: bool = True
    """Measure dac's own `encode` command too; it needs a DAC `.pth` file, or random weights."""
    rounds: int = 3
    """Rounds; the two take turns, and medians are compared."""
    dac_seconds: float = 48.0
    """Seconds of audio that both encode, in each round."""
    dac_window: float = 0.0
    """Seconds of dac's windows; 0 encodes every clip as a whole, so that the codes can be compared (dac's
    default is 5)."""
    out: str = ""
    """JSON file of the results; empty writes none."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        minima = (("workers", 1), ("rounds", 1), ("seconds", 2), ("dac_seconds", 2), ("dac_window", 0))
        problems = [
            problem for name, minimum in minima for problem in below(minimum, [(name, getattr(self, name))])
        ]
        problems += below(1, [("scales", min(self.scales, default=0))])
        cores = len(os.sched_getaffinity(0))
        if self.workers > cores:
            problems.append(f"workers={self.workers}, but this process may use {cores} cores; choose no more")
        if self.dac and self.codec.name and not self.codec.name.endswith(DAC_FILE):
            problems.append(
                f"dac's command has no codec {self.codec.name}; give a DAC {DAC_FILE} file, or dac=false"
            )
        return problems


@dataclass
class BenchTrainConfig:
    """Everything that `python -m dia.bench train` reads."""

    model: DiaConfig = field(default_factory=DiaConfig)
    """The shape of random weights."""
    precision: Precision = FULL_PRECISION
    """`32-true` or `bf16-mixed`."""
    implementations: list[str] = field(default_factory=lambda: list(TRAINERS))
    """What is measured: `dia` with clips of similar length, `dia-packed` with clips at random in one row, and
    `transformers` with clips at random and with clips of similar length."""
    rounds: int = 3
    """Rounds; the implementations take turns, and medians are compared."""
    steps: int = 20
    """Optimizer steps of a run."""
    warmup_steps: int = 3
    """Steps of a run that are not timed."""
    clips: int = 6
    """Clips per step, on average."""
    median_frames: float = 260.0
    """Median length of the clips in codec frames: three seconds of DAC."""
    deviation: float = 0.6
    """Standard deviation of the logarithm of the clips' lengths; 0 gives all the same length."""
    loss_curve_steps: int = 12
    """Steps of the runs with equal objectives and batches, whose losses are compared; 0 compares none."""
    threads: int = 0
    """CPU threads; 0 takes all cores that this process may use."""
    out: str = ""
    """JSON file of the results; empty writes none."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [f"model.{problem}" for problem in self.model.problems()]
        minima = {
            "rounds": 1,
            "warmup_steps": 1,
            "clips": 1,
            "deviation": 0,
            "steps": self.warmup_steps + 1,
            "median_frames": 1,
            "loss_curve_steps": 0,
        }
        for name, minimum in minima.items():
            problems += below(minimum, [(name, getattr(self, name))])
        problems += unknown(*(("implementations", name, TRAINERS) for name in self.implementations))
        return problems + unknown(("precision", self.precision, (FULL_PRECISION, BF16_MIXED)))


@dataclass
class BenchServeConfig:
    """Everything that `python -m dia.bench serve` reads."""

    ckpt: str = DEFAULT_CHECKPOINT
    """A shipped model, a run, a checkpoint in any layout, or a Hub id."""
    streams: int = 8
    """Clients that speak at a time, and the server's `capacity`."""
    rounds: int = 5
    """Requests of each client, and requests whose first audio is timed."""
    requests: int = 1000
    """Requests of a mixed load, a tenth of which are cut off and a tenth wrong; 0 leaves it out."""
    out: str = ""
    """JSON file of the results; empty writes none."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        minima = (("streams", 1), ("rounds", 1), ("requests", 0))
        return [problem for name, least in minima for problem in below(least, [(name, getattr(self, name))])]
