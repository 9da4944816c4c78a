"""Log probabilities of the tokens that a model would sample, for objectives that compare whole takes.

The likelihood of a take is that of its sampling: at each decoder step the model draws one code of each
channel, independently given the steps before. Hence the log probability of a take is the sum over channels
and frames, plus that of EOS in channel 0. EOS of the other channels is not sampled (the engine writes it at
their delays), and neither are the codes of a voice prompt nor PAD: none of them is part of the sum. A take
that reached its length limit has no EOS.

The logits of at most ``piece`` steps are in memory at a time; the backward pass computes them again.

Legend: B take, T step, C codec channel, P step of a piece, R step of all takes in a row, D width.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dia.network import DiaNetwork
from dia.training.objectives.protocol import DelayedBatch

PIECE = 512  # steps whose logits are in memory at a time


def sampled_targets(targets_BTC: Tensor, eos: int) -> Tensor:
    """Return a mask (B, T, C) of the targets that a model samples: codes, and EOS of channel 0."""
    is_sampled_BTC = targets_BTC < eos
    is_sampled_BTC[..., 0] |= targets_BTC[..., 0] == eos
    return is_sampled_BTC


def token_log_probabilities(network: DiaNetwork, batch: DelayedBatch, piece: int = PIECE) -> Tensor:
    """Return the log probabilities (B, T, C), fp32 or better, of the sampled targets, and 0 elsewhere."""
    features_BTD = network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
    is_sampled_RC = sampled_targets(batch.targets_BTC, network.config.decoder.eos).flatten(0, 1)
    targets_RC = batch.targets_BTC.flatten(0, 1).masked_fill(~is_sampled_RC, 0)
    features_RD = features_BTD.flatten(0, 1)
    pieces = [
        checkpoint(
            _log_probabilities,
            network,
            features_RD[begin : begin + piece],
            targets_RC[begin : begin + piece],
            use_reentrant=False,
        )
        for begin in range(0, len(features_RD), piece)
    ]
    log_RC = torch.cat(pieces) * is_sampled_RC
    return log_RC.view(batch.targets_BTC.shape)


def _log_probabilities(network: DiaNetwork, features_PD: Tensor, targets_PC: Tensor) -> Tensor:
    logits_PCV = network.logits(features_PD)
    logits_PCV = logits_PCV.to(torch.promote_types(logits_PCV.dtype, torch.float32))
    return logits_PCV.log_softmax(-1).gather(-1, targets_PC[..., None])[..., 0]
