"""A plan as tables."""

from rich.console import Console
from rich.table import Table

from dia.planning.planner import GIGABYTE, Job, Planner
from dia.planning.suggestions import Remedy, most_frames, remedies


def show_plan(planner: Planner, job: Job, console: Console) -> None:
    """Print parameters, memory, work, time and money; and what to change when it does not fit."""
    shape, settings, trained = planner.shape(job), planner.settings, planner.trained
    console.print(
        f"\n[bold]{trained.count:,} parameters[/bold], {trained.trained_count:,} of them trained",
        _parameters(planner),
        sep="\n",
    )
    console.print(
        f"\n[bold]memory[/bold]: {job.strategy} on {job.gpus} GPUs, {job.precision}, {job.optimizer}, activations "
        f"{job.activations}; a batch of {shape.clips} clips x {shape.steps} steps, {shape.text_bytes} bytes of text each",
        _memory(planner, job), sep="\n",
    )  # fmt: skip
    console.print("\n[bold]work", _work(planner, job), sep="\n")
    console.print(
        f"\n[bold]time and money[/bold] at {settings.mfu:.0%} of the data sheet's operations: assumed (planning.mfu, "
        "planning.dollars_per_gpu_hour)", _time(planner, job), sep="\n",
    )  # fmt: skip
    if not planner.fits(job):
        console.print("\n[bold]what to change", _remedies(planner, job), sep="\n")
    elif most := most_frames(planner, job):
        console.print(f"\nit fits; the largest batch.max_frames that would is about {most:,}")
    for note in notes(job):
        console.print(f"[dim]{note}")


def notes(job: Job) -> list[str]:
    """Return what the figures leave out."""
    found = ["activations are those of the code run as it is; compiled layers keep no more"]
    if job.precision == "32-true":
        found.append(
            "on a GPU in fp32 attention with shared keys has no kernel that keeps little: it keeps T x T scores, which are not "
            "counted; use bf16-mixed"
        )
    return found


def _parameters(planner: Planner) -> Table:
    table = Table("part", "parameters", "share")
    for name, count in planner.trained.by_part.items():
        table.add_row(name, f"{count:,}", f"{count / planner.trained.count:.1%}")
    return table


def _memory(planner: Planner, job: Job) -> Table:
    memory, reserve = planner.memory(job), planner.settings.reserve_gb
    table = Table("on each GPU", "GB")
    for name, size in memory.parts.items():
        table.add_row(name, f"{size / GIGABYTE:.2f}")
    table.add_row("reserve (a guess)", f"{reserve:.2f}", end_section=True)
    verdict = "fits into" if planner.fits(job) else "[red]does not fit into"
    total = memory.total / GIGABYTE + reserve
    table.add_row(
        f"at most, in the phase: {memory.when}", f"{total:.2f} {verdict} {planner.settings.memory_gb:g}"
    )
    return table


def _work(planner: Planner, job: Job) -> Table:
    work = planner.work(job)
    seconds = work.frames / planner.frame_rate
    table = Table("an optimizer step, all GPUs", "")
    table.add_row("codec frames", f"{work.frames:,.0f}")
    table.add_row("sound", f"{seconds / 60:.1f} minutes")
    table.add_row("operations of the clips (forward and backward)", f"{work.flops / 1e12:,.1f} TFLOP")
    table.add_row("operations with padding and what is made again", f"{work.made / 1e12:,.1f} TFLOP")
    table.add_row(f"sound of {job.steps:,} steps", f"{seconds * job.steps / 3600:,.0f} hours")
    return table


def _time(planner: Planner, job: Job) -> Table:
    settings = planner.settings
    table = Table(
        "GPU",
        "a step",
        "all steps",
        "dollars",
        title=f"time and money at {settings.mfu:.0%} of the data sheet: assumed",
    )
    for gpu, price in settings.dollars_per_gpu_hour.items():
        taken = planner.hours(job, gpu)
        table.add_row(
            f"{job.gpus} x {gpu}",
            f"{taken * 3600 / job.steps:.2f} s",
            f"{taken:,.0f} h",
            f"{taken * job.gpus * price:,.0f}",
        )
    return table


def _remedies(planner: Planner, job: Job) -> Table:
    table = Table("change", "GB on each GPU", "", "time a frame")
    for remedy in remedies(planner, job):
        table.add_row(*_row(remedy, planner.settings.reserve_gb))
    return table


def _row(remedy: Remedy, reserve: float) -> tuple[str, str, str, str]:
    total = remedy.memory.total / GIGABYTE + reserve
    return (
        " ".join(remedy.keys),
        f"{total:.1f}",
        "[green]fits" if remedy.fits else "[red]does not fit",
        f"x {remedy.slower:.2f}",
    )
