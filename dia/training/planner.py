"""What a run will take, before anything is allocated: memory on each GPU by part, operations, hours, money.

Weights, gradients and optimizer states are counted; activations come from a trace of the code that trains
(dia/training/memory_trace.py), so a change of the network changes the plan. Buffers of several processes are counted from what
dia/training/parallel.py asks for. Times are what the operations take at an assumed MFU, no measurement.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dia.network import DiaConfig, DiaNetwork
from dia.training.flops import PEAK_FLOPS, recomputed_flops, training_flops
from dia.training.loss import channel_weights
from dia.training.memory import checkpoint_activations
from dia.training.memory_trace import AUTOCAST, PARAMETERS, BatchShape, FakeBatch, Traced, trace_step
from dia.training.objective import CrossEntropy
from dia.training.plan_settings import PlanConfig

GIGABYTE = 1e9
FP32 = 4  # bytes


@dataclass(frozen=True)
class Job:
    """What is planned: the keys of a run that memory and time depend on."""

    gpus: int
    strategy: str
    precision: str
    activations: str
    optimizer: str
    frames: int
    """Padded decoder steps of a micro-batch, on one GPU."""
    accumulate: int
    steps: int
    averaged: bool = False


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU when it holds most, by part; ``when`` is the phase of the step."""

    parts: dict[str, float]
    when: str

    @property
    def total(self) -> float:
        """Bytes of tensors, the reserve left out."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Work:
    """An optimizer step on all GPUs: operations of the clips themselves, all operations that are made, codec frames."""

    flops: float
    made: float
    frames: float


OPTIMIZERS: dict[str, Callable[[float], float]] = {
    "adamw": lambda weights: weights * 2 * FP32,
    "adamw8bit": lambda weights: weights * (2 + 2 * FP32 / 256),
    "muon": lambda weights: weights * FP32,
}
"""Bytes of states by optimizer for so many weights: two fp32 moments; two of a byte, with a scale for each 256 (torchao); one
fp32 moment, as nearly all weights are in the matrices that Muon takes."""


PARTS = {
    "text encoder": r"^encoder\.",
    "decoder self-attention": r"\.self_attention\.",
    "decoder cross-attention": r"\.cross_attention\.",
    "decoder feed-forward": r"\.mlp\.",
    "code embeddings": r"\.embeddings\.",
    "head": r"^logits_dense\.",
    "decoder norms": r"norm\.",
}
"""Parts of the network, each with what the names of its weights match; the first that does counts."""


class Planner:
    """Plans of one network. Traces are kept: plans that differ in strategy or optimizer share them."""

    def __init__(self, model: DiaConfig, settings: PlanConfig, frame_rate: float) -> None:
        self.model, self.settings, self.frame_rate = model, settings, frame_rate
        self.parameters = parameters_by_part(model)
        self.weights = sum(self.parameters.values())
        self._traces: dict[tuple[BatchShape, str, str, bool], Traced] = {}

    def shape(self, job: Job) -> BatchShape:
        """Return the usual batch within the budget: as many usual clips as fit, at least one."""
        tail = 1 + max(self.model.delays)
        steps = min(round(self.settings.clip_seconds * self.frame_rate) + tail, self.model.decoder.max_positions, job.frames)
        size = round(max(1, steps - tail) / self.frame_rate * self.settings.text_bytes_a_second)
        return BatchShape(max(1, job.frames // steps), steps, min(max(1, size), self.model.encoder.max_positions))

    def memory(self, job: Job) -> Memory:
        """Return what one GPU holds at the worst moment of a step."""
        share = job.gpus if job.strategy == "fsdp2" else 1
        each, held = parameter_bytes(job.precision), held_gradients(job)
        traced = self._traced(self.shape(job), job.precision, job.activations, held)
        when = max(traced.peaks, key=lambda phase: traced.peaks[phase])
        whole = self.weights * each / share
        gradients = whole if held else traced.gradients[when]
        moving = traced.peaks[when] - (0.0 if held else gradients)
        if gradients + moving < whole:  # the optimizer's own moment: all gradients, nothing of the activations
            when, gradients, moving = "optimizer", whole, 0.0
        kept = min(traced.kept, moving)
        parts = {
            "weights": whole,
            "gradients": gradients,
            "optimizer states": OPTIMIZERS[job.optimizer](self.weights / share),
            "average of the weights": whole if job.averaged else 0.0,
            "activations kept": kept,
            "logits and workspace": moving - kept,
            "gathered layers": gathered_bytes(self.model, each) if share > 1 else 0.0,
        }
        return Memory(parts, when)

    def work(self, job: Job) -> Work:
        """Return the operations and frames of an optimizer step."""
        shape, own = self.shape(job), 1 - self.settings.padding
        clips = [(shape.steps, shape.text_bytes)] * shape.clips
        batches, frames = job.gpus * job.accumulate, shape.clips * (shape.steps - 1 - max(self.model.delays))
        flops, again = training_flops(self.model, clips), recomputed_flops(self.model, clips, job.activations)
        return Work(flops * own * batches, (flops + again) * batches, frames * own * batches)

    def hours(self, job: Job, gpu: str) -> float:
        """Return the hours of all steps on GPUs of this name."""
        reached = self.settings.mfu * PEAK_FLOPS[gpu][product_kind(job.precision)] * job.gpus
        return job.steps * self.work(job).made / reached / 3600

    def fits(self, job: Job) -> bool:
        """Whether memory and reserve are within a GPU's."""
        return self.memory(job).total + self.settings.reserve_gb * GIGABYTE <= self.settings.memory_gb * GIGABYTE

    def _traced(self, shape: BatchShape, precision: str, activations: str, held: bool) -> Traced:
        key = shape, precision, activations, held
        if key not in self._traces:

            def build(config: DiaConfig) -> DiaNetwork:
                network = DiaNetwork(config)
                checkpoint_activations(network, activations)
                return network

            self._traces[key] = trace_step(self.model, build, weighted_sum, shape, precision, held)
        return self._traces[key]


def weighted_sum(network: DiaNetwork, batch: FakeBatch) -> Tensor:
    """What a step takes the gradient of (dia/training/dia_task.py)."""
    weights_C = channel_weights(network.config.channels, 4.0)
    return (weights_C * CrossEntropy(4.0)(network, batch).cross_entropy_C).sum()


def held_gradients(job: Job) -> bool:
    """Whether gradients are there before a backward pass: of an earlier batch, as DDP's buckets, or as shards."""
    return job.strategy != "single" or job.accumulate > 1


def parameter_bytes(precision: str) -> int:
    """Return the bytes of a weight: under autocast they stay fp32."""
    return PARAMETERS.get(precision, torch.float32).itemsize


def product_kind(precision: str) -> str:
    """Return the data sheet's name of the products in a precision."""
    return "half" if precision in AUTOCAST or PARAMETERS.get(precision, torch.float32).itemsize == 2 else "fp32"


def gathered_bytes(model: DiaConfig, each: int) -> float:
    """Return what FSDP2 gathers at a time: of the largest layer the one at hand, the next one, and as much of their gradients on
    its way into shards; of what belongs to no layer the weights and the gradients, all the time.
    """
    with torch.device("meta"):
        network = DiaNetwork(model)
    layers = [_count(layer) for layer in (*network.encoder.layers, *network.decoder.layers)]
    return each * (4.0 * max(layers) + 2.0 * (_count(network) - sum(layers)))


def parameters_by_part(model: DiaConfig) -> dict[str, int]:
    """Return the number of weights by part of the network; nothing is allocated."""
    with torch.device("meta"):
        network = DiaNetwork(model)
    found = dict.fromkeys(PARTS, 0)
    for name, parameter in network.named_parameters():
        found[next(part for part, pattern in PARTS.items() if re.search(pattern, name))] += parameter.numel()
    return found


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
