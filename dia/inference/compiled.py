"""How a step runs: as it is, or compiled, and on a GPU captured as a CUDA graph. Which it is changes no
token.

A step of Dia is hundreds of small kernels around a few large products. On a GPU launching them costs more
than running them (an H100 without graphs was reported slower than a 3090, devnen/Dia-TTS-Server issue 19), so
there the whole step is one graph. A graph knows its buffers by address: it is captured anew when a batch
becomes smaller or a cache grows, once a block at most.
"""

from collections.abc import Callable
from functools import cache

import torch

from dia.config.sampling import Sampling
from dia.inference.step import State, advance
from dia.network import DiaNetwork
from dia.network.cache import BLOCK, DecoderCache
from dia.network.layers import attend_without_plans

COMPILED_BLOCK = 512  # steps between two shapes: fewer of them for a little more attention
WARM_UP = 2  # steps before a capture, as torch.cuda.graphs asks for


@cache
def compiled_advance() -> Callable[[DiaNetwork, State, DecoderCache, Sampling], None]:
    """Return the compiled step, one for the process, which compiles again for other networks, values and
    shapes.
    """
    return torch.compile(advance, fullgraph=True)


class StepRunner:
    """Runs the steps of one batch. ``block`` are the steps between two shapes that a cache should have."""

    def __init__(self, compiled: bool, device: torch.device) -> None:
        self.step = compiled_advance() if compiled else advance
        self.block = COMPILED_BLOCK if compiled else BLOCK
        self.graphed = compiled and device.type == "cuda"
        self.graph: torch.cuda.CUDAGraph | None = None
        self.bound: tuple[int, ...] = ()
        self.warm = 0
        if device.type == "cuda":
            attend_without_plans()

    def advance(self, network: DiaNetwork, state: State, cache: DecoderCache, sampling: Sampling) -> None:
        """Take one step."""
        if not self.graphed:
            self.step(network, state, cache, sampling)
            return
        if (buffers := _buffers(state, cache)) != self.bound:
            self.bound, self.warm, self.graph = buffers, 0, None
        if self.graph is None and self.warm < WARM_UP:
            self.warm += 1
            self.step(network, state, cache, sampling)
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # records the step and does not run it
                self.step(network, state, cache, sampling)
        self.graph.replay()


def _buffers(state: State, cache: DecoderCache) -> tuple[int, ...]:
    """What a graph is bound to: where the buffers lie, and how much of them attention looks at."""
    return state.canvas_BTC.data_ptr(), cache.layers[0].keys_BKTH.data_ptr(), cache.visible
