"""Commands that are interrupted at random moments and started again, and whether their results are the same.

Used with small numbers by tests, and with large ones by ``scripts/kill_runs.py``.
"""

import csv
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dia.training.run_folder import FINISHED, read_metrics
from tests.data.test_prepare import digest, make_corpus
from tests.data.test_prepare import run as prepare_arguments
from tests.processes import Finished, kill_tree, run_door, start_door
from tests.systems.conftest import PROMPTS
from tests.systems.vendor_server import KEY, Vendor, serving
from tests.tiny_world import TinyWorld
from tests.training.whole_runs import GROUPS, PAIRS, TINY_RUN, make_noise, make_pairs

TERMINATED = (128 + signal.SIGTERM, -signal.SIGTERM)  # the latter before the command handles signals
PER_RUN = 5  # interruptions, after which a run may finish
TAKES = 6


@dataclass(frozen=True)
class Scenario:
    """A command: its door and arguments for a folder of its own, and what it leaves there."""

    name: str
    door: str
    arguments: Callable[[Path], list[str]]
    result: Callable[[Path], Any]
    """What must be equal; raises when the command has not finished."""
    environment: dict[str, str] = field(default_factory=dict)
    code: int = 0
    """The exit code of an unbroken run."""


@dataclass
class Outcome:
    """How often a command was interrupted, how many runs that were, and everything that went wrong."""

    interruptions: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """The shortest duration of a run that was not interrupted; later interruptions fall into it."""


def interrupt(scenario: Scenario, number: int, count: int, folder: Path, seed: int = 0) -> Outcome:
    """Interrupt runs of a command ``count`` times with a signal, and compare each with an unbroken run.

    SIGKILL ends the command with everything below it; another signal is sent to the command alone.
    """
    begin = time.monotonic()
    whole = folder / "whole"
    done = _run(scenario, whole)
    seconds = time.monotonic() - begin
    assert done.returncode == scenario.code, done.stderr[-3000:]
    expected, outcome, rng = scenario.result(whole), Outcome(seconds=seconds), random.Random(seed)
    while outcome.interruptions < count:
        outcome.runs += 1
        place = folder / f"{signal.Signals(number).name}-{outcome.runs}"
        _interrupt_run(scenario, number, count, place, outcome, rng)
        try:
            difference = _difference(expected, scenario.result(place))
        except (OSError, LookupError, ValueError, StopIteration, AssertionError) as error:
            outcome.problems.append(f"{place.name}: {type(error).__name__}: {error}")
        else:
            if difference:
                outcome.problems.append(f"{place.name}: the result differs: {difference}")
    return outcome


def _difference(expected: Any, result: Any) -> str:
    """Return where two results differ, empty where they are equal."""
    if (
        isinstance(expected, (tuple, list))
        and isinstance(result, (tuple, list))
        and len(expected) == len(result)
    ):
        parts = [_difference(*pair) for pair in zip(expected, result, strict=True)]
        return "; ".join(f"{place}: {part}" for place, part in enumerate(parts) if part)
    if isinstance(expected, dict) and isinstance(result, dict):
        return ", ".join(
            str(key) for key in sorted({*expected, *result}) if expected.get(key) != result.get(key)
        )
    return "" if expected == result else f"{str(result)[:200]} instead of {str(expected)[:200]}"


def _interrupt_run(
    scenario: Scenario,
    number: int,
    count: int,
    place: Path,
    outcome: Outcome,
    rng: random.Random,
) -> None:
    """Start a command until it finishes, and interrupt it up to ``PER_RUN`` times."""
    for attempt in range(2 * PER_RUN):
        if attempt < PER_RUN and outcome.interruptions < count:
            begin = time.monotonic()
            code, error = _interrupted(scenario, number, place, rng.uniform(0, outcome.seconds))
            if code == -signal.SIGKILL or (number == signal.SIGTERM and code in TERMINATED):
                outcome.interruptions += 1
                if not _is_finished(scenario, place):
                    continue
                return  # it was interrupted at exit, after it had written everything
            outcome.seconds = min(outcome.seconds, time.monotonic() - begin)
        else:
            done = _run(scenario, place)
            code, error = done.returncode, done.stderr
        if code != scenario.code or "Traceback" in error:
            outcome.problems.append(f"{place.name}: exit code {code}: {error[-6000:]}")
        return


def _interrupted(scenario: Scenario, number: int, place: Path, after: float) -> tuple[int, str]:
    place.mkdir(parents=True, exist_ok=True)
    running = start_door(
        scenario.door, *scenario.arguments(place), cwd=place, environment=scenario.environment
    )
    running.process.join(after)
    if running.process.exitcode is None:
        if number == signal.SIGKILL:
            kill_tree(running.process)
        else:
            assert running.process.pid is not None
            os.kill(running.process.pid, number)
    done = running.wait(300)
    return done.returncode, done.stderr


def _run(scenario: Scenario, place: Path) -> Finished:
    place.mkdir(parents=True, exist_ok=True)
    return run_door(
        scenario.door, *scenario.arguments(place), cwd=place, environment=scenario.environment, timeout=600
    )


def _is_finished(scenario: Scenario, place: Path) -> bool:
    return scenario.name in ("train", "dpo", "grpo") and (place / "runs" / "run" / FINISHED).is_file()


def prepare_scenario(folder: Path) -> Scenario:
    """Prepare a small corpus in two processes; the files must be equal byte for byte."""
    corpus = make_corpus(folder / "corpus")
    return Scenario(
        "prepare",
        "prepare",
        lambda place: prepare_arguments(corpus, place, "data.name=local", "engine=local", "engine.workers=2"),
        lambda place: digest(next(place.glob("local-*"))),
    )


def train_scenario(folder: Path) -> Scenario:
    """Train a tiny network; model, optimizer's steps and logged losses must be equal."""
    make_noise(folder)
    shared = [f"data.path={folder / 'noise'}", f"data.root={folder / 'prepared'}", "run_name=run"]
    return Scenario("train", "train", lambda place: [*TINY_RUN, *shared], _trained)


def _trained(place: Path) -> Any:
    """Return the files of a run's model, and its logged losses."""
    run = place / "runs" / "run"
    assert (run / FINISHED).is_file(), "the run has not finished"
    kinds = ("train/loss", "validation/loss", "train/reward")
    losses = [(row["step"], kind, row[kind]) for row in read_metrics(run) for kind in kinds if row.get(kind)]
    return digest(run / "model"), losses


def preference_scenario(name: str, folder: Path) -> Scenario:
    """Train a tiny network on pairs (`dpo`) or on groups of its own takes (`grpo`)."""
    train = train_scenario(folder)
    assert _run(train, folder).returncode == 0
    make_pairs(folder)
    own = [*PAIRS, "objective=dpo"] if name == "dpo" else [*GROUPS]
    own += [f"init_from={folder / 'runs' / 'run'}", f"data.root={folder / 'prepared'}", "run_name=run"]
    if name == "dpo":
        own.append(f"data.preferences.table={folder / 'noise' / 'pairs.jsonl'}")
    else:
        own.append(f"data.path={folder / 'noise'}")
    return Scenario(name, "train", lambda place: [*TINY_RUN, *own], _trained)


def eval_scenario(folder: Path) -> Scenario:
    """Evaluate a tiny run; scores.json must be equal byte for byte.

    The run has learned nothing: its takes do not end, and the command says so with exit code 3.
    """
    train = train_scenario(folder)
    assert _run(train, folder).returncode == 0
    suite = folder / "suite.jsonl"
    suite.write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS[:2]))
    arguments = [
        f"ckpt={folder / 'runs' / 'run'}",
        f"suite={suite}",
        "seeds=1",
        "timing=false",
        "cache=cache",
        "out=report",
    ]
    return Scenario(
        "eval",
        "eval",
        lambda place: arguments,
        lambda place: (place / "report" / "scores.json").read_bytes(),
        code=3,
    )


class SlowVendor(Vendor):
    """A service that takes a moment for each response, and counts requests by folder of the recording."""

    seconds = 0.1

    @property
    def audio(self) -> bytes:
        """The response."""
        time.sleep(self.seconds)
        return self._audio

    @audio.setter
    def audio(self, content: bytes) -> None:
        self._audio = content


def record_scenario(folder: Path, vendor: Vendor) -> Scenario:
    """Record a local service; the takes must be equal, and every response is stored once."""
    suite = folder / "suite.jsonl"
    suite.write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))

    def arguments(place: Path) -> list[str]:
        return [
            "record",
            "system=elevenlabs",
            f"system.base_url={vendor.url}",
            f"suite={suite}",
            "out=out",
            f"takes={TAKES}",
            "confirm=true",
            "run_id=one",
            "system.concurrency=2",
        ]

    def result(place: Path) -> Any:
        recording = place / "out" / "elevenlabs" / "one"
        assert json.loads((recording / "manifest.json").read_text())["state"] == "complete"
        log = [json.loads(line) for line in (recording / "attempts.jsonl").read_text().splitlines()]
        stored = Counter((row["prompt_id"], row["take"]) for row in log if row["event"] == "succeeded")
        assert set(stored.values()) == {1}, "a response was requested again"
        rows = [json.loads(line) for line in (recording / "outputs.jsonl").read_text().splitlines()]
        keys = ("prompt_id", "take", "error_kind", "duration_s", "wav_sha256", "rendered_script")
        return sorted(json.dumps([row[key] for key in keys]) for row in rows)

    return Scenario("record", "eval", arguments, result, {"ELEVENLABS_API_KEY": KEY})


def sweep_scenario(folder: Path) -> Scenario:
    """Search two values with a tiny network; the values of the trials and the models must be equal."""
    world = TinyWorld(folder / "tiny")
    small = [
        item for item in world.overrides(folder, 4) if not item.startswith(("runs=", "batch.max_frames="))
    ]
    arguments = [
        *small,
        *world.shape(),
        "sweep.space={batch.max_frames: [150, 250]}",
        "sweep.sampler=grid",
        "sweep.name=frames",
    ]

    def result(place: Path) -> Any:
        sweep = place / "sweeps" / "frames"
        rows = sorted(tuple(row) for row in csv.reader((sweep / "results.csv").open()))
        return rows, [digest(sweep / f"trial-{number:04d}" / "model") for number in range(2)]

    return Scenario("sweep", "sweep", lambda place: arguments, result)


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "prepare": prepare_scenario,
    "train": train_scenario,
    "eval": eval_scenario,
    "sweep": sweep_scenario,
    "dpo": partial(preference_scenario, "dpo"),
    "grpo": partial(preference_scenario, "grpo"),
}


def interrupt_door(name: str, number: int, count: int, folder: Path, seed: int = 0) -> Outcome:
    """Interrupt one of ``SCENARIOS``, or `record`; see :func:`interrupt`."""
    folder.mkdir(parents=True, exist_ok=True)
    if name != "record":
        return interrupt(SCENARIOS[name](folder), number, count, folder, seed)
    with serving(SlowVendor()) as vendor:
        outcome = interrupt(record_scenario(folder, vendor), number, count, folder, seed)
        needed = len(PROMPTS) * TAKES * (outcome.runs + 1)
        # a request that is on its way when the process is killed is lost, and its price with it
        lost = 2 * outcome.interruptions if number == signal.SIGKILL else 0
        if not needed <= len(vendor.requests) <= needed + lost:
            outcome.problems.append(f"{len(vendor.requests)} requests were sent, {needed} were needed")
    return outcome
