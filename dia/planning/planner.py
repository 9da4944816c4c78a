"""What a run will take, before anything is allocated: memory on each GPU by part, operations, hours, money.

Weights, gradients and optimizer states are counted; activations come from a trace of the code that trains
(dia/planning/memory_tracer.py), so a change of the network changes the plan. Buffers of several processes are
counted from what dia/training/distributed.py asks for. Times are what the operations take at an assumed MFU,
no measurement.
"""

from dataclasses import dataclass

import torch

from dia.config.planning import PlanConfig
from dia.planning.memory_tracer import AUTOCAST, PARAMETERS, BatchShape, trace_step
from dia.planning.memory_tracer import Traced as TracedStep
from dia.planning.model_stats import FP32, Trained, count_of
from dia.training.flops import PEAK_FLOPS, forward_flops, recomputed_flops, training_flops

GIGABYTE = 1e9


@dataclass(frozen=True)
class Job:
    """What is planned: the keys of a run that memory and time depend on, beside what is trained."""

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
    """An optimizer step on all GPUs: operations of the clips themselves, all operations that are made, codec
    frames.
    """

    flops: float
    made: float
    frames: float


class Planner:
    """Plans of one network. Traces are kept: plans that differ in strategy or optimizer share them."""

    def __init__(self, trained: Trained, settings: PlanConfig, frame_rate: float) -> None:
        self.trained, self.settings, self.frame_rate = trained, settings, frame_rate
        self.model = trained.model
        self._traces: dict[tuple[BatchShape, str, str, bool], TracedStep] = {}

    def shape(self, job: Job) -> BatchShape:
        """Return the usual batch within the budget: as many usual clips as fit, at least one."""
        tail = 1 + max(self.model.delays)
        steps = min(
            round(self.settings.clip_seconds * self.frame_rate) + tail,
            self.model.decoder.max_positions,
            job.frames,
        )
        size = round(max(1, steps - tail) / self.frame_rate * self.settings.text_bytes_per_second)
        return BatchShape(
            max(1, job.frames // steps), steps, min(max(1, size), self.model.encoder.max_positions)
        )

    def memory(self, job: Job) -> Memory:
        """Return what one GPU holds at the worst moment of a step."""
        share, each = job.gpus if job.strategy == "fsdp2" else 1, parameter_bytes(job.precision)
        weights, all_gradients = (
            count * each / share for count in (self.trained.count, self.trained.trained_count)
        )
        held = (
            job.strategy != "single" or job.accumulate > 1
        )  # gradients of an earlier batch, DDP's buckets, or shards
        traced = self._traced(self.shape(job), job.precision, job.activations, held)
        when = max(traced.peaks, key=lambda phase: traced.peaks[phase])
        gradients = all_gradients if held else traced.gradients[when]
        moving = traced.peaks[when] - (0.0 if held else gradients)
        if (
            gradients + moving < all_gradients
        ):  # the optimizer's own moment: all gradients, nothing of the activations
            when, gradients, moving = "optimizer", all_gradients, 0.0
        kept = min(traced.kept, moving)
        parts = {
            "weights": weights,
            "teacher": self.trained.teacher_count * each,
            "gradients": gradients,
            "optimizer states": self.trained.state_bytes(job.optimizer) * each / FP32 / share,
            "average of the weights": all_gradients if job.averaged else 0.0,
            "activations kept": kept,
            "logits and workspace": moving - kept,
            "gathered layers": self._gathered_bytes(each) if share > 1 else 0.0,
        }
        return Memory({name: size for name, size in parts.items() if size}, when)

    def work(self, job: Job) -> Work:
        """Return the operations and frames of an optimizer step."""
        shape, own = self.shape(job), 1 - self.settings.padding
        clips = [(shape.steps, shape.text_bytes)] * shape.clips
        batches, frames = job.gpus * job.accumulate, shape.clips * (shape.steps - 1 - max(self.model.delays))
        flops = training_flops(self.model, clips, frozen=self.trained.frozen)
        made = flops + recomputed_flops(self.model, clips, job.activations)
        made += (
            2 * forward_flops(self.model, clips) if self.trained.distilled else 0.0
        )  # the teacher, with text and without
        return Work(flops * own * batches, made * batches, frames * own * batches)

    def hours(self, job: Job, gpu: str) -> float:
        """Return the hours of all steps on GPUs of this name."""
        reached = self.settings.mfu * PEAK_FLOPS[gpu][product_kind(job.precision)] * job.gpus
        return job.steps * self.work(job).made / reached / 3600

    def fits(self, job: Job) -> bool:
        """Whether memory and reserve are within a GPU's."""
        return (
            self.memory(job).total + self.settings.reserve_gb * GIGABYTE <= self.settings.memory_gb * GIGABYTE
        )

    def _traced(self, shape: BatchShape, precision: str, activations: str, held: bool) -> TracedStep:
        key = shape, precision, activations, held
        if key not in self._traces:
            self._traces[key] = trace_step(
                self.model, self.trained.build(activations), shape, precision, held
            )
        return self._traces[key]

    def _gathered_bytes(self, each: int) -> float:
        """What FSDP2 gathers at a time: of the largest layer the one at hand, the next one, and as much of
        their gradients on its way into shards; of what belongs to no layer the weights and the gradients, all
        the time.
        """
        network = self.trained.network
        layers = [count_of(layer) for layer in (*network.encoder.layers, *network.decoder.layers)]
        return each * (4.0 * max(layers) + 2.0 * (count_of(network) - sum(layers)))


def parameter_bytes(precision: str) -> int:
    """Return the bytes of a weight: under autocast they stay fp32."""
    return PARAMETERS.get(precision, torch.float32).itemsize


def product_kind(precision: str) -> str:
    """Return the data sheet's name of the products in a precision."""
    return "half" if precision in AUTOCAST or parameter_bytes(precision) == 2 else "fp32"
