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
from dia.benchmark.measure import BenchmarkPlan, measure
from dia.benchmark.preparation import PreparationPlan, codec_weights, compare_with_dac, measure_scaling
from dia.benchmark.preparation_report import preparation_results, print_preparation_report
from dia.benchmark.report import print_report, results
from dia.benchmark.serving import as_dict, measure_server, report_of
from dia.benchmark.suite import measure_suite
from dia.benchmark.training import TrainingPlan, measure_training
from dia.benchmark.training_data import LengthDistribution
from dia.benchmark.training_job import DIA
from dia.benchmark.training_report import print_training_report, training_results
from dia.benchmark.variants import Variant
from dia.checkpoint import load_checkpoint
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.registry import load_stated_codec
from dia.config.bench import BenchConfig, BenchPrepareConfig, BenchServeConfig, BenchTrainConfig
from dia.config.bench_suite import BenchSuiteConfig
from dia.errors import UserError
from dia.files import write_text


def bench_generation(config: BenchConfig) -> None:
    """Measure generation, print the tables, and write ``config.out``. Raises ``UserError``."""
    plan = _plan(config)
    torch.set_num_threads(config.threads or len(os.sched_getaffinity(0)))
    console = Console(width=160)
    codec = config.codec.name or _codec_of(plan.weights)
    measurements, shape = measure(plan, config.model, codec, lambda line: console.print(f"[dim]{line}"))
    machine = describe_machine(plan.device)
    print_report(plan, measurements, shape, machine, console)
    _write(config.out, results(plan, measurements, shape, machine), console)


def bench_preparation(config: BenchPrepareConfig) -> None:
    """Measure data preparation, as :func:`bench_generation` does."""
    _raise_problems(config.problems() + _out_problems(config.out))
    # the measured commands inherit the affinity
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: config.workers])
    torch.set_num_threads(config.workers)
    console, scaling, comparison = Console(width=160), None, None
    with tempfile.TemporaryDirectory(prefix="dia-bench-") as folder:
        plan = PreparationPlan(Path(folder), config)
        codec = codec_weights(plan)
        if config.growth:
            scaling = measure_scaling(plan, codec, lambda line: console.print(f"[dim]{line}"))
        if config.dac:
            comparison = compare_with_dac(plan, codec, lambda line: console.print(f"[dim]{line}"))
        machine = describe_machine(torch.device("cpu"))
        print_preparation_report(config, scaling, comparison, machine, console)
    _write(config.out, preparation_results(config, scaling, comparison, machine), console)


def bench_training(config: BenchTrainConfig) -> None:
    """Measure training, as :func:`bench_generation` does."""
    plan, console = _training_plan(config), Console(width=160)
    torch.set_num_threads(plan.threads)
    measurements = measure_training(plan, lambda line: console.print(f"[dim]{line}"))
    machine = describe_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    print_training_report(plan, measurements, machine, console)
    _write(config.out, training_results(plan, measurements, machine), console)


def bench_serving(config: BenchServeConfig) -> None:
    """Measure the server, as :func:`bench_generation` does."""
    problems = config.problems() + _out_problems(config.out)
    if missing := [
        name for name in ("fastapi", "uvicorn", "httpx") if importlib.util.find_spec(name) is None
    ]:
        problems.append(f"{', '.join(missing)} are not installed; install them: pip install '.[serve]'")
    _raise_problems(problems)
    console, figures = Console(width=160), measure_server(config)
    machine = describe_machine(torch.device("cpu"))
    console.print(report_of(figures, config))
    _write(config.out, {"figures": as_dict(figures), "machine": machine}, console)


def bench_suite(config: BenchSuiteConfig) -> None:
    """Measure all parts within a time, and write ``config.out`` after each. Raises ``UserError``."""
    problems = config.problems() + _out_problems(config.out)
    if config.device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda, but torch finds no GPU; use device=cpu")
    _raise_problems(problems)
    console = Console(width=160)
    machine = describe_machine(torch.device(config.device))
    console.print("; ".join(f"{name} {value}" for name, value in machine.items()))
    measure_suite(config, machine, console.print)
    console.print(f"wrote {config.out}")


def _training_plan(config: BenchTrainConfig) -> TrainingPlan:
    problems, others = config.problems(), set(config.implementations) - {DIA}
    needed = ("transformers", "accelerate") if others else ()
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        problems.append(
            f"{' and '.join(missing)} are not installed; install them: pip install 'dia-framework[bench]'"
        )
    _raise_problems(problems + _out_problems(config.out))
    threads = config.threads or len(os.sched_getaffinity(0))
    return TrainingPlan(
        config.model,
        config.precision,
        config.rounds,
        config.steps,
        config.warmup_steps,
        config.clips,
        LengthDistribution(config.median_frames, config.deviation),
        threads,
        config.loss_curve_steps if others else 0,
        tuple(config.implementations),
    )


def _write(out: str, content: dict[str, Any], console: Console) -> None:
    if out:
        target = Path(out)
        write_text(target, json.dumps(content, indent=2) + "\n")
        console.print(f"wrote {target}")


def _out_problems(out: str) -> list[str]:
    return (
        [f"the folder of out={out} is missing; create it, or write elsewhere"]
        if out and not Path(out).parent.is_dir()
        else []
    )


def _raise_problems(problems: list[str]) -> None:
    if problems:
        raise UserError("cannot measure:\n" + "\n".join(f"  - {problem}" for problem in problems))


def _plan(config: BenchConfig) -> BenchmarkPlan:
    variants, problems = [], []
    for name in config.variants:
        try:
            variants.append(Variant.parse(name))
        except ValueError as error:
            problems.append(str(error))
    problems += config.problems()
    if config.device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda, but torch finds no GPU; use device=cpu")
    _raise_problems(problems + _out_problems(config.out))
    return BenchmarkPlan(
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
        raise UserError(f"{weights} names no codec; set codec.name=...")
    return load_stated_codec(named.name, named.fingerprint, weights).name
