"""Keys of the objectives that learn from preferences: `dpo`, `ipo`, `simpo`, `rft` and `grpo`."""

from dataclasses import dataclass

from dia.config.checks import below, not_positive
from dia.config.choices import LossNormalization, coerce_choices


@dataclass
class PreferenceConfig:
    """The losses over pairs of takes; formulas and sources are in docs/preference.md."""

    beta: float = 0.1
    """Weight of the log ratios: `dpo` and `simpo` multiply them by it, `ipo` regresses them to 1 / (2 beta).
    Higher values of `dpo` and `ipo` stay closer to the reference."""
    length_normalized: bool = False
    """Divide the log probability of a take by its number of tokens (frames times channels, and EOS), so that
    long takes do not count more. `ipo` and `simpo` always do."""
    simpo_margin: float = 0.5
    """Margin by which `simpo` wants the preferred take to be more likely per token, times `beta`."""
    cross_entropy_weight: float = 0.0
    """Weight of the cross-entropy per token of the preferred takes, which keeps their probability from
    falling together with that of the rejected ones."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        return not_positive([("preference.beta", self.beta)]) + below(
            0,
            [
                ("preference.simpo_margin", self.simpo_margin),
                ("preference.cross_entropy_weight", self.cross_entropy_weight),
            ],
        )


@dataclass
class GrpoConfig:
    """Group relative policy optimization: groups of takes of one script, with the evaluation's scores as
    rewards. Formulas and sources are in docs/preference.md."""

    prompts: int = 4
    """Scripts of an optimizer step, over all processes and micro-batches."""
    takes: int = 8
    """Takes of each script, the group."""
    updates_per_rollout: int = 1
    """Optimizer steps that use the same takes. The ratio of new to old probabilities is clipped; with 1 it
    is always 1."""
    clip: float = 0.2
    """Largest change of a token's probability ratio that is rewarded, up and down."""
    kl_weight: float = 0.04
    """Weight of the divergence from the reference, per token."""
    normalize_advantage: bool = True
    """Divide the advantages of a group by the standard deviation of its rewards."""
    normalization: LossNormalization = LossNormalization.sequence
    """`sequence` averages over the tokens of each take, then over takes, as the paper does; `token` averages
    over all tokens, so that long takes count more."""
    max_seconds: float = 15.0
    """Longest take in seconds."""

    def __post_init__(self) -> None:
        coerce_choices(self)

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = not_positive(
            [
                ("grpo.prompts", self.prompts),
                ("grpo.updates_per_rollout", self.updates_per_rollout),
                ("grpo.max_seconds", self.max_seconds),
            ]
        )
        if self.takes < 2:
            problems.append(f"grpo.takes={self.takes} must be 2 or more: a take is compared with its group")
        if not 0 < self.clip < 1:
            problems.append(f"grpo.clip={self.clip} must be between 0 and 1; usual is .2")
        return problems + below(0, [("grpo.kl_weight", self.kl_weight)])
