"""One sampling step of Dia, in the order of the 0626 release (nari-labs/dia, dia/model.py `_sample_next_token`).

1. guided = cond + scale * (cond - uncond); keep the top k of the guided logits, but with the *conditional* values
2. only channel 0 may end: its EOS stays, every other special id is forbidden
3. temperature 0: the largest; else EOS is forced where it is the largest of its channel and forbidden where it is not
4. top p, then one draw per channel with the item's own random number
The release's second top k after step 3 keeps what step 1 kept, so it is not repeated.

Legend: B item, C codec channel, V ids per channel.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

FORBIDDEN = float("-inf")


@dataclass
class Sampling:
    """How codes are drawn. ``cfg_scale`` 0 turns guidance off; ``temperature`` 0 takes the largest."""

    cfg_scale: float = 3.0
    temperature: float = 1.2
    top_p: float = 0.95
    cfg_filter_top_k: int | None = 45

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = []
        if not (isfinite(self.cfg_scale) and self.cfg_scale >= 0):
            found.append(f"cfg_scale={self.cfg_scale} must be 0 (off) or more; Dia-1.6B speaks best at 3 to 4")
        if not (isfinite(self.temperature) and self.temperature >= 0):
            found.append(f"temperature={self.temperature} must be 0 (no chance) or more; usual are 1.2 to 1.8")
        if not 0 < self.top_p <= 1:
            found.append(f"top_p={self.top_p} must be above 0 and at most 1; usual are 0.9 to 0.95")
        if self.cfg_filter_top_k is not None and self.cfg_filter_top_k < 1:
            found.append(f"cfg_filter_top_k={self.cfg_filter_top_k} must be 1 or more, or null for no filter")
        return found


def guide(cond_BCV: Tensor, uncond_BCV: Tensor | None, sampling: Sampling) -> Tensor:
    """Return the logits to sample from, (B, C, V): step 1. Without ``uncond_BCV`` guidance is off."""
    guided = cond_BCV if uncond_BCV is None else cond_BCV + sampling.cfg_scale * (cond_BCV - uncond_BCV)
    if sampling.cfg_filter_top_k is None:
        return guided
    kept = guided.topk(min(sampling.cfg_filter_top_k, guided.shape[-1]), dim=-1).indices
    forbidden = torch.ones_like(guided, dtype=torch.bool).scatter(-1, kept, False)
    return cond_BCV.masked_fill(forbidden, FORBIDDEN)


def forbid_specials(logits_BCV: Tensor, eos: int) -> Tensor:
    """Return logits where only codes, and in channel 0 EOS, can be drawn: step 2."""
    logits_BCV = logits_BCV.clone()
    logits_BCV[:, 0, eos + 1 :] = FORBIDDEN
    logits_BCV[:, 1:, eos:] = FORBIDDEN
    return logits_BCV


def settle_eos(logits_BCV: Tensor, eos: int) -> Tensor:
    """Return logits where EOS is certain if it was the largest of its channel and impossible if not: step 3."""
    largest = logits_BCV.argmax(-1, keepdim=True) == eos
    is_eos = torch.arange(logits_BCV.shape[-1], device=logits_BCV.device) == eos
    return logits_BCV.masked_fill(largest != is_eos, FORBIDDEN)


def keep_top_p(probabilities_BCV: Tensor, top_p: float) -> Tensor:
    """Return probabilities with the tail beyond ``top_p`` set to zero; the id that crosses it is kept."""
    ordered, places = probabilities_BCV.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(ordered).scatter(-1, places, ordered.masked_fill(before > top_p, 0.0))


def draw(probabilities_BCV: Tensor, uniform_BC: Tensor) -> Tensor:
    """Return ids (B, C): where the cumulated probability passes each uniform number in 0..1."""
    cumulated = probabilities_BCV.double().cumsum(-1)
    below = cumulated <= uniform_BC.double()[..., None] * cumulated[..., -1:]
    last = (probabilities_BCV > 0).int().cumsum(-1).argmax(-1)
    return torch.minimum(below.sum(-1), last)


def sample(cond_BCV: Tensor, uncond_BCV: Tensor | None, uniform_BC: Tensor, eos: int, sampling: Sampling) -> Tensor:
    """Return the next ids (B, C) of fp32 logits. Each item depends on its own logits and numbers only."""
    logits = forbid_specials(guide(cond_BCV, uncond_BCV, sampling), eos)
    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = (settle_eos(logits, eos) / sampling.temperature).softmax(-1)
    return draw(keep_top_p(probabilities, sampling.top_p), uniform_BC)
