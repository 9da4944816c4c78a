"""Guidance distilled into the weights (Meng et al. 2023, arXiv 2210.03142): one pass says what two said.

The teacher is the network that training starts from, frozen. It reads every batch with its text and without,
as guided inference does, and :func:`dia.inference.sampling.guide` makes of both what would be drawn from: of
0626 the conditional logits of the ids that guidance keeps. The student, which begins as its copy, learns that
distribution from its one pass; the scale is fixed, so nothing tells the student which it was.

Legend: B clip, R step of all clips in a row, P step of a piece, C codec channel, V ids per channel, K
candidates, D width.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dia.config.sampling import Sampling
from dia.inference.sampling import guidance_scale, guide
from dia.network import DiaNetwork
from dia.training.loss import ChannelSums
from dia.training.objectives import DelayedBatch

PIECE = 512  # steps whose logits are held at a time


@dataclass(frozen=True)
class Wanted:
    """What a teacher would draw from, for a piece: candidate ids (P, C, K) and their log probabilities,
    fp32.
    """

    ids_PCK: Tensor
    log_PCK: Tensor


class GuidedDistillation:
    """An objective: the divergence KL(teacher guided || student) of every code and EOS, in nats, by the masks
    of the others.

    The accuracy it counts is how often the student's first choice is the teacher's. The teacher is no part of
    what is trained or saved; it follows the batch's device.
    """

    def __init__(self, teacher: DiaNetwork, sampling: Sampling, piece: int = PIECE) -> None:
        self.teacher, self.sampling, self.piece = teacher.requires_grad_(False).eval(), sampling, piece

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets."""
        features_RD = network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC).flatten(0, 1)
        targets_RC, eos, sums = batch.targets_BTC.flatten(0, 1), network.config.decoder.eos, None
        for begin, wanted in self._wanted(batch):
            part = slice(begin, begin + self.piece)
            compared = checkpoint(
                _compare, network, features_RD[part], wanted, targets_RC[part], eos, use_reentrant=False
            )
            sums = compared if sums is None else sums + compared
        assert sums is not None, "a batch has steps"
        return sums

    @torch.no_grad()
    def _wanted(self, batch: DelayedBatch) -> Iterator[tuple[int, Wanted]]:
        """Yield, piece by piece, where it begins and what the teacher would draw from."""
        teacher = self.teacher.to(batch.text_BS.device)
        texts = (
            batch.text_BS,
            torch.zeros_like(batch.text_BS),
        )  # without text the mask stays, as at inference
        cond_RD, uncond_RD = (
            teacher.features(text, batch.text_mask_BS, batch.inputs_BTC).flatten(0, 1) for text in texts
        )
        steps_B = torch.arange(batch.inputs_BTC.shape[1], device=cond_RD.device).repeat(len(batch.inputs_BTC))
        for begin in range(0, len(cond_RD), self.piece):
            part = slice(begin, begin + self.piece)
            cond_PCV, uncond_PCV = (
                teacher.logits(features[part]).float() for features in (cond_RD, uncond_RD)
            )
            kept = guide(cond_PCV, uncond_PCV, self.sampling, guidance_scale(self.sampling, steps_B[part]))
            yield begin, Wanted(kept.ids_BCK, kept.logits_BCK.log_softmax(-1))


def without_guidance(sampling: Sampling) -> Sampling:
    """Return how a student is drawn from: as its teacher, in one pass."""
    return replace(sampling, cfg_scale=0.0, cfg_final=None, draw_guided=False)


def _compare(
    network: DiaNetwork, features_PD: Tensor, wanted: Wanted, targets_PC: Tensor, eos: int
) -> ChannelSums:
    """Return a piece's divergences, how often the first choices agree, and channel 0's surprise at EOS, as
    sums.
    """
    log_PCV = network.logits(features_PD).float().log_softmax(-1)
    likely_PCK = wanted.log_PCK.exp()
    lost_PC = (likely_PCK * (wanted.log_PCK - log_PCV.gather(-1, wanted.ids_PCK))).sum(-1)
    first_PC = wanted.ids_PCK.gather(-1, likely_PCK.argmax(-1, keepdim=True))[..., 0]
    asked_PC, ends_P = targets_PC <= eos, targets_PC[:, 0] == eos
    return ChannelSums(
        (lost_PC * asked_PC).sum(0),
        ((log_PCV.detach().argmax(-1) == first_PC) & asked_PC).sum(0),
        asked_PC.sum(0),
        -(log_PCV[:, 0, eos] * ends_P).sum().detach(),
        ends_P.sum(),
    )
