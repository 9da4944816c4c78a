"""The measurement: rounds through all variants, quantity by quantity. What it returns is what the report and
the JSON show.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from dia.benchmark import speech
from dia.benchmark.decoding import EARLY, LATE, time_ours, time_ours_at, time_theirs
from dia.benchmark.memory import peak_memory
from dia.benchmark.networks import base_network, bytes_of_a_step, bytes_of_attention, make_models
from dia.benchmark.timing import Series, read_bandwidth
from dia.benchmark.variants import OURS, Variant
from dia.codecs.protocol import Codec
from dia.network import DiaConfig, DiaNetwork

WARM_UP = 4  # steps of a generation that are not counted
SETTLE = 2  # rounds before the first that counts, of few steps: compilation, caches of kernels


@dataclass
class Plan:
    """What to measure. ``seconds`` of sound are spoken end to end; 0 leaves that out, as ``memory`` false
    does the memory.
    """

    variants: list[Variant]
    weights: str
    device: torch.device
    rounds: int
    steps: int
    seconds: float
    batch: int
    memory: bool


@dataclass
class Measured:
    """Seconds by quantity and variant, bytes a second, bytes, and what a batch gives."""

    bandwidth: float = 0.0
    prefill: Series = field(default_factory=Series)
    step: Series = field(default_factory=Series)
    early: Series = field(default_factory=Series)
    late: Series = field(default_factory=Series)
    speech: Series = field(default_factory=Series)
    first_sound: Series = field(default_factory=Series)
    memory: Series = field(default_factory=Series)
    codec: Series = field(default_factory=Series)
    batch: Series = field(default_factory=Series)


def measure(
    plan: Plan, config: DiaConfig, codec_name: str, say: Callable[[str], None]
) -> tuple[Measured, DiaConfig]:
    """Measure everything that is planned; ``say`` is told what goes on. Returns it with the config of what
    was measured.
    """
    made = Measured()
    if plan.memory:
        _memory(plan, config, made, say)
    say("making the networks")
    base = base_network(config, plan.weights, plan.device)
    models = make_models(base, plan.variants)
    _decoding(plan, models, base.config, made, say)
    codec = speech.open_codec(codec_name, base.config, plan.device)
    _codec(plan, codec, codec_name, base.config, made, say)
    if plan.seconds:
        _speech(plan, models, codec, base.config, made, say)
    if plan.batch > 1:
        _batch(plan, base, codec, made, say)
    return made, base.config


def _memory(plan: Plan, config: DiaConfig, made: Measured, say: Callable[[str], None]) -> None:
    for item in plan.variants:
        say(f"memory of {item}")
        made.memory.add(str(item), [peak_memory(item, config, plan.weights, plan.device)])


def _decoding(
    plan: Plan, models: dict[Variant, Any], config: DiaConfig, made: Measured, say: Callable[[str], None]
) -> None:
    bandwidths = []
    for place in range(-1, plan.rounds):
        say(f"decoding, round {place + 1} of {plan.rounds}" if place >= 0 else "decoding, warming up")
        bandwidths.append(read_bandwidth(plan.device))
        for item, model in models.items():
            prefill, steps = _generation(item, model, config, plan.steps if place >= 0 else SETTLE + WARM_UP)
            if place >= 0:
                made.prefill.add(str(item), [prefill])
                made.step.add(str(item), steps[WARM_UP:])
            if item.who == OURS and place >= 0:
                _late(plan, item, model, config, made)
    made.bandwidth = max(bandwidths)


def _generation(item: Variant, model: Any, config: DiaConfig, steps: int) -> tuple[float, list[float]]:
    if item.who == OURS:
        return time_ours(model, steps, item.compiled)
    return time_theirs(model, config, steps, item.compiled)


def _late(plan: Plan, item: Variant, network: DiaNetwork, config: DiaConfig, made: Measured) -> None:
    places = tuple(
        place for place in (EARLY, LATE) if place + plan.steps + WARM_UP < config.decoder.max_positions
    )
    times = time_ours_at(network, places, plan.steps, item.compiled)
    made.early.add(str(item), times.get(EARLY, []))
    made.late.add(str(item), times.get(LATE, []))


def _codec(
    plan: Plan, codec: Codec, name: str, config: DiaConfig, made: Measured, say: Callable[[str], None]
) -> None:
    """A second of sound, and eight at once; transformers' own DAC beside it where the codec is a DAC of
    random weights.
    """
    frames = round(codec.sample_rate / codec.hop)
    other = (
        speech.their_dac(config, plan.device)
        if name == "random" and any(item.who != OURS for item in plan.variants)
        else None
    )
    for place in range(-1, plan.rounds):
        say("codec")
        codes_BTC = speech.random_codes(config, frames, plan.device)
        taken = {
            "one": speech.time_codec(codec, codes_BTC),
            "batch of 8": speech.time_codec(codec, codes_BTC.repeat(8, 1, 1)) / 8,
        }
        if other is not None:
            taken["one, transformers"] = speech.time_their_dac(other, codes_BTC)
        if place >= 0:
            for label, seconds in taken.items():
                made.codec.add(label, [seconds])


def _speech(
    plan: Plan,
    models: dict[Variant, Any],
    codec: Codec,
    config: DiaConfig,
    made: Measured,
    say: Callable[[str], None],
) -> None:
    steps = _steps(plan, codec, config)
    for place in range(plan.rounds):
        say(f"from text to sound, round {place + 1} of {plan.rounds}")
        for item, model in models.items():
            if item.who == OURS:
                made.speech.add(str(item), [speech.time_speech(model, codec, steps, item.compiled)])
                made.first_sound.add(str(item), [speech.time_first_sound(model, codec, item.compiled)])
            else:
                made.speech.add(
                    str(item), [speech.time_their_speech(model, codec, config, steps, item.compiled)]
                )


def _batch(plan: Plan, network: DiaNetwork, codec: Codec, made: Measured, say: Callable[[str], None]) -> None:
    for place in range(plan.rounds):
        say(f"a batch of {plan.batch}, round {place + 1} of {plan.rounds}")
        for label, value in speech.time_batch(
            network, codec, plan.batch, _steps(plan, codec, network.config)
        ).items():
            made.batch.add(label, [value])


def _steps(plan: Plan, codec: Codec, config: DiaConfig) -> int:
    wanted = round(plan.seconds * codec.sample_rate / codec.hop) + 2 + max(config.delays)
    return min(wanted, config.decoder.max_positions) if plan.seconds else config.decoder.max_positions


def share_of_limit(made: Measured, config: DiaConfig, item: Variant) -> float:
    """Return which share of the machine's limit is reached: the time to read a step's weights, over a step's
    time.
    """
    step = made.step.median(str(item))
    return bytes_of_a_step(config, item.weights) / made.bandwidth / step if step else float("nan")


def growth(made: Measured, config: DiaConfig, item: Variant) -> float | None:
    """Return by what share step 2,000 is slower than step 100, without what reading attention's own bytes
    explains.
    """
    early, late = made.early.median(str(item)), made.late.median(str(item))
    if early is None or late is None:
        return None
    more = bytes_of_attention(config, item.weights, LATE) - bytes_of_attention(config, item.weights, EARLY)
    return (late - more / made.bandwidth) / early - 1
