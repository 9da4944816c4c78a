"""Auxiliary loss on cross-attention: the audio moves through the text from its beginning to its end.

The loss of a clip is the negative log likelihood of all monotonic paths through its text, which the CTC
forward algorithm sums (Badlani et al. 2021, arXiv 2108.10447; for a decoder of codec tokens with
cross-attention Neekhara et al. 2024, arXiv 2406.17957). A path visits units of two bytes in order and may
leave them (the blank) at pauses and sounds. Training without it learns the alignment from the codes alone,
which takes most of the training of a small model.

Legend: B clip, T step, S text byte, G unit of text, N head, H head width, C codec channel.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dia.training.objectives.protocol import DelayedBatch

UNIT = 2  # bytes; speech has up to 20 bytes a second, and a path needs a step for each unit
BLANK = -1.0  # logit of the blank, as in the papers
EXCLUDED = -1e4  # logit of what a sequence does not have


def alignment_loss(
    recorded: Sequence[tuple[Tensor, Tensor]], batch: DelayedBatch, heads: int, eos: int
) -> Tensor:
    """Return the summed loss () in nats over the clips of a batch, the mean over layers and heads.

    A clip without text or without its end has no part in it. A clip with fewer steps than units has none
    either, for it has no path.

    Args:
        recorded: Queries (B, N, T, H) and keys (B, N, S, H) of each layer; (1, ...) of a packed batch.
        batch: The batch that they belong to.
        heads: The loss applies to this many heads of each layer, the first ones.
        eos: Id of the end in targets.
    """
    sequences = [
        _log_probabilities(clip_queries, clip_keys)
        for queries, keys in recorded
        for clip_queries, clip_keys in _clips(queries[:, :heads], keys[:, :heads], batch, eos)
    ]
    if not sequences:
        return recorded[0][0].sum() * 0.0
    widest = max(sequence.shape[-1] for sequence in sequences)
    units = [sequence.shape[-1] - 1 for sequence in sequences for _ in range(heads)]
    steps = [sequence.shape[1] for sequence in sequences for _ in range(heads)]
    padded = [
        F.pad(head, (0, widest - head.shape[-1]), value=EXCLUDED)
        for sequence in sequences
        for head in sequence
    ]
    losses = F.ctc_loss(
        pad_sequence(padded),
        torch.cat([torch.arange(1, count + 1) for count in units]).to(padded[0].device),
        torch.tensor(steps),
        torch.tensor(units),
        reduction="sum",
        zero_infinity=True,
    )
    return losses / (heads * len(recorded))


def _clips(
    queries_BNTH: Tensor, keys_BNSH: Tensor, batch: DelayedBatch, eos: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield queries (N, T, H) and keys (N, S, H) of each clip with text and an end, without its padding."""
    targets_BT = batch.targets_BTC[..., 0]
    if batch.packing is None:
        step_spans = [(row, 0, targets_BT.shape[1]) for row in range(len(targets_BT))]
        text_spans = [(row, 0, length) for row, length in enumerate(batch.text_mask_BS.sum(1).tolist())]
    else:
        step_spans, text_spans = _spans(batch.packing.steps), _spans(batch.packing.text)
    for (row, begin, end), (_, first, last) in zip(step_spans, text_spans, strict=True):
        ends = (targets_BT[row, begin:end] == eos).nonzero()
        if len(ends) and batch.text_BS[row, first:last].any():
            yield queries_BNTH[row, :, begin : begin + int(ends[0]) + 1], keys_BNSH[row, :, first:last]


def _spans(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (row, begin, end) of each part of a row."""
    begins = [sum(lengths[:index]) for index in range(len(lengths))]
    return [(0, begin, begin + length) for begin, length in zip(begins, lengths, strict=True)]


def _log_probabilities(queries_NTH: Tensor, keys_NSH: Tensor) -> Tensor:
    """Return log probabilities (N, T, 1 + G), fp32 or better, of the blank and of each unit of text."""
    wide = torch.promote_types(queries_NTH.dtype, torch.float32)
    with torch.autocast(queries_NTH.device.type, enabled=False):
        logits_NTS = queries_NTH.to(wide) @ keys_NSH.to(wide).transpose(1, 2)
    missing = -logits_NTS.shape[-1] % UNIT
    units_NTG = F.pad(logits_NTS, (0, missing), value=EXCLUDED).unflatten(-1, (-1, UNIT)).logsumexp(-1)
    blank_NT1 = torch.full_like(units_NTG[..., :1], BLANK)
    return torch.cat((blank_NT1, units_NTG), -1).log_softmax(-1)
