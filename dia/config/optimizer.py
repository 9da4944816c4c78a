"""The optimizer of a run and its learning rate schedule."""

from dataclasses import dataclass, field

from dia.config.choices import OptimizerKind, ScheduleKind, coerce_choices

PARAM_GROUPS = ("matrices", "head", "embeddings", "norms", "adapters")


@dataclass
class OptimConfig:
    """The optimizer."""

    learning_rate: float = 2e-3
    """Highest learning rate of the schedule."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.95
    """Decay of the second moment."""
    weight_decay: float = 0.01
    """Weight decay of matrices; norms and embeddings have none unless ``weight_decay_by_group`` names them.
    """
    max_grad_norm: float = 1.0
    """The gradient of all weights is scaled down to this norm; 0 does not clip."""
    weight_decay_by_group: dict[str, float] = field(default_factory=dict)
    """Other weight decay by kind of weights, `{embeddings: .01, head: 0}`; kinds: matrices, head, embeddings,
    norms, adapters."""
    kind: OptimizerKind = OptimizerKind.adamw
    """`adamw`; `adamw8bit`, with a quarter of its state; or `muon` for the matrices, beside AdamW for the
    others."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = [
            f"optim.weight_decay_by_group has {name}; its groups are {', '.join(PARAM_GROUPS)}"
            for name in self.weight_decay_by_group
            if name not in PARAM_GROUPS
        ]
        problems += [
            f"optim.weight_decay_by_group.{name}={value} must be 0 or more"
            for name, value in self.weight_decay_by_group.items()
            if value < 0
        ]
        if self.learning_rate <= 0:
            problems.append(
                f"optim.learning_rate={self.learning_rate} must be above 0; usual are 1e-5 to 2e-3"
            )
        if self.weight_decay < 0:
            problems.append(f"optim.weight_decay={self.weight_decay} must be 0 or more; usual are .01 to .1")
        return problems


@dataclass
class ScheduleConfig:
    """The learning rate: a linear warm-up, then a cosine, or a plateau with a decay at its end."""

    warmup_steps: int | None = 100
    """Optimizer steps of the warm-up; null when ``warmup_fraction`` is given."""
    final_fraction: float = 0.05
    """Share of the highest learning rate that the last step has."""
    kind: ScheduleKind = ScheduleKind.cosine
    """`cosine`, or `wsd`: the highest learning rate until the decay."""
    warmup_fraction: float | None = None
    """Warm-up as a share of all steps; null when ``warmup_steps`` is given."""
    decay_fraction: float = 0.2
    """Share of all steps, the last ones, over which `wsd` decays."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        if (self.warmup_steps is None) == (self.warmup_fraction is None):
            problems.append(
                f"schedule.warmup_steps={self.warmup_steps} and "
                f"schedule.warmup_fraction={self.warmup_fraction}: "
                "give one of them, and null for the other"
            )
        if self.warmup_steps is not None and self.warmup_steps < 1:
            problems.append(f"schedule.warmup_steps={self.warmup_steps} must be above 0")
        for name in ("warmup_fraction", "decay_fraction", "final_fraction"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                problems.append(f"schedule.{name}={share} is a share; choose 0 to 1")
        return problems

    def warmup(self, steps: int) -> int:
        """Return the warm-up steps of a run of ``steps``, at least one."""
        if self.warmup_steps is not None:
            return max(1, self.warmup_steps)
        return max(1, round((self.warmup_fraction or 0.0) * steps))

    def decay(self, steps: int) -> int:
        """Return the step at which the decay of a run of ``steps`` begins."""
        if self.kind is ScheduleKind.cosine:
            return self.warmup(steps)
        return steps - round(self.decay_fraction * steps)
