"""Sample the next codes: classifier-free guidance, top k, EOS rules, temperature and top p.

The order is that of the 0626 release (nari-labs/dia, `dia/model.py`, `_sample_next_token`):

1. guided = cond + scale * (cond - uncond); select the top k of the guided logits, with *conditional* values
2. only channel 0 may draw EOS; every other special id is forbidden
3. temperature 0 takes the largest logit; otherwise EOS is certain where it is the largest of its channel, and
   forbidden elsewhere
4. top p, then one draw per channel with the item's own random number

The release applies top k a second time after step 3, which changes nothing after step 1. Only the few ids
that step 1 selects are processed further: sorting 45 numbers is cheaper than sorting 1,028.

Legend: B item, C codec channel, V ids per channel, K candidates of a channel.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dia.config.sampling import Sampling

FORBIDDEN = float("-inf")
NOT_FINITE = -1  # in place of an id: the logits of the channel are not finite
TINY = 1e-6


def guidance_scale(sampling: Sampling, step_B: Tensor) -> Tensor:
    """Return the guidance scale (B, 1, 1), fp32, of each item's own step, counted from 0 after its prompt."""
    final = sampling.cfg_scale if sampling.cfg_final is None else sampling.cfg_final
    progress_B = (step_B.float() / sampling.cfg_steps).clamp(0, 1)
    return (sampling.cfg_scale + (final - sampling.cfg_scale) * progress_B)[:, None, None]


@dataclass(frozen=True)
class Candidates:
    """The ids (B, C, K) that guidance selects for each channel, and their logits.

    ``largest_BC`` is the largest guided logit of each channel. NaN counts as the largest number in torch, so
    that it is finite exactly if no logit is NaN or infinite (minus infinity aside, which cannot be drawn).
    """

    ids_BCK: Tensor
    logits_BCK: Tensor
    largest_BC: Tensor


def guide(
    cond_BCV: Tensor, uncond_BCV: Tensor | None, sampling: Sampling, scale_B11: Tensor | float | None = None
) -> Candidates:
    """Return the candidates of each channel (step 1).

    Without ``uncond_BCV`` guidance is off; without a top-k filter all ids are candidates. ``scale_B11`` is
    the guidance scale of this step, by default ``sampling.cfg_scale``.
    """
    guided = cond_BCV if uncond_BCV is None else _guided(cond_BCV, uncond_BCV, sampling, scale_B11)
    if sampling.cfg_filter_top_k is None:
        ids_BCV = torch.arange(guided.shape[-1], device=guided.device).expand_as(guided)
        return Candidates(ids_BCV, guided, guided.amax(-1))
    top = guided.topk(min(sampling.cfg_filter_top_k, guided.shape[-1]), dim=-1)
    logits_BCK = top.values if sampling.draw_guided else cond_BCV.gather(-1, top.indices)
    return Candidates(top.indices, logits_BCK, top.values[..., 0])


def _guided(
    cond_BCV: Tensor, uncond_BCV: Tensor, sampling: Sampling, scale_B11: Tensor | float | None
) -> Tensor:
    scale = sampling.cfg_scale if scale_B11 is None else scale_B11
    guided = cond_BCV + scale * (cond_BCV - uncond_BCV)
    if sampling.cfg_rescale == 0:
        return guided
    mean = guided.mean(-1, keepdim=True)
    shrunk = (guided - mean) * (
        cond_BCV.std(-1, keepdim=True) / guided.std(-1, keepdim=True).clamp_min(TINY)
    ) + mean
    return guided.lerp(shrunk, sampling.cfg_rescale)


def forbid_specials(candidates: Candidates, eos: int) -> Candidates:
    """Return candidates of which only codes, and EOS in channel 0, can be drawn (step 2)."""
    ids = candidates.ids_BCK
    first = torch.arange(ids.shape[1], device=ids.device)[:, None] == 0
    forbidden = torch.where(first, ids > eos, ids >= eos)
    return replace(candidates, logits_BCK=candidates.logits_BCK.masked_fill(forbidden, FORBIDDEN))


def settle_eos(candidates: Candidates, eos: int) -> Candidates:
    """Return candidates with EOS certain where it is the largest of its channel, else forbidden (step 3)."""
    ids, logits = candidates.ids_BCK, candidates.logits_BCK
    largest = ids.gather(-1, logits.argmax(-1, keepdim=True)) == eos
    return replace(candidates, logits_BCK=logits.masked_fill(largest != (ids == eos), FORBIDDEN))


def keep_top_p(ordered_BCK: Tensor, top_p: float) -> Tensor:
    """Return descending probabilities with the tail beyond ``top_p`` set to zero.

    The probability that crosses ``top_p`` stays.
    """
    before = ordered_BCK.cumsum(-1) - ordered_BCK
    return ordered_BCK.masked_fill(before > top_p, 0.0)


def draw(probabilities_BCK: Tensor, uniform_BC: Tensor) -> Tensor:
    """Return the places (B, C, 1) at which the cumulative probability exceeds the uniform numbers in 0..1."""
    cumulative = probabilities_BCK.double().cumsum(-1)
    below = cumulative <= uniform_BC.double()[..., None] * cumulative[..., -1:]
    last = (probabilities_BCK > 0).int().cumsum(-1).argmax(-1, keepdim=True)
    return torch.minimum(below.sum(-1, keepdim=True), last)


def sample(
    cond_BCV: Tensor,
    uncond_BCV: Tensor | None,
    uniform_BC: Tensor,
    eos: int,
    sampling: Sampling,
    scale_B11: Tensor | float | None = None,
) -> Tensor:
    """Return the next ids (B, C) of fp32 logits; an item depends on its own logits and numbers only.

    A channel whose logits are not finite has the id ``NOT_FINITE``.
    """
    candidates = forbid_specials(guide(cond_BCV, uncond_BCV, sampling, scale_B11), eos)
    ids_BC = _chosen(candidates, uniform_BC, eos, sampling)
    return torch.where(candidates.largest_BC.isfinite(), ids_BC, NOT_FINITE)


def _chosen(candidates: Candidates, uniform_BC: Tensor, eos: int, sampling: Sampling) -> Tensor:
    """Return the ids (B, C) that are drawn of the candidates (steps 3 and 4)."""
    if sampling.temperature == 0:
        return candidates.ids_BCK.gather(-1, candidates.logits_BCK.argmax(-1, keepdim=True)).squeeze(-1)
    candidates = settle_eos(candidates, eos)
    ordered, places = (
        (candidates.logits_BCK / sampling.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
    )
    drawn = draw(keep_top_p(ordered, sampling.top_p), uniform_BC)
    return candidates.ids_BCK.gather(-1, places.gather(-1, drawn)).squeeze(-1)
