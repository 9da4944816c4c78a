"""The figures of a measurement as tables and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from dia.benchmark.decoding import EARLY, LATE
from dia.benchmark.measure import Measured, Plan, growth, share_of_limit
from dia.benchmark.published import FIGURES, FRAMES_PER_SECOND
from dia.benchmark.variants import THEIRS
from dia.network import DiaConfig

GIBIBYTE = 1 << 30


def results(plan: Plan, made: Measured, config: DiaConfig, machine: dict[str, str]) -> dict[str, Any]:
    """Return every figure, and all values that its median is of."""
    rows = {}
    best = best_of_theirs(plan, made)
    for item in plan.variants:
        step = made.step.median(str(item))
        rows[str(item)] = {
            "steps_per_second": 1 / step if step else None,
            "times_the_best_of_transformers": best / step if best and step else None,
            "share_of_bandwidth_limit": share_of_limit(made, config, item),
            "growth_from_step_100_to_2000": growth(made, config, item),
        }
    return {
        "machine": machine,
        "plan": {
            "weights": plan.weights,
            "rounds": plan.rounds,
            "steps": plan.steps,
            "seconds": plan.seconds,
        },
        "read_bandwidth": made.bandwidth,
        "variants": rows,
        "measured": {
            name: series["values"] for name, series in asdict(made).items() if isinstance(series, dict)
        },
    }


def best_of_theirs(plan: Plan, made: Measured) -> float | None:
    """Return the shortest median step of transformers, None where it was not measured."""
    found = [made.step.median(str(item)) for item in plan.variants if item.who == THEIRS]
    return min((value for value in found if value), default=None)


def show(plan: Plan, made: Measured, config: DiaConfig, machine: dict[str, str], console: Console) -> None:
    """Print the tables."""
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    console.print(
        f"memory is read at {made.bandwidth / 1e9:.1f} GB/s; medians, of {plan.rounds} rounds of {plan.steps} steps"
    )
    console.print(_steps(plan, made, config))
    console.print(_sound(plan, made))
    if made.codec.values:
        one = "; ".join(f"{label} {made.codec.median(label):.3f} s" for label in made.codec.values)
        console.print(f"codec, for a second of sound: {one}")
    if made.batch.values:
        median = {label: made.batch.median(label) or 0.0 for label in made.batch.values}
        for kind in ("", " without codec"):
            batch, single = median[f"batch{kind}"], median[f"single{kind}"]
            console.print(
                f"a batch of {plan.batch}{kind}: {batch:.1f} s of sound a second, one after another {single:.1f}; "
                f"{batch / single:.2f} times"
            )
    if plan.device.type == "cuda":
        console.print(_published(plan, made))


def _steps(plan: Plan, made: Measured, config: DiaConfig) -> Table:
    table = Table(title="decoding")
    best = best_of_theirs(plan, made)
    for column in ("", "prefill", "step", "steps/s", "times the best\nof transformers", "of the limit"):
        table.add_column(column)
    for column in (f"step {EARLY}", f"step {LATE:,}", "growth beyond\nits bytes"):
        table.add_column(column)
    for item in plan.variants:
        name = str(item)
        step, grown = made.step.median(name), growth(made, config, item)
        table.add_row(
            name,
            _milliseconds(made.prefill.median(name)),
            _milliseconds(step),
            f"{1 / step:.1f}" if step else "-",
            f"{best / step:.2f}" if step and best else "-",
            f"{share_of_limit(made, config, item):.0%}",
            _milliseconds(made.early.median(name)),
            _milliseconds(made.late.median(name)),
            f"{grown:+.0%}" if grown is not None else "-",
        )
    return table


def _sound(plan: Plan, made: Measured) -> Table:
    table = Table(title="from text to sound")
    for column in ("", "seconds of work for\na second of sound", "first sound after", "peak memory"):
        table.add_column(column)
    for item in plan.variants:
        speech, first, memory = (
            series.median(str(item)) for series in (made.speech, made.first_sound, made.memory)
        )
        table.add_row(
            str(item),
            f"{speech:.2f}" if speech else "-",
            f"{first:.2f} s" if first else "-",
            f"{memory / GIBIBYTE:.2f} GiB ({memory / 1e9:.2f} GB)" if memory else "-",
        )
    return table


def _published(plan: Plan, made: Measured) -> Table:
    table = Table(title="published figures, and these")
    for column in ("", "steps/s", "seconds of sound a second", "source"):
        table.add_column(column)
    for setting, steps, sound, source in FIGURES:
        table.add_row(setting, f"{steps:g}" if steps else "-", f"{sound:g}" if sound else "-", source)
    for item in plan.variants:
        if step := made.step.median(str(item)):
            table.add_row(
                f"[bold]{item}", f"{1 / step:.1f}", f"{1 / step / FRAMES_PER_SECOND:.2f}", "this run"
            )
    return table


def _milliseconds(seconds: float | None) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds else "-"
