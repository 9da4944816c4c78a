"""Settings of a run that no other part owns: how long and where it runs, its batches, where its figures
go.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dia.training.activation_checkpointing import MODES

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")  # of Lightning
FIRST_CHANNEL_WEIGHT = 4.0  # weight of channel 0 in the loss; the other channels weigh 1
STAGE = "validation/"  # how figures of the validation begin
STRATEGIES = ("single", "ddp", "fsdp2")


@dataclass
class TrainerConfig:
    """How long and where training runs."""

    accelerator: str = "cpu"
    strategy: str = "single"
    """`single` process, `ddp` (each has the whole model) or `fsdp2` (each has a shard); these are started by
    torchrun or srun.
    """
    devices: int = 0
    """Processes on each node; 0 is as many as were started."""
    nodes: int = 0
    """0 is as many as were started on."""
    precision: str = "32-true"
    steps: int = 1000
    """Optimizer steps."""
    accumulate: int = 1
    """Batches per optimizer step."""
    validate_every: int = 250
    """Optimizer steps between validations; the model is saved at each."""
    checkpoint_every: int = 100
    """Optimizer steps between checkpoints for going on."""
    activations: str = "off"
    """What is made again for the gradient instead of being kept: `off`, `mlp` or `layers`
    (dia/training/activation_checkpointing.py).
    """
    compile: bool = False
    """Compile the layers."""
    loader_processes: int = 0
    """Processes that make batches, ahead of the GPU; 0 makes them in this one. The batches are the same."""

    @property
    def spreads(self) -> bool:
        """Whether it is for several processes."""
        return self.strategy != "single"

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = unknown(
            ("trainer.accelerator", self.accelerator, ("cpu", "cuda", "auto")),
            ("trainer.strategy", self.strategy, STRATEGIES),
            ("trainer.precision", self.precision, PRECISIONS),
            ("trainer.activations", self.activations, MODES),
        )
        found += [
            f"trainer.{name}={number} must be 0 (as many as were started) or more"
            for name, number in (("devices", self.devices), ("nodes", self.nodes))
            if number < 0
        ]
        if self.loader_processes < 0:
            found.append(
                f"trainer.loader_processes={self.loader_processes} must be 0 (batches are made in this one) or more"
            )
        names = ("steps", "validate_every", "accumulate", "checkpoint_every")
        return found + not_positive((f"trainer.{name}", getattr(self, name)) for name in names)


@dataclass
class BatchConfig:
    """``frames`` is a batch's budget of padded decoder steps; ``text_dropout`` the share of samples without
    text.
    """

    frames: int = 2500
    text_dropout: float = 0.15
    code_dropout: float = 0.0
    """Share of decoder steps whose codes are hidden, so that the network asks the text: for models trained
    from scratch.
    """
    first_channel_weight: float = FIRST_CHANNEL_WEIGHT
    short_epochs: int = 0
    """First epochs in which only the shortest clips come, whose words a model finds soon."""
    short_share: float = 0.4
    """Which share of the clips that is."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        names = ("frames", "first_channel_weight")
        found = not_positive((f"batch.{name}", getattr(self, name)) for name in names)
        if not 0 <= self.text_dropout < 1:
            found.append(
                f"batch.text_dropout={self.text_dropout} is a share; choose 0 to below 1 (usual .15)"
            )
        if not 0 <= self.code_dropout < 1:
            found.append(
                f"batch.code_dropout={self.code_dropout} is a share; choose 0 to below 1 (usual .2 to .4)"
            )
        if self.short_epochs < 0:
            found.append(f"batch.short_epochs={self.short_epochs} must be 0 (all clips at once) or more")
        if not 0 < self.short_share <= 1:
            found.append(f"batch.short_share={self.short_share} is a share; choose above 0 to 1 (usual .4)")
        return found


@dataclass
class LoggerConfig:
    """Where figures go, beside the CSV in the run folder. ``wandb`` is `offline`, `online` or `disabled`."""

    wandb: str = "offline"
    project: str = "dia"

    def problems(self) -> list[str]:
        """Return what is unknown, one sentence each with its remedy."""
        return unknown(("logger.wandb", self.wandb, ("offline", "online", "disabled")))


@dataclass
class EMAConfig:
    """The average that is exported; it is reached slowly, for the first weights say little."""

    decay: float = 0.0
    """How much of the average stays at a step; 0 keeps none, and the weights themselves are exported."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        if 0 <= self.decay < 1:
            return []
        return [f"average.decay={self.decay} must be 0 (off) to below 1; usual are .999 to .9999"]


@dataclass
class EarlyStoppingConfig:
    """When to end early. ``patience`` 0 is never: then the model of the last step is kept, else that of the
    best validation.
    """

    figure: str = "validation/loss"
    """A logged figure of the validation."""
    patience: int = 0
    """Validations in a row that may be no better than the best."""
    goal: str = "min"
    """`min` or `max`: which way is better."""
    least: float = 0.0
    """How much better than the best counts as better."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = []
        if not self.figure.startswith(STAGE):
            found.append(
                f"early_stop.figure={self.figure} is none of the validation's; name one such as validation/loss"
            )
        if self.patience < 0:
            found.append(
                f"early_stop.patience={self.patience} must be 0 (never stop) or more; usual are 3 to 10"
            )
        if self.goal not in ("min", "max"):
            found.append(f"early_stop.goal={self.goal} is unknown; choose min or max")
        return found if self.least >= 0 else [*found, f"early_stop.least={self.least} must be 0 or more"]


def unknown(*choices: tuple[str, str, tuple[str, ...]]) -> list[str]:
    """Return a sentence for each (key, value, what it may be) whose value is something else."""
    return [
        f"{key}={value} is unknown; choose one of {', '.join(known)}"
        for key, value, known in choices
        if value not in known
    ]


def not_positive(numbers: Iterable[tuple[str, float]]) -> list[str]:
    """Return a sentence for each (key, number) that is not above 0."""
    return [f"{key}={number} must be above 0" for key, number in numbers if number <= 0]
