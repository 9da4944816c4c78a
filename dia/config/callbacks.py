"""Training callbacks: EMA, early stopping, divergence, the watchdog, and validation by generated samples."""

from dataclasses import dataclass

from dia.config.checks import below
from dia.config.choices import MonitorMode, coerce_choices

VALIDATION_PREFIX = "validation/"  # of the names of validation metrics
MIN_MEDIAN_WINDOW = 20  # losses; the median of fewer is too noisy to compare with


@dataclass
class EMAConfig:
    """Exponential moving average of the weights, which is validated and exported in place of the weights."""

    decay: float = 0.0
    """Share of the average that a step leaves in place; 0 turns the average off. It rises to this value,
    because the first weights are of little use."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        if 0 <= self.decay < 1:
            return []
        return [f"ema.decay={self.decay} must be 0 (off) to below 1; usual are .999 to .9999"]


@dataclass
class EarlyStoppingConfig:
    """When a run stops before its last step; it then exports the model of its best validation."""

    monitor: str = "validation/loss"
    """The validation metric that is compared."""
    patience: int = 0
    """Validations in a row without an improvement after which the run stops; 0 never stops early and exports
    the model of the last step."""
    mode: MonitorMode = MonitorMode.min
    """Whether lower (`min`) or higher (`max`) values are better."""
    min_delta: float = 0.0
    """Smallest change that counts as an improvement."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        if not self.monitor.startswith(VALIDATION_PREFIX):
            problems.append(
                f"early_stopping.monitor={self.monitor} is not a validation metric; name one such as "
                "validation/loss"
            )
        if self.patience < 0:
            problems.append(
                f"early_stopping.patience={self.patience} must be 0 (never stop) or more; usual are 3 to 10"
            )
        return problems + below(0, [("early_stopping.min_delta", self.min_delta)])


@dataclass
class DivergenceConfig:
    """When a run stops because its loss diverges."""

    factor: float = 1.5
    """A loss above this many times its running median is too high."""
    patience: int = 100
    """Optimizer steps in a row with a loss too high after which the run stops; 0 never stops it."""
    median_window: int = 500
    """Losses in the running median."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        if self.factor <= 1:
            problems.append(f"divergence.factor={self.factor} must be above 1; usual is 1.5")
        if self.median_window < MIN_MEDIAN_WINDOW:
            problems.append(
                f"divergence.median_window={self.median_window} must be {MIN_MEDIAN_WINDOW} or more; "
                "usual is 500"
            )
        if self.patience < 0:
            problems.append(f"divergence.patience={self.patience} must be 0 (off) or more")
        return problems


@dataclass
class CollapseConfig:
    """When a run that learns from preferences stops because its speech flattens or drifts: reward hacking.

    The values are those of generated validation scripts, and those before the first step are the reference.
    """

    lowest: float = 0.75
    """Share of its first value below which pitch spread, energy spread or similarity has collapsed; 0 never
    stops a run."""
    farthest_duration: float = 1.4
    """Factor by which the duration may change, up or down."""
    patience: int = 2
    """Validations in a row with a collapse after which the run stops."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = below(1, [("collapse.patience", self.patience)])
        if not 0 <= self.lowest < 1:
            problems.append(f"collapse.lowest={self.lowest} must be 0 (off) to below 1; usual is .75")
        if self.farthest_duration <= 1:
            problems.append(f"collapse.farthest_duration={self.farthest_duration} must be above 1")
        return problems


@dataclass
class WatchdogConfig:
    """When a run stops because it makes no progress."""

    timeout_seconds: float = 600.0
    """Seconds without a batch from the loader after which the run stops; 0 never stops it."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        if self.timeout_seconds >= 0:
            return []
        return [f"watchdog.timeout_seconds={self.timeout_seconds} must be 0 (off) or more"]


@dataclass
class ValidationConfig:
    """Samples that are generated from the validation split and scored during training."""

    generate_every: int = 1
    """Generate samples at every n-th validation; 0 never does."""
    scripts: int = 4
    """Number of scripts of the validation split that are generated."""
    max_seconds: float = 8.0
    """Longest sample in seconds."""
    calibration_clips: int = 64
    """Clips of the validation split, and as many of the training split, that the nonverbal detector is
    calibrated on."""
