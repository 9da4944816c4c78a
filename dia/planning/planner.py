"""The plan of a run: memory of each GPU by part, operations, time and cost, before anything is allocated.

Weights, gradients and optimizer states are counted; activations come from a trace of the training code
(dia/planning/memory_tracer.py), so a change of the network changes the plan. Communication buffers follow
from dia/training/distributed.py. Times are operations divided by an assumed MFU, not measurements.
"""

from dataclasses import dataclass

import torch

from dia.config.choices import Strategy
from dia.config.planning import PlanConfig
from dia.planning.memory_tracer import AUTOCAST, PARAMETERS, BatchShape, StepTrace, trace_step
from dia.planning.model_stats import FP32_BYTES, ModelStats, count_of
from dia.training.flops import PEAK_FLOPS, forward_flops, recomputed_flops, training_flops

GIGABYTE = 1e9


@dataclass(frozen=True)
class Job:
    """The keys of a run that its memory and time depend on, beside the model."""

    gpus: int
    strategy: Strategy
    precision: str
    activations: str
    """Activation checkpointing."""
    optimizer: str
    frames: int
    """Padded decoder steps of a micro-batch on one GPU."""
    accumulation: int
    """Micro-batches of an optimizer step."""
    steps: int
    use_ema: bool = False
    generation: "Generation | None" = None
    """Takes that an optimizer step generates before it learns from them."""


@dataclass(frozen=True)
class Generation:
    """Takes of an optimizer step on all GPUs, each of ``passes`` forward passes (2 with guidance)."""

    takes: int
    passes: int


@dataclass(frozen=True)
class Memory:
    """Peak bytes on one GPU by part, and the ``phase`` of the step in which the peak occurs."""

    parts: dict[str, float]
    phase: str

    @property
    def total(self) -> float:
        """Bytes of all tensors, without the reserve."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Work:
    """Work of an optimizer step on all GPUs.

    ``flops`` are those of the clips alone, ``computed`` include padding and recomputation, ``frames`` are
    codec frames. ``generated`` are the operations of generation, which ``computed`` does not include: its
    ``reads``, decoder steps that each read all weights, take longer than they.
    """

    flops: float
    computed: float
    frames: float
    generated: float = 0.0
    reads: int = 0


class Planner:
    """Plans for one model. Traces are cached, so plans that differ in strategy or optimizer share them."""

    def __init__(self, stats: ModelStats, settings: PlanConfig, frame_rate: float) -> None:
        self.stats, self.settings, self.frame_rate = stats, settings, frame_rate
        self.model = stats.model
        self._traces: dict[tuple[BatchShape, str, str, bool], StepTrace] = {}

    def shape(self, job: Job) -> BatchShape:
        """Return the typical batch: as many clips of typical length as fit, at least one."""
        tail = 1 + max(self.model.delays)
        steps = min(
            round(self.settings.clip_seconds * self.frame_rate) + tail,
            self.model.decoder.max_positions,
            job.frames,
        )
        text_bytes = round(max(1, steps - tail) / self.frame_rate * self.settings.text_bytes_per_second)
        text_bytes = min(max(1, text_bytes), self.model.encoder.max_positions)
        samples = max(1, job.frames // (steps * self.stats.clips_per_sample))
        clips = samples * self.stats.clips_per_sample
        if job.generation is not None:  # a micro-batch is whole groups, whatever the budget of frames
            clips = max(1, job.generation.takes // (job.gpus * job.accumulation))
        return BatchShape(clips, steps, text_bytes)

    def memory(self, job: Job) -> Memory:
        """Return the memory of one GPU at the peak of a step."""
        shards = job.gpus if job.strategy.sharded else 1
        weight_bytes = parameter_bytes(job.precision)
        weights = self.stats.count * weight_bytes / shards
        all_gradients = self.stats.trained_count * weight_bytes / shards
        # gradients of an earlier batch, DDP's buckets, or shards are in memory during the whole step
        gradients_held = job.strategy.distributed or job.accumulation > 1
        trace = self._trace(self.shape(job), job.precision, job.activations, gradients_held)
        phase = max(trace.peaks, key=lambda name: trace.peaks[name])
        gradients = all_gradients if gradients_held else trace.gradients[phase]
        dynamic = trace.peaks[phase] - (0.0 if gradients_held else gradients)
        if gradients + dynamic < all_gradients:  # the optimizer step: all gradients, no activations
            phase, gradients, dynamic = "optimizer", all_gradients, 0.0
        activations = min(trace.activations, dynamic)
        parts = {
            "weights": weights,
            "teacher": self.stats.teacher_count * weight_bytes,
            "gradients": gradients,
            "optimizer states": self.stats.state_bytes(job.optimizer) * weight_bytes / FP32_BYTES / shards,
            "EMA of the weights": all_gradients if job.use_ema else 0.0,
            "saved activations": activations,
            "logits and workspace": dynamic - activations,
            "gathered layers": self._gathered_bytes(weight_bytes) if shards > 1 else 0.0,
        }
        return Memory({name: size for name, size in parts.items() if size}, phase)

    def work(self, job: Job) -> Work:
        """Return the operations and frames of an optimizer step."""
        shape, unpadded = self.shape(job), 1 - self.settings.padding
        clips = [(shape.steps, shape.text_bytes)] * shape.clips
        micro_batches = job.gpus * job.accumulation
        frames = shape.clips * (shape.steps - 1 - max(self.model.delays))
        flops = training_flops(self.model, clips, frozen=self.stats.frozen)
        computed = flops + recomputed_flops(self.model, clips, job.activations)
        computed += self.stats.teacher_passes * forward_flops(self.model, clips)
        generated, reads = 0.0, 0
        if job.generation is not None:
            generated = job.generation.passes * forward_flops(self.model, clips) * micro_batches
            reads = shape.steps * job.accumulation
        return Work(
            flops * unpadded * micro_batches,
            computed * micro_batches,
            frames * unpadded * micro_batches,
            generated,
            reads,
        )

    def hours(self, job: Job, gpu: str) -> float:
        """Return the hours of all steps on GPUs of this name."""
        flops_per_second = self.settings.mfu * PEAK_FLOPS[gpu][product_kind(job.precision)] * job.gpus
        return job.steps * self.work(job).computed / flops_per_second / 3600

    def fits(self, job: Job) -> bool:
        """Return whether memory and reserve fit into a GPU."""
        needed = self.memory(job).total + self.settings.reserve_gb * GIGABYTE
        return needed <= self.settings.memory_gb * GIGABYTE

    def _trace(self, shape: BatchShape, precision: str, activations: str, gradients_held: bool) -> StepTrace:
        key = shape, precision, activations, gradients_held
        if key not in self._traces:
            self._traces[key] = trace_step(
                self.model, self.stats.build(activations), shape, precision, gradients_held=gradients_held
            )
        return self._traces[key]

    def _gathered_bytes(self, weight_bytes: int) -> float:
        """Return the bytes of parameters that FSDP2 gathers.

        Of layers: the current and the next one, and as much for their gradients on the way into shards, at
        the size of the largest. Weights outside layers and their gradients stay gathered.
        """
        network = self.stats.network
        layers = [count_of(layer) for layer in (*network.encoder.layers, *network.decoder.layers)]
        return weight_bytes * (4.0 * max(layers) + 2.0 * (count_of(network) - sum(layers)))


def parameter_bytes(precision: str) -> int:
    """Return the bytes of a weight; under autocast weights stay fp32."""
    return PARAMETERS.get(precision, torch.float32).itemsize


def product_kind(precision: str) -> str:
    """Return the data sheet's name of matrix products in a precision."""
    return "half" if precision in AUTOCAST or parameter_bytes(precision) == 2 else "fp32"
