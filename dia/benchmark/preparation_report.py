"""The figures of a measurement of preparing data, as tables and as JSON."""

import statistics
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from dia.benchmark.preparation import OURS, THEIRS, Comparison, Growth
from dia.config.bench import BenchPrepareConfig

MEBIBYTE = 1 << 20


def preparation_results(
    config: BenchPrepareConfig, growth: Growth | None, compared: Comparison | None, machine: dict[str, str]
) -> dict[str, Any]:
    """Return every figure with all values that it is of."""
    found: dict[str, Any] = {
        "machine": machine,
        "plan": {"workers": config.workers, "codec": config.codec.name or "random DAC"},
    }
    if growth is not None:
        found["growth"] = {
            "starting": asdict(growth.starting),
            "scales": {
                str(scale): asdict(cost)
                | {
                    "sound": growth.sound[scale],
                    "seconds_per_hour_of_sound": growth.for_an_hour(scale),
                    "against_linear": growth.against_linear(scale),
                    "processor_seconds_per_hour_of_sound": growth.for_an_hour(scale, "processor"),
                    "processor_against_linear": growth.against_linear(scale, "processor"),
                }
                for scale, cost in growth.costs.items()
            },
        }
    if compared is not None:
        found["dac"] = {
            "sound": compared.sound,
            "times": compared.times(False),
            "times_without_start": compared.times(True),
            "codes": compared.codes,
            "equal": compared.equal / compared.codes,
            "different_codes_of_the_first_channel": compared.different_codes,
            "starting": {who: asdict(cost) for who, cost in compared.starting.items()},
            "rounds": {who: [asdict(cost) for cost in costs] for who, costs in compared.costs.items()},
        }
    return found


def show_preparation(
    config: BenchPrepareConfig,
    growth: Growth | None,
    compared: Comparison | None,
    machine: dict[str, str],
    console: Console,
) -> None:
    """Print the tables."""
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    console.print(
        f"codec {config.codec.name or 'DAC 44.1 kHz of random weights'}; {config.workers} workers, on as many cores"
    )
    if growth is not None:
        console.print(_growth(growth))
    if compared is not None:
        console.print(_comparison(compared))
        console.print(
            f"{compared.equal / compared.codes:.4%} of {compared.codes:,} codes are the same; the first channel takes "
            f"{compared.different_codes} different ones"
        )


def _growth(growth: Growth) -> Table:
    columns = [
        "",
        "sound",
        "whole",
        "for an hour\nof sound",
        "against\nlinear",
        "of processors\nfor an hour",
        "against\nlinear",
    ]
    title = f"preparing more: {growth.starting.seconds:.1f} s of every run are its start"
    table = Table(*columns, "peak of\nthe parent", "of a worker", title=title)
    least = min(growth.costs)
    for scale, cost in growth.costs.items():
        table.add_row(
            f"{scale} times",
            f"{growth.sound[scale]:.0f} s",
            f"{cost.seconds:.1f} s",
            f"{growth.for_an_hour(scale):.0f} s",
            f"{growth.against_linear(scale):.2f}",
            f"{growth.for_an_hour(scale, 'processor'):.0f} s",
            f"{growth.against_linear(scale, 'processor'):.2f}",
            _memory(cost.parent, growth.costs[least].parent),
            _memory(cost.worker, growth.costs[least].worker),
        )
    return table


def _comparison(compared: Comparison) -> Table:
    columns = [
        "",
        "start",
        "seconds of sound\na second",
        "times dac",
        "without\nstart",
        "times dac",
        "of processors\nfor a round",
    ]
    title = f"{compared.sound:.0f} s of sound to codes; medians of {len(compared.costs[OURS])} rounds"
    table = Table(*columns, "peak memory", title=title)
    for who in (OURS, THEIRS):
        rates = [compared.throughput(who, without) for without in (False, True)]
        others = [compared.throughput(THEIRS, without) for without in (False, True)]
        table.add_row(
            who,
            f"{compared.starting[who].seconds:.1f} s",
            f"{rates[0]:.2f}",
            f"{rates[0] / others[0]:.2f}",
            f"{rates[1]:.2f}",
            f"{rates[1] / others[1]:.2f}",
            f"{statistics.median(cost.processor for cost in compared.costs[who]):.0f} s",
            _peak(compared, who),
        )
    return table


def _peak(compared: Comparison, who: str) -> str:
    cost = compared.costs[who][-1]
    workers = f", a worker {cost.worker / MEBIBYTE:,.0f} MiB" if who == OURS else ""
    return f"{cost.parent / MEBIBYTE:,.0f} MiB{workers}"


def _memory(size: float, least: float) -> str:
    return f"{size / MEBIBYTE:,.0f} MiB ({size / least:.2f})" if least else "-"
