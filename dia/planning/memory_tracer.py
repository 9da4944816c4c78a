"""Peak memory of a training step, measured on fake tensors, which have shapes and no storage.

The traced code is the training code itself, with few layers. A step passes through phases, and the peak of
each phase is linear in the number of encoder and of decoder layers; the peaks of middle layers lie between
those of the first and the last one of a stack. Three traces therefore give the peaks of any depth.

This is our own code because torch's memory trackers need allocated tensors or trace all layers of a model.

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
from dia.network.packing import Packing

MIDDLE = "middle"  # the layers that are neither first nor last
TRACED_LAYERS = 2  # the smallest stack with a first and a last layer
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
PARAMETERS = {"bf16-true": torch.bfloat16, "16-true": torch.float16, "64-true": torch.float64}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of live tensors created inside: ``now``, and ``peak`` since it was last taken.

    Tensors of ``existing`` and views of them do not count.
    """

    def __init__(self, existing: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.now = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet(
            tensor.untyped_storage() for tensor in existing
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def take_peak(self) -> int:
        """Return the peak and reset it to the bytes that are alive now."""
        peak, self.peak = self.peak, self.now
        return peak

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, storage.nbytes())

    def _release(self, size: int) -> None:
        self.now -= size


@dataclass(frozen=True)
class BatchShape:
    """Shape of a padded batch: clips, decoder steps of each, text bytes of each."""

    clips: int
    steps: int
    text_bytes: int


@dataclass
class FakeBatch:
    """A batch of zeros, as an objective reads it: text (B, S), delayed codes (B, T, C).

    Advantages (B,) and old log probabilities (B, T, C) are those of groups of takes.
    """

    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor
    advantages_B: Tensor
    old_log_BTC: Tensor
    packing: Packing | None = None

    @classmethod
    def of(cls, shape: BatchShape, channels: int) -> "FakeBatch":
        """Return a batch of this shape without padding or masked targets."""
        text = (shape.clips, shape.text_bytes)
        codes = (shape.clips, shape.steps, channels)
        return cls(
            torch.zeros(text, dtype=torch.long),
            torch.ones(text, dtype=torch.bool),
            torch.zeros(codes, dtype=torch.long),
            torch.zeros(codes, dtype=torch.long),
            torch.zeros(shape.clips),
            torch.zeros(codes),
        )


Loss = Callable[[DiaNetwork, FakeBatch], Tensor]


@dataclass(frozen=True)
class TraceTarget:
    """The loss of a network, and the frozen networks (teachers) in memory beside it."""

    loss: Loss
    teachers: tuple[nn.Module, ...] = ()


Build = Callable[[DiaConfig], tuple[DiaNetwork, TraceTarget]]
"""Builds the network as it will train, with checkpointing and frozen weights, and its loss."""


@dataclass(frozen=True)
class StepTrace:
    """Bytes of a step beyond weights and optimizer states.

    ``peaks`` are by phase; ``gradients`` those in memory when a phase begins, without earlier batches';
    ``activations`` those saved for the backward pass.
    """

    peaks: dict[str, float]
    gradients: dict[str, float]
    activations: float

    def plus(self, other: "StepTrace", times: float) -> "StepTrace":
        """Return this plus ``times`` the other."""
        return StepTrace(
            {phase: value + times * other.peaks[phase] for phase, value in self.peaks.items()},
            {phase: value + times * other.gradients[phase] for phase, value in self.gradients.items()},
            self.activations + times * other.activations,
        )


def trace_step(
    config: DiaConfig, build: Build, shape: BatchShape, precision: str, *, gradients_held: bool
) -> StepTrace:
    """Return the trace of a step at a config's depth, extrapolated from three traces of few layers.

    ``precision`` is Lightning's name; ``gradients_held`` says that gradients of an earlier batch, or buckets
    for them, are in memory already.
    """

    def trace(encoder_layers: int, decoder_layers: int) -> StepTrace:
        encoder = replace(config.encoder, layers=encoder_layers)
        decoder = replace(config.decoder, layers=decoder_layers)
        small = replace(config, encoder=encoder, decoder=decoder)
        return trace_all_layers(small, build, shape, precision, gradients_held=gradients_held)

    base = trace(TRACED_LAYERS, TRACED_LAYERS)
    per_encoder_layer = trace(TRACED_LAYERS + 1, TRACED_LAYERS).plus(base, -1)
    per_decoder_layer = trace(TRACED_LAYERS, TRACED_LAYERS + 1).plus(base, -1)
    with_encoder = base.plus(per_encoder_layer, config.encoder.layers - TRACED_LAYERS)
    return with_encoder.plus(per_decoder_layer, config.decoder.layers - TRACED_LAYERS)


def trace_all_layers(
    config: DiaConfig, build: Build, shape: BatchShape, precision: str, *, gradients_held: bool
) -> StepTrace:
    """Return the trace of a step of the whole network, which is slow for many layers."""
    with FakeTensorMode():
        with _default_dtype(PARAMETERS.get(precision, torch.float32)):
            network, target = build(config)
        batch = FakeBatch.of(shape, config.channels)
        if gradients_held:
            for parameter in network.parameters():
                parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        teachers = [parameter for module in target.teachers for parameter in module.parameters()]
        with LiveBytes([*network.parameters(), *gradients, *teachers]) as live:
            phases = _Phases(live, network, gradients_held)
            with _autocast(precision):
                loss = target.loss(network, batch)
            phases.begin("head")
            activations = live.now
            loss.backward()
            phases.end()
    return StepTrace(phases.peaks, phases.gradients, float(activations))


def _autocast(precision: str) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", AUTOCAST[precision]) if precision in AUTOCAST else nullcontext()


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)


class _Phases:
    """Records the peak whenever the backward pass enters one of the outermost layers."""

    def __init__(self, live: LiveBytes, network: DiaNetwork, gradients_held: bool) -> None:
        self.live, self.network, self.gradients_held = live, network, gradients_held
        self.peaks: dict[str, float] = {}
        self.gradients: dict[str, float] = {}
        self.phase = MIDDLE
        self.begin("forward")
        for stack, layers in (("decoder", network.decoder.layers), ("encoder", network.encoder.layers)):
            phases = {len(layers) - 1: f"{stack} top", 0: f"{stack} bottom"}
            for number, layer in enumerate(layers):
                self._watch(layer, phases.get(number, MIDDLE))
        self._watch(network.decoder.embeddings, "embeddings")
        self._watch(network.encoder.norm, "text")

    def begin(self, phase: str) -> None:
        """End the current phase and begin another."""
        self.end()
        self.phase = phase
        if phase != MIDDLE:
            self.gradients[phase] = 0.0 if self.gradients_held else float(self._gradient_bytes())

    def end(self) -> None:
        """Record the peak of the current phase."""
        peak = self.live.take_peak()
        if self.phase != MIDDLE:
            self.peaks[self.phase] = max(peak, self.peaks.get(self.phase, 0.0))

    def _watch(self, layer: nn.Module, phase: str) -> None:
        """Begin ``phase`` when the gradient of the layer's output arrives: its backward pass starts then."""

        def watch_output(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.requires_grad and not self._in_backward:
                output.register_hook(lambda gradient: self.begin(phase))

        layer.register_forward_hook(watch_output)

    @property
    def _in_backward(self) -> bool:
        return self.phase != "forward"

    def _gradient_bytes(self) -> int:
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        return sum(gradient.untyped_storage().nbytes() for gradient in gradients)
