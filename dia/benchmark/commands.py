"""The commands of ``dia.bench``: measure, print tables, and write the numbers as JSON."""

import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dia.benchmark.machine import describe_machine
from dia.benchmark.measure import Plan, measure
from dia.benchmark.preparation import PreparationPlan, compare_with_dac, measure_growth, weights_of
from dia.benchmark.preparation_report import preparation_results, show_preparation
from dia.benchmark.report import results, show
from dia.benchmark.training import TrainingPlan, measure_training
from dia.benchmark.training_data import Lengths
from dia.benchmark.training_report import show_training, training_results
from dia.benchmark.variants import Variant
from dia.checkpoint import load_checkpoint
from dia.checkpoint.locate import resolve_checkpoint
from dia.config.bench import BenchConfig, BenchPrepareConfig, BenchTrainConfig
from dia.errors import UserError
from dia.files import write_text


def bench_generation(config: BenchConfig) -> None:
    """Measure generation, print the tables, and write ``config.out``. Raises ``UserError`` for impossible settings."""
    plan = _plan(config)
    torch.set_num_threads(config.threads or len(os.sched_getaffinity(0)))
    console = Console(width=160)
    codec = config.codec.name or _codec_of(plan.weights)
    made, shape = measure(plan, config.model, codec, lambda line: console.print(f"[dim]{line}"))
    machine = describe_machine(plan.device)
    show(plan, made, shape, machine, console)
    _write(config.out, results(plan, made, shape, machine), console)


def bench_preparation(config: BenchPrepareConfig) -> None:
    """Measure data preparation, as :func:`bench_generation` does."""
    _raise(config.problems() + _out_problems(config.out))
    os.sched_setaffinity(
        0, sorted(os.sched_getaffinity(0))[: config.workers]
    )  # the commands that are measured inherit it
    torch.set_num_threads(config.workers)
    console, growth, compared = Console(width=160), None, None
    with tempfile.TemporaryDirectory(prefix="dia-bench-") as folder:
        plan = PreparationPlan(Path(folder), config)
        codec = weights_of(plan)
        if config.growth:
            growth = measure_growth(plan, codec, lambda line: console.print(f"[dim]{line}"))
        if config.dac:
            compared = compare_with_dac(plan, codec, lambda line: console.print(f"[dim]{line}"))
        machine = describe_machine(torch.device("cpu"))
        show_preparation(config, growth, compared, machine, console)
    _write(config.out, preparation_results(config, growth, compared, machine), console)


def bench_training(config: BenchTrainConfig) -> None:
    """Measure training, as :func:`bench_generation` does."""
    plan, console = _training_plan(config), Console(width=160)
    torch.set_num_threads(plan.threads)
    made = measure_training(plan, lambda line: console.print(f"[dim]{line}"))
    machine = describe_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    show_training(plan, made, machine, console)
    _write(config.out, training_results(plan, made, machine), console)


def _training_plan(config: BenchTrainConfig) -> TrainingPlan:
    problems = config.problems()
    if missing := [name for name in ("transformers", "accelerate") if importlib.util.find_spec(name) is None]:
        problems.append(
            f"{' and '.join(missing)} are not installed; install them: pip install 'dia-framework[bench]'"
        )
    _raise(problems + _out_problems(config.out))
    threads = config.threads or len(os.sched_getaffinity(0))
    return TrainingPlan(
        config.model, config.precision, config.rounds, config.steps, config.warmup_steps, config.clips,
        Lengths(config.median_frames, config.deviation), threads, config.loss_curve_steps,
    )  # fmt: skip


def _write(out: str, content: dict[str, Any], console: Console) -> None:
    if out:
        target = Path(out)
        write_text(target, json.dumps(content, indent=2) + "\n")
        console.print(f"wrote {target}")


def _out_problems(out: str) -> list[str]:
    return (
        [f"the folder of out={out} is missing; make it, or write elsewhere"]
        if out and not Path(out).parent.is_dir()
        else []
    )


def _raise(problems: list[str]) -> None:
    if problems:
        raise UserError("cannot measure:\n" + "\n".join(f"  - {problem}" for problem in problems))


def _plan(config: BenchConfig) -> Plan:
    variants, problems = [], []
    for name in config.variants:
        try:
            variants.append(Variant.parse(name))
        except ValueError as error:
            problems.append(str(error))
    problems += config.problems()
    if config.device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda, but torch sees no GPU; choose cpu")
    _raise(problems + _out_problems(config.out))
    return Plan(
        variants,
        str(resolve_checkpoint(config.weights)),
        torch.device(config.device),
        config.rounds,
        config.steps,
        config.seconds,
        config.batch,
        config.memory,
    )


def _codec_of(weights: str) -> str:
    if weights == "random":
        return "random"
    named = load_checkpoint(weights).codec
    if named is None:
        raise UserError(f"{weights} names no codec; give one with codec.name=...")
    return named.name
