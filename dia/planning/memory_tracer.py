"""Peak memory of a training step, found without taking any: the step runs on tensors that have shapes and no
contents.

What is traced is the code that trains, for few layers. A step goes through phases, and the highest that each
of them needs is a straight line in the number of encoder and of decoder layers; what lies between the first
and the last layer of a stack lies between their peaks too. Three traces therefore give the peaks of any
depth.

Legend: B clip, T step, S text byte, C codec channel.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dia.network import DiaConfig, DiaNetwork

BETWEEN = "between"  # the layers that are neither first nor last
FEW = 2  # layers of a stack that has a first and a last one
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
PARAMETERS = {"bf16-true": torch.bfloat16, "16-true": torch.float16, "64-true": torch.float64}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors made inside that are alive: ``now``, and the ``peak`` since it was last
    taken.

    What stands in ``before`` was there already and counts as nothing, nor do views of it.
    """

    def __init__(self, before: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet(
            tensor.untyped_storage() for tensor in before
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return made

    def take_peak(self) -> int:
        """Return the peak and begin a new one from what is alive now."""
        peak, self.peak = self.peak, self.now
        return peak

    def _see(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, size: int) -> None:
        self.now -= size


@dataclass(frozen=True)
class BatchShape:
    """A padded batch: clips, decoder steps and text bytes of each."""

    clips: int
    steps: int
    text_bytes: int


@dataclass
class FakeBatch:
    """A batch of that shape with nothing in it, as an objective reads it."""

    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor

    @classmethod
    def of(cls, shape: BatchShape, channels: int) -> "FakeBatch":
        """Return the batch; all of it is asked for."""
        text = (shape.clips, shape.text_bytes)
        codes = (shape.clips, shape.steps, channels)
        return cls(
            torch.zeros(text, dtype=torch.long), torch.ones(text, dtype=torch.bool),
            torch.zeros(codes, dtype=torch.long), torch.zeros(codes, dtype=torch.long),
        )  # fmt: skip


Loss = Callable[[DiaNetwork, FakeBatch], Tensor]


@dataclass(frozen=True)
class Asked:
    """What a network is asked for, and the other networks that are there for it (a teacher)."""

    loss: Loss
    beside: tuple[nn.Module, ...] = ()


Build = Callable[[DiaConfig], tuple[DiaNetwork, Asked]]
"""Makes the network that trains, checkpointed and frozen as it will be, and what it is asked for."""


@dataclass(frozen=True)
class Traced:
    """Bytes beyond the weights and the optimizer: the peak of each phase, the gradients held when a phase
    begins (those of earlier batches left out), and what is kept for the backward pass."""

    peaks: dict[str, float]
    gradients: dict[str, float]
    kept: float

    def plus(self, other: "Traced", times: float) -> "Traced":
        """Return this with ``times`` the other added."""
        return Traced(
            {phase: value + times * other.peaks[phase] for phase, value in self.peaks.items()},
            {phase: value + times * other.gradients[phase] for phase, value in self.gradients.items()},
            self.kept + times * other.kept,
        )


def trace_step(config: DiaConfig, build: Build, shape: BatchShape, precision: str, held: bool) -> Traced:
    """Return what a step takes at a config's depth.

    ``precision`` is Lightning's name; ``held`` says that gradients of an earlier batch, or buckets for them,
    are there already.
    """

    def traced(encoder_layers: int, decoder_layers: int) -> Traced:
        encoder = replace(config.encoder, layers=encoder_layers)
        small = replace(config, encoder=encoder, decoder=replace(config.decoder, layers=decoder_layers))
        return trace_whole(small, build, shape, precision, held)

    base = traced(FEW, FEW)
    per_encoder_layer, per_decoder_layer = (
        traced(FEW + 1, FEW).plus(base, -1),
        traced(FEW, FEW + 1).plus(base, -1),
    )
    grown = base.plus(per_encoder_layer, config.encoder.layers - FEW)
    return grown.plus(per_decoder_layer, config.decoder.layers - FEW)


def trace_whole(config: DiaConfig, build: Build, shape: BatchShape, precision: str, held: bool) -> Traced:
    """Return the same by a trace of all layers, which takes its time for many."""
    with FakeTensorMode():
        with _parameters_of(PARAMETERS.get(precision, torch.float32)):
            network, asked = build(config)
        batch = FakeBatch.of(shape, config.channels)
        if held:
            for parameter in network.parameters():
                parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        beside = [parameter for module in asked.beside for parameter in module.parameters()]
        with LiveBytes([*network.parameters(), *gradients, *beside]) as live:
            phases = _Phases(live, network, held)
            with _autocast(precision):
                result = asked.loss(network, batch)
            phases.begin("head")
            kept = live.now
            result.backward()
            phases.end()
    return Traced(phases.peaks, phases.gradients, float(kept))


def _autocast(precision: str) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", AUTOCAST[precision]) if precision in AUTOCAST else nullcontext()


@contextmanager
def _parameters_of(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class _Phases:
    """Takes the peak whenever the backward pass enters another of the outermost layers."""

    def __init__(self, live: LiveBytes, network: DiaNetwork, held: bool) -> None:
        self.live, self.network, self.held = live, network, held
        self.peaks: dict[str, float] = {}
        self.gradients: dict[str, float] = {}
        self.phase = BETWEEN
        self.begin("forward")
        for stack, layers in (("decoder", network.decoder.layers), ("encoder", network.encoder.layers)):
            places = {len(layers) - 1: f"{stack} top", 0: f"{stack} bottom"}
            for place, layer in enumerate(layers):
                self._watch(layer, places.get(place, BETWEEN))
        self._watch(network.decoder.embeddings, "embeddings")
        self._watch(network.encoder.norm, "text")

    def begin(self, phase: str) -> None:
        """End the phase at hand and begin another."""
        self.end()
        self.phase = phase
        if phase != BETWEEN:
            self.gradients[phase] = 0.0 if self.held else float(self._gradient_bytes())

    def end(self) -> None:
        """Write down the peak of the phase at hand."""
        peak = self.live.take_peak()
        if self.phase != BETWEEN:
            self.peaks[self.phase] = max(peak, self.peaks.get(self.phase, 0.0))

    def _watch(self, layer: nn.Module, phase: str) -> None:
        """Begin ``phase`` when the gradient of the layer's output is there, which is when its backward pass
        begins.
        """

        def watch_output(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.requires_grad and not self._in_backward:
                output.register_hook(lambda gradient: self.begin(phase))

        layer.register_forward_hook(watch_output)

    @property
    def _in_backward(self) -> bool:
        return self.phase != "forward"

    def _gradient_bytes(self) -> int:
        found = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        return sum(gradient.untyped_storage().nbytes() for gradient in found)
