"""The figures of training as a table and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from dia.benchmark.training import FASTER, LEANER, TrainingCosts, TrainingPlan
from dia.benchmark.training_job import OURS
from dia.config.lora import LoraConfig
from dia.planning.model_stats import Trained

MEGABYTE = 1e6


def training_results(plan: TrainingPlan, made: TrainingCosts, machine: dict[str, str]) -> dict[str, Any]:
    """Return every figure, and all values that its median is of."""
    return {
        "machine": machine,
        "plan": asdict(plan),
        "parameters": Trained(plan.model, LoraConfig()).count,
        "beside": {who: made.ratios(who, plan.warm) for who in made.runs if who != OURS},
        "largest_difference_of_losses": made.largest_difference() if made.curves else None,
        "runs": {who: [asdict(run) for run in runs] for who, runs in made.runs.items()},
        "curves": {who: run.losses for who, run in made.curves.items()},
    }


def show_training(plan: TrainingPlan, made: TrainingCosts, machine: dict[str, str], console: Console) -> None:
    """Print the table, the ratios with what they shall reach, and how far the curves are apart."""
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    count = Trained(plan.model, LoraConfig()).count
    console.print(
        f"{count / 1e6:.1f} M parameters, {plan.precision}; medians of {plan.rounds} rounds of {plan.steps} steps"
    )
    console.print(_table(plan, made))
    found = training_results(plan, made, machine)
    for who, ratios in found["beside"].items():
        console.print(
            f"beside {who}: {ratios['times_the_frames']:.2f} times the frames (wanted {FASTER}), "
            f"{ratios['share_of_the_memory']:.0%} of the memory (wanted at most {LEANER:.0%})"
        )
    if made.curves:
        console.print(
            f"objective and batches made equal, {plan.curves} steps in fp32: the losses differ by "
            f"{found['largest_difference_of_losses']:.2e} nats at most"
        )


def _table(plan: TrainingPlan, made: TrainingCosts) -> Table:
    table = Table(
        "", "frames/s", "seconds a step", "clips a step", "frames a step", "peak memory", title="training"
    )
    for who, runs in made.runs.items():
        run = runs[0]
        count = len(run.ends) - plan.warm
        speed = made.frames_per_second(who, plan.warm)
        frames = sum(run.frames[plan.warm :]) / count
        clips = sum(run.clips[plan.warm :]) / count
        table.add_row(
            who,
            f"{speed:,.0f}",
            f"{frames / speed:.2f}",
            f"{clips:.1f}",
            f"{frames:,.0f}",
            f"{made.peak(who) / MEGABYTE:,.0f} MB",
        )  # fmt: skip
    return table
