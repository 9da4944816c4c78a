"""Results of the generation benchmark, as tables and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from dia.benchmark.decoding import EARLY, LATE
from dia.benchmark.measure import BenchmarkPlan, Measurements, bandwidth_share, slowdown
from dia.benchmark.published import FRAMES_PER_SECOND, PUBLISHED_SPEEDS
from dia.benchmark.variants import TRANSFORMERS
from dia.network import DiaConfig

GIBIBYTE = 1 << 30


def results(
    plan: BenchmarkPlan, measurements: Measurements, config: DiaConfig, machine: dict[str, str]
) -> dict[str, Any]:
    """Return all results, and the single values behind the medians."""
    rows = {}
    fastest = fastest_transformers_step(plan, measurements)
    for variant in plan.variants:
        step = measurements.step.median(str(variant))
        rows[str(variant)] = {
            "steps_per_second": 1 / step if step else None,
            "speedup_over_fastest_transformers": fastest / step if fastest and step else None,
            "share_of_memory_bandwidth": bandwidth_share(measurements, config, variant),
            "slowdown_from_step_100_to_2000": slowdown(measurements, config, variant),
        }
    return {
        "machine": machine,
        "plan": {
            "weights": plan.weights,
            "rounds": plan.rounds,
            "steps": plan.steps,
            "seconds": plan.seconds,
        },
        "read_bandwidth": measurements.bandwidth,
        "variants": rows,
        "measured": {
            name: series["values"]
            for name, series in asdict(measurements).items()
            if isinstance(series, dict)
        },
    }


def fastest_transformers_step(plan: BenchmarkPlan, measurements: Measurements) -> float | None:
    """Return the shortest median step of transformers, None when it was not measured."""
    medians = [
        measurements.step.median(str(variant))
        for variant in plan.variants
        if variant.implementation == TRANSFORMERS
    ]
    return min((value for value in medians if value), default=None)


def print_report(
    plan: BenchmarkPlan,
    measurements: Measurements,
    config: DiaConfig,
    machine: dict[str, str],
    console: Console,
) -> None:
    """Print the tables."""
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    console.print(
        f"memory bandwidth {measurements.bandwidth / 1e9:.1f} GB/s; "
        f"medians of {plan.rounds} rounds of {plan.steps} steps"
    )
    console.print(_steps_table(plan, measurements, config))
    console.print(_audio_table(plan, measurements))
    if measurements.codec.values:
        times = "; ".join(
            f"{label} {measurements.codec.median(label):.3f} s" for label in measurements.codec.values
        )
        console.print(f"codec, for a second of audio: {times}")
    if measurements.batch.values:
        median = {label: measurements.batch.median(label) or 0.0 for label in measurements.batch.values}
        for kind in ("", " without codec"):
            batch, single = median[f"batch{kind}"], median[f"single{kind}"]
            console.print(
                f"a batch of {plan.batch}{kind}: {batch:.1f} s of audio a second, in sequence {single:.1f}; "
                f"{batch / single:.2f} times"
            )
    if plan.device.type == "cuda":
        console.print(_published_table(plan, measurements))


def _steps_table(plan: BenchmarkPlan, measurements: Measurements, config: DiaConfig) -> Table:
    table = Table(title="decoding")
    fastest = fastest_transformers_step(plan, measurements)
    for column in (
        "",
        "prefill",
        "step",
        "steps/s",
        "times the fastest\ntransformers",
        "of the memory\nbandwidth",
    ):
        table.add_column(column)
    for column in (f"step {EARLY}", f"step {LATE:,}", "slowdown beyond\nthe cache reads"):
        table.add_column(column)
    for variant in plan.variants:
        name = str(variant)
        step, slower = measurements.step.median(name), slowdown(measurements, config, variant)
        table.add_row(
            name,
            _milliseconds(measurements.prefill.median(name)),
            _milliseconds(step),
            f"{1 / step:.1f}" if step else "-",
            f"{fastest / step:.2f}" if step and fastest else "-",
            f"{bandwidth_share(measurements, config, variant):.0%}",
            _milliseconds(measurements.early.median(name)),
            _milliseconds(measurements.late.median(name)),
            f"{slower:+.0%}" if slower is not None else "-",
        )
    return table


def _audio_table(plan: BenchmarkPlan, measurements: Measurements) -> Table:
    table = Table(title="text to audio")
    for column in ("", "seconds for\na second of audio", "first audio after", "peak memory"):
        table.add_column(column)
    for variant in plan.variants:
        speech, first, memory = (
            series.median(str(variant))
            for series in (measurements.speech, measurements.first_audio, measurements.memory)
        )
        table.add_row(
            str(variant),
            f"{speech:.2f}" if speech else "-",
            f"{first:.2f} s" if first else "-",
            f"{memory / GIBIBYTE:.2f} GiB ({memory / 1e9:.2f} GB)" if memory else "-",
        )
    return table


def _published_table(plan: BenchmarkPlan, measurements: Measurements) -> Table:
    table = Table(title="published speeds, and this run")
    for column in ("", "steps/s", "seconds of audio a second", "source"):
        table.add_column(column)
    for setting, steps, audio, source in PUBLISHED_SPEEDS:
        table.add_row(setting, f"{steps:g}" if steps else "-", f"{audio:g}" if audio else "-", source)
    for variant in plan.variants:
        if step := measurements.step.median(str(variant)):
            table.add_row(
                f"[bold]{variant}", f"{1 / step:.1f}", f"{1 / step / FRAMES_PER_SECOND:.2f}", "this run"
            )
    return table


def _milliseconds(seconds: float | None) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds else "-"
