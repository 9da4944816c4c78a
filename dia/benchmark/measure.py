"""Measure generation: memory, decoding, codec, text to audio and batches, in rounds through all variants."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from dia.benchmark import speech
from dia.benchmark.decoding import EARLY, LATE, time_dia_steps, time_dia_steps_at, time_transformers_steps
from dia.benchmark.memory import peak_memory
from dia.benchmark.networks import base_network, cache_bytes_per_step, make_models, weight_bytes_per_step
from dia.benchmark.timing import Series, read_bandwidth
from dia.benchmark.variants import DIA, Variant
from dia.codecs.protocol import Codec
from dia.network import DiaConfig, DiaNetwork

WARM_UP = 4  # steps of a generation that are not counted
WARM_UP_STEPS = 2  # steps of the round before the first, which compiles and fills kernel caches


@dataclass
class BenchmarkPlan:
    """What to measure; with ``seconds`` 0 text to audio is omitted, with ``memory`` false the memory."""

    variants: list[Variant]
    weights: str
    device: torch.device
    rounds: int
    steps: int
    seconds: float
    batch: int
    memory: bool


@dataclass
class Measurements:
    """Measured seconds, bandwidth (bytes a second), memory (bytes) and throughput, by variant."""

    bandwidth: float = 0.0
    prefill: Series = field(default_factory=Series)
    step: Series = field(default_factory=Series)
    early: Series = field(default_factory=Series)
    late: Series = field(default_factory=Series)
    speech: Series = field(default_factory=Series)
    first_audio: Series = field(default_factory=Series)
    memory: Series = field(default_factory=Series)
    codec: Series = field(default_factory=Series)
    batch: Series = field(default_factory=Series)


def measure(
    plan: BenchmarkPlan, config: DiaConfig, codec_name: str, report: Callable[[str], None]
) -> tuple[Measurements, DiaConfig]:
    """Measure everything in the plan; return it with the network's config. ``report`` receives progress."""
    measurements = Measurements()
    if plan.memory:
        _measure_memory(plan, config, measurements, report)
    report("creating the networks")
    base = base_network(config, plan.weights, plan.device)
    models = make_models(base, plan.variants)
    _measure_decoding(plan, models, base.config, measurements, report)
    codec = speech.open_codec(codec_name, base.config, plan.device)
    _measure_codec(plan, codec, codec_name, base.config, measurements, report)
    if plan.seconds:
        _measure_speech(plan, models, codec, base.config, measurements, report)
    if plan.batch > 1:
        _measure_batch(plan, models, codec, measurements, report)
    return measurements, base.config


def _measure_memory(
    plan: BenchmarkPlan, config: DiaConfig, measurements: Measurements, report: Callable[[str], None]
) -> None:
    for variant in plan.variants:
        report(f"memory of {variant}")
        measurements.memory.add(str(variant), [peak_memory(variant, config, plan.weights, plan.device)])


def _measure_decoding(
    plan: BenchmarkPlan,
    models: dict[Variant, Any],
    config: DiaConfig,
    measurements: Measurements,
    report: Callable[[str], None],
) -> None:
    bandwidths = []
    for round_number in range(-1, plan.rounds):
        report(
            f"decoding, round {round_number + 1} of {plan.rounds}"
            if round_number >= 0
            else "decoding, warming up"
        )
        bandwidths.append(read_bandwidth(plan.device))
        for variant, model in models.items():
            prefill, steps = _time_generation(
                variant, model, config, plan.steps if round_number >= 0 else WARM_UP_STEPS + WARM_UP
            )
            if round_number >= 0:
                measurements.prefill.add(str(variant), [prefill])
                measurements.step.add(str(variant), steps[WARM_UP:])
            if variant.implementation == DIA and round_number >= 0:
                _measure_late_steps(plan, variant, model, config, measurements)
    measurements.bandwidth = max(bandwidths)


def _time_generation(
    variant: Variant, model: Any, config: DiaConfig, steps: int
) -> tuple[float, list[float]]:
    if variant.implementation == DIA:
        return time_dia_steps(model, steps, variant.compiled)
    return time_transformers_steps(model, config, steps, variant.compiled)


def _measure_late_steps(
    plan: BenchmarkPlan, variant: Variant, network: DiaNetwork, config: DiaConfig, measurements: Measurements
) -> None:
    positions = tuple(
        position
        for position in (EARLY, LATE)
        if position + plan.steps + WARM_UP < config.decoder.max_positions
    )
    times = time_dia_steps_at(network, positions, plan.steps, variant.compiled)
    measurements.early.add(str(variant), times.get(EARLY, []))
    measurements.late.add(str(variant), times.get(LATE, []))


def _measure_codec(
    plan: BenchmarkPlan,
    codec: Codec,
    name: str,
    config: DiaConfig,
    measurements: Measurements,
    report: Callable[[str], None],
) -> None:
    """Time a second of audio, decoded and encoded, and a batch of eight; also transformers' DAC beside a
    random DAC.
    """
    frames = round(codec.sample_rate / codec.hop)
    other = (
        speech.transformers_dac(config, plan.device)
        if name == "random" and any(variant.implementation != DIA for variant in plan.variants)
        else None
    )
    for round_number in range(-1, plan.rounds):
        report("codec")
        codes_BTC = speech.random_codes(config, frames, plan.device)
        taken = {
            "one": speech.time_codec(codec, codes_BTC),
            "encoding one": speech.time_encoding(codec, frames),
            "batch of 8": speech.time_codec(codec, codes_BTC.repeat(8, 1, 1)) / 8,
        }
        if other is not None:
            taken["one, transformers"] = speech.time_transformers_dac(other, codes_BTC)
        if round_number >= 0:
            for label, seconds in taken.items():
                measurements.codec.add(label, [seconds])


def _measure_speech(
    plan: BenchmarkPlan,
    models: dict[Variant, Any],
    codec: Codec,
    config: DiaConfig,
    measurements: Measurements,
    report: Callable[[str], None],
) -> None:
    steps = _steps(plan, codec, config)
    for round_number in range(plan.rounds):
        report(f"from text to audio, round {round_number + 1} of {plan.rounds}")
        for variant, model in models.items():
            if variant.implementation == DIA:
                measurements.speech.add(
                    str(variant), [speech.time_speech(model, codec, steps, variant.compiled)]
                )
                measurements.first_audio.add(
                    str(variant), [speech.time_first_audio(model, codec, variant.compiled)]
                )
            else:
                measurements.speech.add(
                    str(variant),
                    [speech.time_transformers_speech(model, codec, config, steps, variant.compiled)],
                )


def _measure_batch(
    plan: BenchmarkPlan,
    models: dict[Variant, Any],
    codec: Codec,
    measurements: Measurements,
    report: Callable[[str], None],
) -> None:
    """Time batches of the first variant of Dia, after one that compiles it."""
    variant, network = next(item for item in models.items() if item[0].implementation == DIA)
    if variant.compiled:
        speech.time_batch(network, codec, plan.batch, WARM_UP_STEPS + max(network.config.delays), True)
    for round_number in range(plan.rounds):
        report(f"a batch of {plan.batch}, round {round_number + 1} of {plan.rounds}")
        for label, value in speech.time_batch(
            network, codec, plan.batch, _steps(plan, codec, network.config), variant.compiled
        ).items():
            measurements.batch.add(label, [value])


def _steps(plan: BenchmarkPlan, codec: Codec, config: DiaConfig) -> int:
    steps = config.steps_for(round(plan.seconds * codec.sample_rate / codec.hop))
    return min(steps, config.decoder.max_positions) if plan.seconds else config.decoder.max_positions


def bandwidth_share(measurements: Measurements, config: DiaConfig, variant: Variant) -> float:
    """Return the used share of the memory bandwidth: the time to read a step's weights over a step's time."""
    step = measurements.step.median(str(variant))
    return (
        weight_bytes_per_step(config, variant.weights) / measurements.bandwidth / step
        if step
        else float("nan")
    )


def slowdown(measurements: Measurements, config: DiaConfig, variant: Variant) -> float | None:
    """Return the relative slowdown of step 2,000 against step 100, beyond the reading of the larger cache."""
    early, late = measurements.early.median(str(variant)), measurements.late.median(str(variant))
    if early is None or late is None:
        return None
    more = cache_bytes_per_step(config, variant.weights, LATE) - cache_bytes_per_step(
        config, variant.weights, EARLY
    )
    return (late - more / measurements.bandwidth) / early - 1
