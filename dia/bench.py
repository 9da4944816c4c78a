"""Measure speed and memory: ``python -m dia.bench model=dia_1_6b weights=random device=cpu``.

Ours and transformers' variants take turns in one run; what is compared are medians and their ratios, never times of two runs.
"""

import json
import os
from pathlib import Path

import torch
from rich.console import Console

from dia.benchmark.machine import describe_machine
from dia.benchmark.measure import Plan, measure
from dia.benchmark.report import results, show
from dia.benchmark.variants import Variant
from dia.checkpoint import load_checkpoint
from dia.conf import BenchConfig, run_one_of
from dia.errors import UserError
from dia.opening import shipped_or


def main(config: BenchConfig) -> None:
    """Measure, print the tables, and write the JSON if ``config.out`` names it. Raises ``UserError`` for impossible settings."""
    plan = _plan(config)
    torch.set_num_threads(config.threads or len(os.sched_getaffinity(0)))
    console = Console(width=160)
    codec = config.codec.name or _codec_of(plan.weights)
    made, shape = measure(plan, config.model, codec, lambda line: console.print(f"[dim]{line}"))
    machine = describe_machine(plan.device)
    show(plan, made, shape, machine, console)
    if config.out:
        target = Path(config.out)
        part = target.with_name(f".{os.getpid()}-{target.name}")
        part.write_text(json.dumps(results(plan, made, shape, machine), indent=2) + "\n", encoding="utf-8")
        os.replace(part, target)
        console.print(f"wrote {target}")


def _plan(config: BenchConfig) -> Plan:
    variants, problems = [], []
    for name in config.variants:
        try:
            variants.append(Variant.parse(name))
        except ValueError as error:
            problems.append(str(error))
    problems += [f"{key}={value} must be {least} or more" for key, value, least in (
        ("rounds", config.rounds, 1), ("steps", config.steps, 8), ("seconds", config.seconds, 0), ("batch", config.batch, 1),
    ) if value < least]  # fmt: skip
    if config.device not in ("cpu", "cuda"):
        problems.append(f"device={config.device} is unknown; choose cpu or cuda")
    if config.device == "cuda" and not torch.cuda.is_available():
        problems.append("device=cuda, but torch sees no GPU; choose cpu")
    if config.out and not Path(config.out).parent.is_dir():
        problems.append(f"the folder of out={config.out} is missing; make it, or write elsewhere")
    if problems:
        raise UserError("cannot measure:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return Plan(
        variants,
        str(shipped_or(config.weights)),
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


if __name__ == "__main__":
    run_one_of({"": ("bench", main)})
