"""Results of the training benchmark, as a table and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from dia.benchmark.training import TARGET_MEMORY_SHARE, TARGET_SPEEDUP, TrainingCosts, TrainingPlan
from dia.benchmark.training_job import DIA, OURS
from dia.config.choices import BF16_MIXED
from dia.config.lora import LoraConfig
from dia.planning.model_stats import ModelStats
from dia.training.flops import peak_flops

MEGABYTE = 1e6


def training_results(plan: TrainingPlan, costs: TrainingCosts, machine: dict[str, str]) -> dict[str, Any]:
    """Return all results, and the single values behind the medians."""
    return {
        "machine": machine,
        "plan": asdict(plan),
        "parameters": ModelStats(plan.model, LoraConfig()).count,
        "ratios": {
            implementation: costs.ratios(implementation, plan.warm)
            for implementation in costs.runs
            if implementation not in OURS and DIA in costs.runs
        },
        "flops_per_second": costs.flops_per_second(plan.warm),
        "mfu": _mfu(plan, costs, machine["device"]),
        "max_loss_difference": costs.max_loss_difference() if costs.curves else None,
        "runs": {
            implementation: [asdict(run) for run in runs] for implementation, runs in costs.runs.items()
        },
        "curves": {implementation: run.losses for implementation, run in costs.curves.items()},
    }


def print_training_report(
    plan: TrainingPlan, costs: TrainingCosts, machine: dict[str, str], console: Console
) -> None:
    """Print the table, the ratios with their targets, and the difference of the loss curves."""
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    count = ModelStats(plan.model, LoraConfig()).count
    console.print(
        f"{count / 1e6:.1f} M parameters, {plan.precision}; "
        f"medians of {plan.rounds} rounds of {plan.steps} steps"
    )
    console.print(_table(plan, costs))
    results = training_results(plan, costs, machine)
    if results["mfu"]:
        console.print(f"model FLOP/s utilization (MFU) {results['mfu']:.1%} of the card's peak")
    for implementation, ratios in results["ratios"].items():
        console.print(
            f"against {implementation}: {ratios['speedup']:.2f} times the frames a second "
            f"(target {TARGET_SPEEDUP}), "
            f"{ratios['memory_share']:.0%} of the memory (target at most {TARGET_MEMORY_SHARE:.0%})"
        )
    if costs.curves:
        console.print(
            f"equal objective and batches, {plan.curves} steps in fp32: the losses differ by "
            f"at most {results['max_loss_difference']:.2e} nats"
        )


def _table(plan: TrainingPlan, costs: TrainingCosts) -> Table:
    table = Table(
        "", "frames/s", "seconds a step", "clips a step", "frames a step", "peak memory", title="training"
    )
    for implementation, runs in costs.runs.items():
        run = runs[0]
        count = len(run.ends) - plan.warm
        speed = costs.frames_per_second(implementation, plan.warm)
        frames = sum(run.frames[plan.warm :]) / count
        clips = sum(run.clips[plan.warm :]) / count
        table.add_row(
            implementation,
            f"{speed:,.0f}",
            f"{frames / speed:.2f}",
            f"{clips:.1f}",
            f"{frames:,.0f}",
            f"{costs.peak(implementation) / MEGABYTE:,.0f} MB",
        )
    return table


def _mfu(plan: TrainingPlan, costs: TrainingCosts, device: str) -> float | None:
    """Return the share of the device's peak that the model's operations use; None if the peak is unknown."""
    peak = peak_flops(device, "half" if plan.precision == BF16_MIXED else "fp32")
    flops = costs.flops_per_second(plan.warm)
    return flops / peak if flops and peak else None
