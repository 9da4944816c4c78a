"""The printed plan of a run, at most 80 columns wide; the answer stands first."""

from rich.console import Console
from rich.table import Table

from dia.planning.planner import GIGABYTE, Job, Planner
from dia.planning.suggestions import Suggestion, max_frames_that_fit, suggest

WIDTH = 80


def show_plan(planner: Planner, job: Job, console: Console) -> None:
    """Print the verdict, parameters, memory, work, time and cost, and suggestions if the run does not fit."""
    shape, settings, stats = planner.shape(job), planner.settings, planner.stats
    console.print(_verdict(planner, job))
    console.print(f"\n[bold]{stats.count:,} parameters[/bold], {stats.trained_count:,} of them trained")
    console.print(_parameters(planner))
    console.print(
        f"\n[bold]Memory[/bold]: {job.strategy} on {job.gpus} GPU(s), {job.precision}, {job.optimizer}, "
        f"activation checkpointing {job.activations}; a batch of {shape.clips} clips of {shape.steps} steps "
        f"and {shape.text_bytes} bytes of text"
    )
    console.print(_memory(planner, job))
    console.print("\n[bold]Work of an optimizer step on all GPUs")
    console.print(_work(planner, job))
    console.print(
        f"\n[bold]Time and cost[/bold], assuming {settings.mfu:.0%} of the peak in the data sheet "
        "(planning.mfu) and the prices of planning.dollars_per_gpu_hour"
    )
    console.print(_time(planner, job))
    if not planner.fits(job):
        console.print("\n[bold]What to change")
        console.print(_suggestions(planner, job))
    for note in notes(job):
        console.print(f"[dim]Note: {note}.")


def notes(job: Job) -> list[str]:
    """Return what the numbers do not include."""
    lines = ["activations are those of uncompiled code; compiled layers save no more"]
    if job.generation is not None:
        lines.append(
            "times do not include the generation and the scoring of takes, which take longer than learning; "
            "a run logs train/generation_seconds and train/scoring_seconds"
        )
    if job.precision == "32-true":
        lines.append(
            "on a GPU in fp32, attention with shared keys has no memory-efficient kernel and saves T x T "
            "scores, which are not counted; use bf16-mixed"
        )
    return lines


def _verdict(planner: Planner, job: Job) -> str:
    settings = planner.settings
    needed = planner.memory(job).total / GIGABYTE + settings.reserve_gb
    if not planner.fits(job):
        return f"[red]It does not fit[/red]: {needed:.2f} GB needed, {settings.memory_gb:g} GB on each GPU."
    answer = f"[green]It fits[/green]: {needed:.2f} of {settings.memory_gb:g} GB on each GPU."
    if most := max_frames_that_fit(planner, job):
        answer += f" The largest batch.max_frames that fits is about {most:,}."
    return answer


def _parameters(planner: Planner) -> Table:
    table = Table("part", "parameters", "share")
    for name, count in planner.stats.by_part.items():
        table.add_row(name, f"{count:,}", f"{count / planner.stats.count:.1%}")
    return table


def _memory(planner: Planner, job: Job) -> Table:
    memory, settings = planner.memory(job), planner.settings
    table = Table("on each GPU", "GB")
    for name, size in memory.parts.items():
        table.add_row(name, f"{size / GIGABYTE:.2f}")
    table.add_row("reserve (an estimate)", f"{settings.reserve_gb:.2f}", end_section=True)
    total = memory.total / GIGABYTE + settings.reserve_gb
    table.add_row(f"peak, in phase {memory.phase}", f"{total:.2f} of {settings.memory_gb:g}")
    return table


def _work(planner: Planner, job: Job) -> Table:
    work = planner.work(job)
    seconds = work.frames / planner.frame_rate
    table = Table(show_header=False)
    table.add_row("codec frames", f"{work.frames:,.0f}")
    table.add_row("audio", f"{seconds / 60:.1f} minutes")
    table.add_row("operations of the clips, forward and backward", f"{work.flops / 1e12:,.1f} TFLOP")
    table.add_row("operations with padding and recomputation", f"{work.computed / 1e12:,.1f} TFLOP")
    table.add_row(f"audio in {job.steps:,} steps", f"{seconds * job.steps / 3600:,.0f} hours")
    if job.generation is not None:
        table.add_row(f"generation of {job.generation.takes} takes", f"{work.generated / 1e12:,.1f} TFLOP")
        table.add_row("decoder steps of it on a GPU, each reads all weights", f"{work.reads:,}")
    return table


def _time(planner: Planner, job: Job) -> Table:
    table = Table("GPUs", "per step", "all steps", "US dollars")
    for gpu, price in planner.settings.dollars_per_gpu_hour.items():
        hours = planner.hours(job, gpu)
        table.add_row(
            f"{job.gpus} x {gpu}",
            f"{hours * 3600 / job.steps:.2f} s",
            f"{hours:,.0f} h" if hours >= 10 else f"{hours:.1f} h",
            f"{hours * job.gpus * price:,.0f}",
        )
    return table


def _suggestions(planner: Planner, job: Job) -> Table:
    table = Table("change", "GB per GPU", "fits", "time")
    for suggestion in suggest(planner, job):
        table.add_row(*_row(suggestion, planner.settings.reserve_gb))
    return table


def _row(suggestion: Suggestion, reserve_gb: float) -> tuple[str, str, str, str]:
    return (
        "\n".join(suggestion.keys),
        f"{suggestion.memory.total / GIGABYTE + reserve_gb:.1f}",
        "[green]yes" if suggestion.fits else "[red]no",
        f"x {suggestion.slowdown:.2f}",
    )
