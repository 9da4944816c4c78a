"""One decoder step of a batch: read a row of the canvas, sample the next row.

The step changes tensors only, never waits for the device and keeps all shapes, so that the same function runs
eagerly, compiled, or captured as a CUDA graph.

Legend: B item, T step, C codec channel, V ids per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dia.codecs.delay import frame_at
from dia.config.sampling import Sampling
from dia.inference.sampling import NOT_FINITE, guidance_scale, sample
from dia.network import DiaNetwork
from dia.network.cache import DecoderCache

FREE = -1
FAILED = -(1 << 30)  # of ``eos_B``: an item whose logits were not finite; it ends at once


@dataclass
class DecodingState:
    """The tensors of a batch that decoding carries from step to step, beside its key-value cache.

    Attributes:
        canvas_BTC: Delayed ids: those known from the start (BOS, the prompt's codes), those drawn so far, and
            ``FREE`` elsewhere.
        uniform_BTC: Random numbers in 0..1, from each item's own seed.
        prompt_B: Frames of each item's prompt.
        eos_B: The row in which channel 0 ended; the number of rows as long as it has not; ``FAILED`` for an
        item
            whose logits were not finite.
        delays_C: Delay of each channel in steps.
        last_eos_B: The last row in which channel 0 of an item may end.
    """

    canvas_BTC: Tensor
    uniform_BTC: Tensor
    prompt_B: Tensor
    eos_B: Tensor
    delays_C: Tensor
    last_eos_B: Tensor

    def select(self, rows_B: Tensor) -> None:
        """Reduce the batch to these rows."""
        self.canvas_BTC = self.canvas_BTC[rows_B]
        self.uniform_BTC = self.uniform_BTC[rows_B]
        self.prompt_B = self.prompt_B[rows_B]
        self.eos_B = self.eos_B[rows_B]
        self.last_eos_B = self.last_eos_B[rows_B]

    def append(self, other: "DecodingState") -> None:
        """Add the items of another state, with as many rows, after those of this one."""
        for name in ("canvas_BTC", "uniform_BTC", "prompt_B", "eos_B", "last_eos_B"):
            setattr(self, name, torch.cat((getattr(self, name), getattr(other, name))))


def rows_per_item(sampling: Sampling) -> int:
    """Return how many rows an item has in the network's batch: with guidance two, first the conditional."""
    return 2 if sampling.guided else 1


def decode_step(network: DiaNetwork, state: DecodingState, cache: DecoderCache, sampling: Sampling) -> None:
    """Feed each item's row at its position in the cache and fill the free cells of the next, in place."""
    items_B = torch.arange(len(state.eos_B), device=state.eos_B.device)
    rows = rows_per_item(sampling)
    here_B = cache.position_B[::rows].clone()  # the decoder advances the cache's
    tokens_BTC = state.canvas_BTC[items_B, here_B].unsqueeze(1)
    following_B = here_B + 1
    logits = network.next_logits(tokens_BTC.repeat_interleave(rows, 0), cache)[:, -1].float()
    cond_BCV, uncond_BCV = (logits[::2], logits[1::2]) if sampling.guided else (logits, None)
    scale = None
    if sampling.cfg_final is not None:
        scale = guidance_scale(sampling, here_B - state.prompt_B)
    uniform_BC = state.uniform_BTC[items_B, following_B]
    drawn_BC = sample(cond_BCV, uncond_BCV, uniform_BC, network.config.decoder.eos, sampling, scale)
    known_BC = state.canvas_BTC[items_B, following_B]
    row_BC = _row(torch.where(known_BC == FREE, drawn_BC, known_BC), state, network, following_B)
    state.canvas_BTC.index_put_((items_B, following_B), row_BC)


def _row(row_BC: Tensor, state: DecodingState, network: DiaNetwork, step_B: Tensor) -> Tensor:
    """Return each item's row ``step_B`` (B, C): ended channels are EOS and PAD, the others stay."""
    ids = network.config.decoder
    running_B = state.eos_B > step_B
    first_B = torch.where(running_B & (step_B >= state.last_eos_B), ids.eos, row_BC[:, 0])
    eos_B = torch.where((first_B == ids.eos) & running_B, step_B, state.eos_B)
    # rows after the end of an item are padding, so that no id outside of the embedding is fed
    state.eos_B.copy_(torch.where((row_BC == NOT_FINITE).any(1), FAILED, eos_B))
    row_BC = torch.cat((first_B[:, None], row_BC[:, 1:]), 1)
    since_eos_BC = frame_at(step_B[:, None], state.delays_C) - state.eos_B[:, None]
    return torch.where(since_eos_BC == 0, ids.eos, torch.where(since_eos_BC > 0, ids.pad, row_BC))
