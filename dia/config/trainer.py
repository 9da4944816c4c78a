"""The trainer, batches, curriculum and logger of a run."""

from dataclasses import dataclass

from dia.config.checks import below, not_positive
from dia.config.choices import (
    FULL_PRECISION,
    Accelerator,
    ActivationCheckpointing,
    Precision,
    Strategy,
    WandbMode,
    coerce_choices,
)

FIRST_CHANNEL_WEIGHT = 4.0  # weight of channel 0 in the loss; the other channels have 1


@dataclass
class TrainerConfig:
    """How long, where and with which precision training runs."""

    accelerator: Accelerator = Accelerator.cpu
    """Device type; `auto` takes a GPU if there is one."""
    strategy: Strategy = Strategy.single
    """`single` process, `ddp` (each process holds the whole model) or `fsdp2` (each holds a shard). torchrun
    or srun starts the processes of the last two."""
    devices: int = 0
    """Processes on each node; 0 is the number that torchrun or srun started."""
    nodes: int = 0
    """Number of nodes; 0 is the number that torchrun or srun started."""
    precision: Precision = FULL_PRECISION
    """Lightning's precision."""
    steps: int = 1000
    """Optimizer steps of the run."""
    gradient_accumulation_steps: int = 1
    """Batches per optimizer step, on each process."""
    validate_every: int = 250
    """Optimizer steps between two validations; the model is exported at each."""
    checkpoint_every: int = 100
    """Optimizer steps between two checkpoints for resuming."""
    activation_checkpointing: ActivationCheckpointing = ActivationCheckpointing.off
    """What the backward pass recomputes instead of storing it: nothing, the feed-forward parts (`mlp`), or
    whole `layers`."""
    compile: bool = False
    """Compile the layers with torch.compile."""
    float8: bool = False
    """Multiply in 8-bit floating point (torchao), on GPUs that do (Hopper, Ada Lovelace and later)."""
    num_workers: int = 0
    """Processes that load batches ahead of the device; 0 loads them in the training process. The batches are
    the same."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [
            f"trainer.{name}={getattr(self, name)} must be 0 (the number that was started) or more"
            for name in ("devices", "nodes")
            if getattr(self, name) < 0
        ]
        if self.num_workers < 0:
            problems.append(
                f"trainer.num_workers={self.num_workers} must be 0 (load in the training process) or more"
            )
        if self.float8 and not self.precision.startswith("bf16"):
            problems.append(
                f"trainer.float8 rounds products of bf16, trainer.precision is {self.precision}; set "
                "trainer.precision=bf16-mixed"
            )
        positive = ("steps", "validate_every", "gradient_accumulation_steps", "checkpoint_every")
        return problems + not_positive((f"trainer.{name}", getattr(self, name)) for name in positive)


@dataclass
class BatchConfig:
    """How clips form batches, and what is hidden from the model in training."""

    max_frames: int = 2500
    """Size of a batch: clips times the decoder steps of the longest of them."""
    packed: bool = False
    """Put clips of any length one after another instead of padding clips of similar length; `max_frames` is
    then the sum of their decoder steps."""
    text_dropout: float = 0.15
    """Share of the clips that are trained without their text, for classifier-free guidance."""
    code_dropout: float = 0.0
    """Share of decoder steps whose input codes are hidden, so that the network has to use the text; for
    models trained from scratch."""
    first_channel_weight: float = FIRST_CHANNEL_WEIGHT
    """Weight of the first codec channel in the loss; the others have 1."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        positive = ("max_frames", "first_channel_weight")
        problems = not_positive((f"batch.{name}", getattr(self, name)) for name in positive)
        for name, usual in (("text_dropout", "usual .15"), ("code_dropout", "usual .2 to .4")):
            if not 0 <= (share := getattr(self, name)) < 1:
                problems.append(f"batch.{name}={share} is a share; choose 0 to below 1 ({usual})")
        return problems


@dataclass
class CurriculumConfig:
    """Short clips first: a model learns to align text and audio on them sooner."""

    epochs: int = 0
    """First epochs that draw only the shortest clips; 0 draws all clips from the beginning."""
    shortest_fraction: float = 0.4
    """Share of the clips that count as the shortest."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = below(0, [("curriculum.epochs", self.epochs)])
        if not 0 < self.shortest_fraction <= 1:
            problems.append(
                f"curriculum.shortest_fraction={self.shortest_fraction} is a share; "
                "choose above 0 to 1 (usual .4)"
            )
        return problems


@dataclass
class LoggerConfig:
    """Where metrics go, beside metrics.csv in the run folder, which is always written."""

    wandb: WandbMode = WandbMode.offline
    """Mode of Weights & Biases."""
    project: str = "dia"
    """Project of Weights & Biases."""
    tensorboard: bool = False
    """Log to TensorBoard as well, in the subfolder `tensorboard` of the run."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range: none can be."""
        return []
