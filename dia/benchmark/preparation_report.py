"""Results of the data preparation benchmark, as tables and as JSON."""

import statistics
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from dia.benchmark.preparation import DAC_ENCODE, DIA_PREPARE, DacComparison, ScalingCosts
from dia.config.bench import BenchPrepareConfig

MEBIBYTE = 1 << 20


def preparation_results(
    config: BenchPrepareConfig,
    scaling: ScalingCosts | None,
    comparison: DacComparison | None,
    machine: dict[str, str],
) -> dict[str, Any]:
    """Return all results with the single values behind them."""
    results: dict[str, Any] = {
        "machine": machine,
        "plan": {"workers": config.workers, "codec": config.codec.name or "random DAC"},
    }
    if scaling is not None:
        results["scaling"] = {
            "startup": asdict(scaling.startup),
            "scales": {
                str(scale): asdict(cost)
                | {
                    "audio_seconds": scaling.audio_seconds[scale],
                    "seconds_per_audio_hour": scaling.seconds_per_audio_hour(scale),
                    "relative_to_linear": scaling.relative_to_linear(scale),
                    "cpu_seconds_per_audio_hour": scaling.seconds_per_audio_hour(scale, "cpu_seconds"),
                    "cpu_relative_to_linear": scaling.relative_to_linear(scale, "cpu_seconds"),
                }
                for scale, cost in scaling.costs.items()
            },
        }
    if comparison is not None:
        results["dac"] = {
            "audio_seconds": comparison.audio_seconds,
            "relative_throughput": comparison.relative_throughput(without_startup=False),
            "relative_throughput_without_startup": comparison.relative_throughput(without_startup=True),
            "codes": comparison.codes,
            "equal": comparison.equal / comparison.codes,
            "different_codes_of_first_channel": comparison.different_codes,
            "startup": {implementation: asdict(cost) for implementation, cost in comparison.startup.items()},
            "rounds": {
                implementation: [asdict(cost) for cost in costs]
                for implementation, costs in comparison.costs.items()
            },
        }
    return results


def print_preparation_report(
    config: BenchPrepareConfig,
    scaling: ScalingCosts | None,
    comparison: DacComparison | None,
    machine: dict[str, str],
    console: Console,
) -> None:
    """Print the tables."""
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    console.print(
        f"codec {config.codec.name or 'DAC 44.1 kHz with random weights'}; "
        f"{config.workers} workers on the same number of cores"
    )
    if scaling is not None:
        console.print(_scaling_table(scaling))
    if comparison is not None:
        console.print(_comparison_table(comparison))
        console.print(
            f"{comparison.equal / comparison.codes:.4%} of {comparison.codes:,} codes are equal; "
            f"the first channel has {comparison.different_codes} different ones"
        )


def _scaling_table(scaling: ScalingCosts) -> Table:
    columns = [
        "",
        "audio",
        "total",
        "for an hour\nof audio",
        "relative to\nlinear",
        "CPU time\nfor an hour",
        "relative to\nlinear",
    ]
    title = f"cost of preparation by size: {scaling.startup.seconds:.1f} s of each run are startup"
    table = Table(*columns, "peak memory of\nthe parent", "of a worker", title=title)
    least = min(scaling.costs)
    for scale, cost in scaling.costs.items():
        table.add_row(
            f"{scale} times",
            f"{scaling.audio_seconds[scale]:.0f} s",
            f"{cost.seconds:.1f} s",
            f"{scaling.seconds_per_audio_hour(scale):.0f} s",
            f"{scaling.relative_to_linear(scale):.2f}",
            f"{scaling.seconds_per_audio_hour(scale, 'cpu_seconds'):.0f} s",
            f"{scaling.relative_to_linear(scale, 'cpu_seconds'):.2f}",
            _memory(cost.parent_memory, scaling.costs[least].parent_memory),
            _memory(cost.worker_memory, scaling.costs[least].worker_memory),
        )
    return table


def _comparison_table(comparison: DacComparison) -> Table:
    columns = [
        "",
        "startup",
        "seconds of audio\na second",
        "times dac",
        "without\nstartup",
        "times dac",
        "CPU time\nfor a round",
    ]
    rounds = len(comparison.costs[DIA_PREPARE])
    title = f"{comparison.audio_seconds:.0f} s of audio to codes; medians of {rounds} rounds"
    table = Table(*columns, "peak memory", title=title)
    for implementation in (DIA_PREPARE, DAC_ENCODE):
        rates = [comparison.throughput(implementation, without_startup=without) for without in (False, True)]
        others = [comparison.throughput(DAC_ENCODE, without_startup=without) for without in (False, True)]
        table.add_row(
            implementation,
            f"{comparison.startup[implementation].seconds:.1f} s",
            f"{rates[0]:.2f}",
            f"{rates[0] / others[0]:.2f}",
            f"{rates[1]:.2f}",
            f"{rates[1] / others[1]:.2f}",
            f"{statistics.median(cost.cpu_seconds for cost in comparison.costs[implementation]):.0f} s",
            _peak(comparison, implementation),
        )
    return table


def _peak(comparison: DacComparison, implementation: str) -> str:
    cost = comparison.costs[implementation][-1]
    workers = f", a worker {cost.worker_memory / MEBIBYTE:,.0f} MiB" if implementation == DIA_PREPARE else ""
    return f"{cost.parent_memory / MEBIBYTE:,.0f} MiB{workers}"


def _memory(size: float, least: float) -> str:
    return f"{size / MEBIBYTE:,.0f} MiB ({size / least:.2f})" if least else "-"
