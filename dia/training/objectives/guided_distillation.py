"""Guidance distillation (Meng et al. 2023, arXiv 2210.03142): one pass learns the guided prediction.

The teacher is a frozen copy of the initial network. It reads every batch with and without text, as guided
inference does, and :func:`dia.inference.sampling.guide` combines both into the distribution to draw from:
for the 0626 checkpoint the conditional logits of the ids that guidance selects. The student starts as a copy
of the teacher and learns that distribution with a single pass. The guidance scale is fixed, so it is not an
input of the student.

Legend: B clip, R step of all clips in a row, P step of a piece, C codec channel, V ids per channel, K
candidates, D width.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dia.config.sampling import Sampling
from dia.config.train import TrainConfig
from dia.inference.sampling import guidance_scale, guide
from dia.network import DiaNetwork
from dia.training.copies import copy_of
from dia.training.loss import ChannelSums
from dia.training.objectives.protocol import DelayedBatch, Objective

PIECE = 512  # steps whose logits are in memory at a time


@dataclass(frozen=True)
class TeacherPiece:
    """The teacher's distribution for a piece: candidate ids (P, C, K) and their log probabilities in fp32."""

    ids_PCK: Tensor
    log_PCK: Tensor


class GuidedDistillation(Objective):
    """KL(guided teacher || student) of every code and EOS, in nats, with the masks of cross-entropy.

    Its accuracy is how often the student's most likely id is the teacher's. The teacher is neither trained
    nor saved, and moves to the batch's device.
    """

    needs_checkpoint = True
    reads_sampling = True
    teacher_passes = 2  # with text and without

    def __init__(self, teacher: DiaNetwork, sampling: Sampling, piece: int = PIECE) -> None:
        self.teacher = teacher.requires_grad_(False).eval()
        self.sampling, self.piece = sampling, piece

    @classmethod
    def from_config(cls, config: TrainConfig, network: DiaNetwork) -> Self:
        """Create the objective with a copy of the initial network as teacher."""
        return cls(copy_of(network), config.sampling)

    @classmethod
    def problems(cls, config: TrainConfig) -> list[str]:
        """Return a problem if the sampling has no guidance."""
        if config.sampling.guided:
            return []
        return [
            f"sampling.cfg_scale={config.sampling.cfg_scale} has no guidance that could be distilled; "
            "usual is 3"
        ]

    @classmethod
    def inference_sampling(cls, sampling: Sampling) -> Sampling:
        """Return the teacher's sampling without guidance: one pass."""
        return replace(sampling, cfg_scale=0.0, cfg_final=None, draw_guided=False)

    @property
    def teachers(self) -> tuple[nn.Module, ...]:
        """The teacher."""
        return (self.teacher,)

    def __call__(self, network: DiaNetwork, batch: DelayedBatch) -> ChannelSums:
        """Return the sums over a batch's targets."""
        features_RD = network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC).flatten(0, 1)
        targets_RC, eos = batch.targets_BTC.flatten(0, 1), network.config.decoder.eos
        total: ChannelSums | None = None
        for begin, teacher in self._teacher_pieces(batch):
            rows = slice(begin, begin + self.piece)
            sums = checkpoint(
                _divergence, network, features_RD[rows], teacher, targets_RC[rows], eos, use_reentrant=False
            )
            total = sums if total is None else total + sums
        assert total is not None, "a batch has steps"
        return total

    @torch.no_grad()
    def _teacher_pieces(self, batch: DelayedBatch) -> Iterator[tuple[int, TeacherPiece]]:
        """Yield the first step and the teacher's distribution of each piece."""
        teacher = self.teacher.to(batch.text_BS.device)
        # without text the mask stays, as at inference
        texts = (batch.text_BS, torch.zeros_like(batch.text_BS))
        cond_RD, uncond_RD = (
            teacher.features(text, batch.text_mask_BS, batch.inputs_BTC).flatten(0, 1) for text in texts
        )
        clips, steps = batch.inputs_BTC.shape[:2]
        steps_R = torch.arange(steps, device=cond_RD.device).repeat(clips)
        for begin in range(0, len(cond_RD), self.piece):
            rows = slice(begin, begin + self.piece)
            cond_PCV, uncond_PCV = (teacher.logits(each[rows]).float() for each in (cond_RD, uncond_RD))
            scale_P = guidance_scale(self.sampling, steps_R[rows])
            candidates = guide(cond_PCV, uncond_PCV, self.sampling, scale_P)
            yield begin, TeacherPiece(candidates.ids_BCK, candidates.logits_BCK.log_softmax(-1))


def _divergence(
    network: DiaNetwork, features_PD: Tensor, teacher: TeacherPiece, targets_PC: Tensor, eos: int
) -> ChannelSums:
    """Return a piece's divergences, agreements of the most likely ids, and channel 0's EOS cross-entropy."""
    log_PCV = network.logits(features_PD).float().log_softmax(-1)
    probability_PCK = teacher.log_PCK.exp()
    student_log_PCK = log_PCV.gather(-1, teacher.ids_PCK)
    divergence_PC = (probability_PCK * (teacher.log_PCK - student_log_PCK)).sum(-1)
    likeliest_PC = teacher.ids_PCK.gather(-1, probability_PCK.argmax(-1, keepdim=True))[..., 0]
    valid_PC, is_eos_P = targets_PC <= eos, targets_PC[:, 0] == eos
    return ChannelSums(
        (divergence_PC * valid_PC).sum(0),
        ((log_PCV.detach().argmax(-1) == likeliest_PC) & valid_PC).sum(0),
        valid_PC.sum(0),
        -(log_PCV[:, 0, eos] * is_eos_P).sum().detach(),
        is_eos_P.sum(),
    )


OBJECTIVE = GuidedDistillation
