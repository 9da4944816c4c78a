"""Sampling parameters: how codes are drawn from the network's logits."""

from dataclasses import dataclass
from math import isfinite

SPECIALS = 4  # ids of a channel that are not codes: EOS, PAD, BOS and an unused one


@dataclass
class Sampling:
    """How codes are drawn. The order of the steps is that of dia/inference/sampling.py."""

    cfg_scale: float = 3.0
    """Scale of classifier-free guidance; 0 turns guidance off, which halves the cost of a step."""
    temperature: float = 1.2
    """Softmax temperature; 0 takes the most probable code."""
    top_p: float = 0.95
    """Nucleus sampling: draw from the most probable codes whose probabilities add up to this."""
    cfg_filter_top_k: int | None = 45
    """Draw from the k codes with the highest guided logits; null does not filter."""
    cfg_final: float | None = None
    """Guidance scale that is reached, linearly, ``cfg_steps`` steps after the prompt; null leaves it
    constant. Strong guidance makes Dia speak too fast, and the first seconds need it most."""
    cfg_steps: int = 172
    """Decoder steps from ``cfg_scale`` to ``cfg_final``; 172 are two seconds of Dia-1.6B."""
    cfg_rescale: float = 0.0
    """Share, 0 to 1, by which guided logits return to the standard deviation of the conditional ones (Lin et
    al. 2023, arXiv 2305.08891, section 3.4)."""
    draw_guided: bool = False
    """Draw from the guided logits, as the first release of Dia does. 0626 draws from the conditional logits
    and uses guidance only to filter; a rescale then changes nothing unless the filter is off."""

    def problems(self) -> list[str]:
        """Return which values are out of range, one sentence per problem."""
        problems = []
        for name, scale in (("cfg_scale", self.cfg_scale), ("cfg_final", self.cfg_final)):
            if scale is not None and not (isfinite(scale) and scale >= 0):
                problems.append(f"{name}={scale} must be 0 (off) or more; Dia-1.6B is best at 3 to 4")
        if self.cfg_steps < 1:
            problems.append(f"cfg_steps={self.cfg_steps} must be 1 or more; 172 are two seconds of Dia-1.6B")
        if not 0 <= self.cfg_rescale <= 1:
            problems.append(f"cfg_rescale={self.cfg_rescale} is a share; choose 0 (off) to 1, usual is .7")
        if not (isfinite(self.temperature) and self.temperature >= 0):
            problems.append(
                f"temperature={self.temperature} must be 0 (greedy) or more; usual are 1.2 to 1.8"
            )
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p={self.top_p} must be above 0 and at most 1; usual are 0.9 to 0.95")
        if self.cfg_filter_top_k is not None and self.cfg_filter_top_k <= SPECIALS:
            problems.append(
                f"cfg_filter_top_k={self.cfg_filter_top_k} must be {SPECIALS + 1} or more, so that the "
                "special ids alone cannot fill it, or null for no filter"
            )
        return problems

    @property
    def guided(self) -> bool:
        """Whether any step uses guidance, so that unconditional rows are needed."""
        return self.cfg_scale != 0 or bool(self.cfg_final)


@dataclass
class SamplingOverrides:
    """Sampling values that replace those of the checkpoint; null keeps the checkpoint's value."""

    cfg_scale: float | None = None
    """Scale of classifier-free guidance; 0 turns guidance off."""
    temperature: float | None = None
    """Softmax temperature; 0 takes the most probable code."""
    top_p: float | None = None
    """Nucleus sampling: draw from the most probable codes whose probabilities add up to this."""
    cfg_filter_top_k: int | None = None
    """Draw from the k codes with the highest guided logits."""
    cfg_final: float | None = None
    """Guidance scale that is reached, linearly, ``cfg_steps`` steps after the prompt."""
    cfg_steps: int | None = None
    """Decoder steps from ``cfg_scale`` to ``cfg_final``."""
    cfg_rescale: float | None = None
    """Share, 0 to 1, by which guided logits return to the standard deviation of the conditional ones."""
    draw_guided: bool | None = None
    """Draw from the guided logits, as the first release of Dia does."""
