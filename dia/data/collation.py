"""Collation: clips with delayed codes become one padded batch.

A clip: codes (L, C) -> [BOS row, codes, EOS row] -> delay pattern -> inputs (all rows but the last) and
targets (all but the first). Each channel has exactly L + 1 targets, with EOS at step L + delay. Text dropout
sets the ids of a sample to zero and keeps its mask, as unconditional inference does.

Legend: B clip, S text byte, T step, C codec channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dia.codecs.delay import delay, frame_at
from dia.dialogue.text import PAD_ID
from dia.network import DiaConfig


@dataclass(frozen=True)
class Example:
    """One clip: its id, text bytes (S,) and codes (L, C), both int64.

    The first ``prompt_frames`` are a voice prompt, which is not part of the loss. A clip that has not
    ``ended`` reached the length limit of a model: it has no EOS.
    """

    id: str
    text_S: Tensor
    codes_TC: Tensor
    prompt_frames: int = 0
    ended: bool = True


@dataclass
class Batch:
    """Padded clips. ``text_mask_BS`` is true for text; targets PAD and BOS are not part of the loss."""

    ids: list[str]
    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor


def collate(examples: list[Example], dropped: list[bool], config: DiaConfig) -> Batch:
    """Pad clips to one batch. ``dropped`` marks the samples whose text ids are set to zero."""
    ids = config.decoder
    delayed = [_delayed(example, config) for example in examples]
    tokens_BTC = torch.nn.utils.rnn.pad_sequence(delayed, batch_first=True, padding_value=ids.pad)
    texts = [
        torch.zeros_like(example.text_S) if drop else example.text_S
        for example, drop in zip(examples, dropped, strict=True)
    ]
    lengths = torch.tensor([len(text) for text in texts])
    text_BS = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=PAD_ID)
    targets_BTC = tokens_BTC[:, 1:]
    prompts_B = torch.tensor([example.prompt_frames for example in examples])
    if prompts_B.any():
        frames_TC = frame_at(torch.arange(targets_BTC.shape[1])[:, None], torch.tensor(config.delays))
        targets_BTC = targets_BTC.masked_fill(frames_TC < prompts_B[:, None, None], ids.pad)
    return Batch(
        [example.id for example in examples],
        text_BS,
        torch.arange(text_BS.shape[1]) < lengths[:, None],
        tokens_BTC[:, :-1],
        targets_BTC,
    )


def _delayed(example: Example, config: DiaConfig) -> Tensor:
    """Return the delayed rows (T, C) of a clip, from BOS to EOS."""
    ids = config.decoder
    bos, eos = (torch.full((1, config.channels), token) for token in (ids.bos, ids.eos))
    rows = (bos, example.codes_TC, eos) if example.ended else (bos, example.codes_TC)
    return delay(torch.cat(rows)[None], config.delays, ids.bos, ids.pad)[0]


def decoder_steps(frames: int, config: DiaConfig) -> int:
    """Return the decoder steps of a clip of ``frames``: with BOS, up to the EOS of the last channel."""
    return frames + 1 + max(config.delays)
