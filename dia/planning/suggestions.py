"""Suggestions for a run that does not fit into a GPU: changed keys with their memory and slowdown."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dia.config.choices import ActivationCheckpointing, OptimizerKind, Strategy
from dia.planning.planner import GIGABYTE, Job, Memory, Planner

MAX_COMBINATIONS = 3


@dataclass(frozen=True)
class Suggestion:
    """Changed keys as on the command line, and the job that they give; ``slowdown`` is a factor of time."""

    keys: tuple[str, ...]
    job: Job
    memory: Memory
    fits: bool
    slowdown: float


def suggest(planner: Planner, job: Job) -> list[Suggestion]:
    """Return every single change; if none of them fits, the fastest combinations that fit as well."""
    single = [_suggestion(planner, job, [change]) for change in _single_changes(planner, job)]
    if any(suggestion.fits for suggestion in single):
        return single
    combinations = [changes for changes in product(*_options(job)) if sum(map(bool, changes)) > 1]
    joint = [_suggestion(planner, job, list(changes)) for changes in combinations]
    fitting = [suggestion for suggestion in joint if suggestion.fits]
    fitting.sort(key=lambda suggestion: (suggestion.slowdown, len(suggestion.keys)))
    return single + fitting[:MAX_COMBINATIONS]


def max_frames_that_fit(planner: Planner, job: Job) -> int:
    """Return the largest `batch.max_frames` that fits, a multiple of 100; 0 if a single clip does not.

    Memory is linear in the clips of a batch, so two plans determine it.
    """
    steps = planner.shape(job).steps
    few, more = (planner.memory(replace(job, frames=count * steps)).total for count in (8, 16))
    limit = (planner.settings.memory_gb - planner.settings.reserve_gb) * GIGABYTE
    clips = int((limit - few) / ((more - few) / 8)) + 8
    return max(0, clips * steps // 100 * 100) if clips > 0 else 0


Change = dict[str, tuple[str, Any]]
"""From fields of a job to the key on the command line and the new value of the field."""


def _options(job: Job) -> list[list[Change]]:
    """Return, for each kind of change, all that save memory, and the empty one."""
    modes = list(ActivationCheckpointing)
    saving = modes[modes.index(ActivationCheckpointing(job.activations)) + 1 :]
    activations: list[Change] = [
        {},
        *({"activations": (f"trainer.activation_checkpointing={mode}", mode)} for mode in saving),
    ]
    strategy: list[Change] = [{}]
    if job.gpus > 1 and not job.strategy.sharded:
        strategy.append({"strategy": ("trainer=fsdp2", Strategy.fsdp2)})
    optimizer: list[Change] = [{}]
    if job.optimizer != OptimizerKind.adamw8bit:
        optimizer.append({"optimizer": ("optim=adamw8bit", OptimizerKind.adamw8bit)})
    return [activations, strategy, optimizer]


def _single_changes(planner: Planner, job: Job) -> list[Change]:
    changes = [change for option in _options(job) for change in option if change]
    frames = max_frames_that_fit(planner, job)
    if 0 < frames < job.frames:
        times = -(-job.frames // frames)
        frames = job.frames // times // 100 * 100 or frames
        accumulation = job.accumulation * times
        smaller_batches: Change = {
            "frames": (f"batch.max_frames={frames}", frames),
            "accumulation": (f"trainer.gradient_accumulation_steps={accumulation}", accumulation),
        }
        changes.insert(0, smaller_batches)
    return changes


def _suggestion(planner: Planner, job: Job, changes: list[Change]) -> Suggestion:
    joined = {name: change[name] for change in changes for name in change}
    changed = replace(job, **{name: value for name, (_, value) in joined.items()})
    before, after = (planner.work(each).computed / planner.work(each).frames for each in (job, changed))
    return Suggestion(
        tuple(key for key, _ in joined.values()),
        changed,
        planner.memory(changed),
        planner.fits(changed),
        after / before,
    )
