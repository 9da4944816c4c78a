"""One decoder step of a batch: read a row of the canvas, draw the next one. Only tensors change, nothing
waits for the device, and shapes stay: so the same function runs as it is, compiled, or captured as a CUDA
graph.

Legend: B item, T step, C codec channel, V ids per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dia.config.sampling import Sampling
from dia.inference.sampling import sample
from dia.network import DiaNetwork
from dia.network.cache import DecoderCache

FREE = -1


@dataclass
class State:
    """What a batch carries beside its cache.

    The canvas (B, T, C) holds the delayed ids: what is known from the start (BOS, the prompt's codes) and
    what has been drawn, ``FREE`` elsewhere. ``uniform_BTC`` are each item's own random numbers, ``prompt_B``
    the frames of its prompt, ``eos_B`` the row in which its channel 0 ended (the number of rows while it has
    not), ``last_eos`` the last row in which it may.
    """

    canvas_BTC: Tensor
    uniform_BTC: Tensor
    prompt_B: Tensor
    eos_B: Tensor
    delays_C: Tensor
    last_eos: int

    def keep(self, rows_B: Tensor) -> None:
        """Keep only these rows of the batch."""
        self.canvas_BTC, self.uniform_BTC = self.canvas_BTC[rows_B], self.uniform_BTC[rows_B]
        self.prompt_B, self.eos_B = self.prompt_B[rows_B], self.eos_B[rows_B]


def advance(network: DiaNetwork, state: State, cache: DecoderCache, sampling: Sampling) -> None:
    """Feed the row at the cache's position and fill the free cells of the next one."""
    here = cache.position.reshape(1)
    tokens_BTC = state.canvas_BTC.index_select(1, here)
    following = here + 1
    tokens_BTC = torch.cat((tokens_BTC, tokens_BTC)) if sampling.guided else tokens_BTC
    logits = network.step(tokens_BTC, cache)[:, -1].float()
    cond_BCV, uncond_BCV = logits.chunk(2) if sampling.guided else (logits, None)
    scale = sampling.scale_at(following - 1 - state.prompt_B) if sampling.cfg_final is not None else None
    uniform_BC = state.uniform_BTC.index_select(1, following)[:, 0]
    drawn_BC = sample(cond_BCV, uncond_BCV, uniform_BC, network.config.decoder.eos, sampling, scale)
    state.canvas_BTC.index_copy_(1, following, _row(drawn_BC, state, network, following).unsqueeze(1))


def _row(drawn_BC: Tensor, state: State, network: DiaNetwork, step: Tensor) -> Tensor:
    """Return row ``step`` (B, C): known cells stay, ended channels get EOS and PAD, the others what was
    drawn.
    """
    ids = network.config.decoder
    known_BC = state.canvas_BTC.index_select(1, step)[:, 0]
    row_BC = torch.where(known_BC == FREE, drawn_BC, known_BC)
    running_B = state.eos_B > step
    first_B = torch.where(running_B & (step >= state.last_eos), ids.eos, row_BC[:, 0])
    state.eos_B.copy_(torch.where((first_B == ids.eos) & running_B, step, state.eos_B))
    row_BC = torch.cat((first_B[:, None], row_BC[:, 1:]), 1)
    since_BC = step - state.eos_B[:, None] - state.delays_C
    return torch.where(since_BC == 0, ids.eos, torch.where(since_BC > 0, ids.pad, row_BC))
