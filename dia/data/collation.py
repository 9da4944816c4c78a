"""Collation: clips with delayed codes become one batch, padded or packed.

A clip: codes (L, C) -> [BOS row, codes, EOS row] -> delay pattern -> inputs (all rows but the last) and
targets (all but the first). Each channel has exactly L + 1 targets, with EOS at step L + delay. Text dropout
sets the ids of a sample to zero and keeps its mask, as unconditional inference does.

Legend: B clip, S text byte, T step, C codec channel.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dia.codecs.delay import delay, frame_at
from dia.dialogue.text import PAD_ID
from dia.network import DiaConfig
from dia.network.packing import Packing


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
    """Padded clips, or with ``packing`` clips one after another in one row (B = 1).

    ``text_mask_BS`` is true for text; targets PAD and BOS are not part of the loss.
    """

    ids: list[str]
    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor
    packing: Packing | None = None


def collate(
    examples: list[Example], dropped: list[bool], config: DiaConfig, *, packed: bool = False
) -> Batch:
    """Return clips as one batch, padded or packed. ``dropped`` marks those without text."""
    ids = [example.id for example in examples]
    tokens = [_delayed(example, config) for example in examples]
    inputs = [tokens_TC[:-1] for tokens_TC in tokens]
    targets = [_targets(*pair, config) for pair in zip(tokens, examples, strict=True)]
    texts = [
        torch.zeros_like(example.text_S) if drop else example.text_S
        for example, drop in zip(examples, dropped, strict=True)
    ]
    if packed:
        packing = Packing([len(text) for text in texts], [len(steps) for steps in inputs])
        text_1S = torch.cat(texts)[None]
        mask_1S = torch.ones_like(text_1S, dtype=torch.bool)
        return Batch(ids, text_1S, mask_1S, torch.cat(inputs)[None], torch.cat(targets)[None], packing)
    pad = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
    text_BS = pad(texts, padding_value=PAD_ID)
    lengths_B = torch.tensor([len(text) for text in texts])
    mask_BS = torch.arange(text_BS.shape[1]) < lengths_B[:, None]
    inputs_BTC, targets_BTC = (pad(steps, padding_value=config.decoder.pad) for steps in (inputs, targets))
    return Batch(ids, text_BS, mask_BS, inputs_BTC, targets_BTC)


def _targets(tokens_TC: Tensor, example: Example, config: DiaConfig) -> Tensor:
    """Return what follows each step of the delayed rows of a clip, PAD where that is its voice prompt."""
    targets_TC = tokens_TC[1:]
    if not example.prompt_frames:
        return targets_TC
    frames_TC = frame_at(torch.arange(len(targets_TC))[:, None], torch.tensor(config.delays))
    return targets_TC.masked_fill(frames_TC < example.prompt_frames, config.decoder.pad)


def _delayed(example: Example, config: DiaConfig) -> Tensor:
    """Return the delayed rows (T, C) of a clip, from BOS to EOS."""
    ids = config.decoder
    bos, eos = (torch.full((1, config.channels), token) for token in (ids.bos, ids.eos))
    rows = (bos, example.codes_TC, eos) if example.ended else (bos, example.codes_TC)
    return delay(torch.cat(rows)[None], config.delays, ids.bos, ids.pad)[0]


def decoder_steps(frames: int, config: DiaConfig) -> int:
    """Return the decoder steps of a clip of ``frames``: with BOS, up to the EOS of the last channel."""
    return frames + 1 + max(config.delays)
