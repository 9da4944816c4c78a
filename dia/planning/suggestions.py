"""What to change when a run does not fit into a GPU, each change with what it comes to."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dia.config.choices import ActivationCheckpointing
from dia.planning.planner import GIGABYTE, Job, Memory, Planner

SHOWN = 3  # combinations that are named


@dataclass(frozen=True)
class Remedy:
    """Changed keys, as on the command line, and the job they make; ``slower`` is the factor on the hours."""

    keys: tuple[str, ...]
    job: Job
    memory: Memory
    fits: bool
    slower: float


def remedies(planner: Planner, job: Job) -> list[Remedy]:
    """Return each single change that there is, and of those that fit together the ones that cost the least
    time.
    """
    single = [_remedy(planner, job, [change]) for change in _changes(planner, job)]
    if any(remedy.fits for remedy in single):
        return single
    options = _options(job)
    joint = [
        _remedy(planner, job, list(chosen)) for chosen in product(*options) if sum(map(bool, chosen)) > 1
    ]
    fitting = [remedy for remedy in joint if remedy.fits]
    return single + sorted(fitting, key=lambda remedy: (remedy.slower, len(remedy.keys)))[:SHOWN]


def most_frames(planner: Planner, job: Job) -> int:
    """Return the largest batch.max_frames that fits, a multiple of 100; 0 when even one clip does not.

    Memory is a straight line in the clips of a batch, which two plans tell.
    """
    steps = planner.shape(job).steps
    few, more = (planner.memory(replace(job, frames=count * steps)).total for count in (8, 16))
    limit = (planner.settings.memory_gb - planner.settings.reserve_gb) * GIGABYTE
    clips = int((limit - few) / ((more - few) / 8)) + 8
    return max(0, clips * steps // 100 * 100) if clips > 0 else 0


Change = dict[str, tuple[str, Any]]
"""Fields of a job, each with the key on the command line and its value."""


def _options(job: Job) -> list[list[Change]]:
    """Of each kind of change all that save memory, and none."""
    modes = list(ActivationCheckpointing)
    saving = modes[modes.index(job.activations) + 1 :]
    activations: list[Change] = [
        {},
        *({"activations": (f"trainer.activation_checkpointing={mode}", mode)} for mode in saving),
    ]
    spread: list[Change] = [{}]
    if job.gpus > 1 and job.strategy != "fsdp2":
        spread.append({"strategy": ("trainer=fsdp2", "fsdp2")})
    optimizer: list[Change] = [{}]
    if job.optimizer != "adamw8bit":
        optimizer.append({"optimizer": ("optim=adamw8bit", "adamw8bit")})
    return [activations, spread, optimizer]


def _changes(planner: Planner, job: Job) -> list[Change]:
    single = [change for option in _options(job) for change in option if change]
    frames = most_frames(planner, job)
    if 0 < frames < job.frames:
        times = -(-job.frames // frames)
        frames = job.frames // times // 100 * 100 or frames
        fewer: Change = {
            "frames": (f"batch.max_frames={frames}", frames),
            "accumulate": (
                f"trainer.gradient_accumulation_steps={job.accumulate * times}",
                job.accumulate * times,
            ),
        }
        single.insert(0, fewer)
    return single


def _remedy(planner: Planner, job: Job, changes: list[Change]) -> Remedy:
    joined = {name: change[name] for change in changes for name in change}
    made = replace(job, **{name: value for name, (_, value) in joined.items()})
    per_frame = [planner.work(item).made / planner.work(item).frames for item in (made, job)]
    return Remedy(
        tuple(key for key, _ in joined.values()),
        made,
        planner.memory(made),
        planner.fits(made),
        per_frame[0] / per_frame[1],
    )
