"""Which of the evaluation's scores make a take better, and what rules it out."""

from dataclasses import dataclass, field

TERMS = (
    "words",
    "complete",
    "tags",
    "insertions",
    "right_speaker",
    "similarity",
    "mos",
    "pitch_spread",
    "energy_spread",
    "pace",
)
"""Names of the terms; dia/evaluation/rewards.py defines them."""
FAILURES = (
    "repeated",
    "other_text",
    "no_end",
    "truncated",
    "loop",
    "silence",
    "too_fast",
    "too_slow",
    "clipped_end",
)
"""Kinds of failures (dia/evaluation/metrics/failures.py)."""


@dataclass
class RewardConfig:
    """The reward of a take: a weighted sum of terms, higher is better (docs/preference.md lists them)."""

    weights: dict[str, float] = field(
        default_factory=lambda: {"words": 1.0, "complete": 0.5, "tags": 0.1, "right_speaker": 0.5}
    )
    """Weight of each term. Noisy judges decide little: see the noise of each term there."""
    vetoes: list[str] = field(
        default_factory=lambda: ["no_end", "truncated", "loop", "repeated", "other_text", "silence"]
    )
    """Failures that a preferred take may not have. With `objective=grpo` a take with one of them has the
    lowest reward of its group, less `veto_penalty`."""
    veto_penalty: float = 0.5
    """See `vetoes`."""

    def problems(self, key: str) -> list[str]:
        """Return which values are unknown or out of range; ``key`` is the name of this group."""
        problems = [
            f"{key}.weights names {name}, which is no term; choose from {', '.join(TERMS)}"
            for name in self.weights
            if name not in TERMS
        ]
        problems += [
            f"{key}.vetoes names {name}, which is no failure; choose from {', '.join(FAILURES)}"
            for name in self.vetoes
            if name not in FAILURES
        ]
        if not any(self.weights.values()):
            problems.append(f"{key}.weights={dict(self.weights)} must have a weight that is not 0")
        if self.veto_penalty < 0:
            problems.append(f"{key}.veto_penalty={self.veto_penalty} must be 0 or more")
        return problems
