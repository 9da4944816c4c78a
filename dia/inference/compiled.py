"""Run decoder steps eagerly, compiled, or on a GPU as a CUDA graph; the sampled codes are the same.

A step of Dia is hundreds of small kernels around a few large matrix products. On a GPU launching them takes
longer than running them (an H100 without graphs was reported slower than a 3090, devnen/Dia-TTS-Server issue
19), so there the whole step is one graph. A graph is bound to the addresses of its buffers: it is captured
again when a batch shrinks or a cache grows, at most once per block of steps.
"""

from collections.abc import Callable
from functools import cache

import torch

from dia.config.sampling import Sampling
from dia.inference.step import DecodingState, decode_step
from dia.native import native_products
from dia.network import DiaNetwork
from dia.network.cache import BLOCK, DecoderCache
from dia.network.layers import disable_cudnn_attention
from dia.network.linear import Linear

COMPILED_BLOCK = 512  # steps between two shapes: fewer compilations for slightly more attention
WARM_UP = 2  # eager steps before a capture, which torch.cuda.graphs requires


@cache
def compiled_step() -> Callable[[DiaNetwork, DecodingState, DecoderCache, Sampling], None]:
    """Return the compiled step of this process; it compiles again for other networks, values and shapes."""
    return torch.compile(decode_step, fullgraph=True)


class StepRunner:
    """Runs the steps of one batch.

    Attributes:
        block: The number of steps after which the shapes of the cache may change.
    """

    def __init__(self, network: DiaNetwork, compiled: bool, device: torch.device) -> None:
        self.step = compiled_step() if compiled else decode_step
        self.block = COMPILED_BLOCK if compiled else BLOCK
        self.graphed = compiled and device.type == "cuda"
        self.graph: torch.cuda.CUDAGraph | None = None
        self.bound_buffers: tuple[int, ...] = ()
        self.warm_up_steps = 0
        if device.type == "cuda":
            disable_cudnn_attention()
        if compiled and device.type == "cpu":
            native_products()  # before the graph, which cannot load them
            for module in network.modules():
                if isinstance(module, Linear):
                    module.use_huge_pages()

    def run(self, network: DiaNetwork, state: DecodingState, cache: DecoderCache, sampling: Sampling) -> None:
        """Run one step."""
        if not self.graphed:
            self.step(network, state, cache, sampling)
            return
        if (buffers := _buffers(state, cache)) != self.bound_buffers:
            self.bound_buffers = buffers
            self.warm_up_steps = 0
            self.graph = None
        if self.graph is None and self.warm_up_steps < WARM_UP:
            self.warm_up_steps += 1
            self.step(network, state, cache, sampling)
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # records the step without running it
                self.step(network, state, cache, sampling)
        self.graph.replay()


def _buffers(state: DecodingState, cache: DecoderCache) -> tuple[int, ...]:
    """Return what a graph is bound to: the addresses of its buffers, and how many steps attention reads."""
    return state.canvas_BTC.data_ptr(), cache.layers[0].keys_BKTH.data_ptr(), cache.visible
