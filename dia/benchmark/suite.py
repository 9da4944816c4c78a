"""Measure everything about a model on one device within a few minutes, part by part.

Each part is a command of ``dia-bench`` in a process of its own with a time limit, and the results are written
after each, so that a part that hangs or fails loses only itself. Parts of Dia come first.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dia.benchmark.variants import TRANSFORMERS
from dia.config.bench_suite import BenchSuiteConfig
from dia.files import write_text

LAST_LINES = 5  # of a failed part's messages
LEAST = 10.0  # seconds that must be left for a part


@dataclass(frozen=True)
class SuitePart:
    """A part: the arguments of ``python -m dia.bench``."""

    name: str
    arguments: tuple[str, ...]


def parts_of(config: BenchSuiteConfig) -> list[SuitePart]:
    """Return the parts in order: Dia's decoding, batches and training, then transformers' decoding."""
    shared = (f"model={config.model}", f"device={config.device}", "rounds=1", f"steps={config.steps}")
    audio = (f"seconds={config.seconds}", f"codec.name={config.codec}")
    decoding = [
        SuitePart(f"decoding, {variant}", (*shared, *audio, f"variants=[{variant}]"))
        for variant in config.variants
    ]
    first = f"variants=[{config.variants[0]}]"
    batches = [
        SuitePart(f"batch of {size}", (*shared, *audio, first, f"batch={size}", "memory=false"))
        for size in config.batches
    ]
    training = SuitePart("training", _training(config))
    others = [part for part in decoding if f", {TRANSFORMERS}" in part.name]
    return [*(part for part in decoding if part not in others), *batches, training, *others]


def _training(config: BenchSuiteConfig) -> tuple[str, ...]:
    steps = max(4, config.steps // 4)
    return (
        "train",
        f"model={config.model}",
        f"precision={config.precision}",
        "implementations=[dia]",
        "loss_curve_steps=0",
        "rounds=1",
        "warmup_steps=2",
        f"steps={steps}",
        f"clips={config.clips}",
    )


def measure_suite(
    config: BenchSuiteConfig, machine: dict[str, str], report: Callable[[str], None]
) -> dict[str, Any]:
    """Run all parts, write ``config.out`` after each, and return what it contains."""
    end = time.monotonic() + 60 * config.minutes
    results: dict[str, Any] = {"machine": machine, "model": config.model, "parts": {}}
    for part in parts_of(config):
        left = end - time.monotonic()
        if left < LEAST:
            results["parts"][part.name] = {"problem": f"left out: the {config.minutes:g} minutes are over"}
        else:
            results["parts"][part.name] = run_part(part, min(left, config.part_seconds))
        report(summary(part.name, results["parts"][part.name]))
        write_text(Path(config.out), json.dumps(results, indent=2) + "\n")
    return results


def run_part(part: SuitePart, limit: float) -> dict[str, Any]:
    """Return the figures of a part, or the problem: it failed, or took longer than ``limit`` seconds."""
    with tempfile.TemporaryDirectory(prefix="dia-bench-") as folder:
        out, begin = Path(folder) / "part.json", time.monotonic()
        command = [sys.executable, "-m", "dia.bench", *part.arguments, f"out={out}"]
        with open(Path(folder) / "messages", "w+") as messages:
            process = subprocess.Popen(command, stdout=messages, stderr=messages, start_new_session=True)
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                return {"problem": f"stopped after {limit:.0f} s"}
            finally:
                _stop(process)
            seconds = time.monotonic() - begin
            if process.returncode or not out.is_file():
                messages.seek(0)
                last = messages.read().strip().splitlines()[-LAST_LINES:]
                return {"problem": f"exit code {process.returncode}: " + "\n".join(last)}
        return {"seconds": seconds, "figures": json.loads(out.read_text())}


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process with those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def summary(name: str, result: dict[str, Any]) -> str:
    """Return the line of a part."""
    if "problem" in result:
        return f"{name}: {result['problem']}"
    figures = result["figures"]
    values = [
        f"{row['steps_per_second']:.1f} steps/s, {row['share_of_memory_bandwidth']:.0%} of the bandwidth"
        for row in figures.get("variants", {}).values()
        if row["steps_per_second"]
    ]
    measured = figures.get("measured", {})
    values += [f"first audio {rows[0]:.2f} s" for rows in measured.get("first_audio", {}).values() if rows]
    values += [f"{rate:.1f} s of audio a second" for rate in measured.get("batch", {}).get("batch", [])]
    if figures.get("flops_per_second"):
        values.append(f"{figures['flops_per_second'] / 1e12:.3f} TFLOP/s")
    if figures.get("mfu"):
        values.append(f"MFU {figures['mfu']:.1%}")
    return f"{name}: {', '.join(values) or 'measured'} ({result['seconds']:.0f} s)"
