"""Exact resuming: a fingerprint of all inputs of a run's arithmetic, stored with every checkpoint.

Batches are a pure function of their number, and every batch seeds the random numbers. What else changes the
weights is compared before a run resumes: the config, the data, the world size, torch's version, the
processor's instruction set and the number of threads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import __version__, get_num_threads
from torch.backends.cpu import get_cpu_capability

from dia.config.stored import present_keys
from dia.training.objectives import objective_type
from dia.types import flatten

# keys that decide where and how often something is written or logged, but do not change a weight
IRRELEVANT_KEYS = (
    "run_name",
    "runs",
    "resume",
    "logger",
    "validation",
    "divergence",
    "watchdog",
    "plan",
    "planning",
    "sampling",
    "engine",
    "data",
    "mix",
    "trainer.checkpoint_every",
    "trainer.validate_every",
    "trainer.num_workers",
    "trainer.devices",
    "trainer.nodes",
)
MAX_THREADS = 1024
# keys of these that do change weights in some runs
CONDITIONALLY_RELEVANT: dict[str, Callable[[dict[str, Any]], bool]] = {
    "sampling": lambda config: (
        objective_type(config["objective"]).reads_sampling if "objective" in config else False
    ),
    "trainer.validate_every": lambda config: config.get("early_stopping", {}).get("patience", 0) > 0,
}


@dataclass(frozen=True)
class RunFingerprint:
    """The inputs of a run's arithmetic: relevant config keys (flat), data digests by split, and the machine.

    ``processor`` is torch's name of the instruction set; ``threads`` decide the order of sums.
    """

    config: dict[str, Any]
    world_size: int
    data: dict[str, str] = field(default_factory=dict)
    torch: str = str(__version__)
    processor: str = field(default_factory=get_cpu_capability)
    threads: int = field(default_factory=get_num_threads)

    def to_json(self) -> dict[str, Any]:
        """Return the fingerprint as it is stored in a manifest."""
        stored = dict(vars(self))
        stored["world"] = stored.pop("world_size")
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "RunFingerprint":
        """Return a stored fingerprint with present keys. Raises ``TypeError``, ``ValueError`` or
        ``KeyError``."""
        values = dict(stored)
        values["config"] = present_keys(values["config"])
        values["world_size"] = values.pop("world")
        fingerprint = cls(**values)
        if not 1 <= int(fingerprint.threads) <= MAX_THREADS:  # the run would start as many
            raise ValueError(f"the checkpoint states {fingerprint.threads} threads")
        return fingerprint


def relevant(config: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a nested config that the weights depend on, flat: ``optim.learning_rate``."""
    relevant_here = {key for key, applies in CONDITIONALLY_RELEVANT.items() if applies(config)}
    irrelevant = [key for key in IRRELEVANT_KEYS if key not in relevant_here]
    return {
        key: value
        for key, value in flatten(config).items()
        if not any(f"{key}.".startswith(f"{name}.") for name in irrelevant)
    }


def incompatibilities(stored: RunFingerprint, current: RunFingerprint) -> list[str]:
    """Return why a checkpoint cannot be loaded into this run at all, one sentence each with its remedy."""
    problems = [_change(key, stored, current) for key in _differing_keys(stored, current) if _sets_shape(key)]
    if stored.world_size != current.world_size and (_is_sharded(stored) or _is_sharded(current)):
        problems.append(
            f"the checkpoint has shards of {stored.world_size} processes, this run has {current.world_size}; "
            f"start {stored.world_size} processes"
        )
    return problems


def inexact_changes(stored: RunFingerprint, current: RunFingerprint) -> list[str]:
    """Return the changes after which a resumed run would not reproduce the uninterrupted run."""
    keys = [key for key in _differing_keys(stored, current) if not _sets_shape(key)]
    changes = [_change(key, stored, current) for key in keys]
    machine = (
        ("torch", stored.torch, current.torch),
        ("the processor", stored.processor, current.processor),
        ("the number of processes", stored.world_size, current.world_size),
    )
    return changes + [
        f"{name} was {before}, is {after}" for name, before, after in machine if before != after
    ]


def changed_data(stored: RunFingerprint, current: RunFingerprint) -> list[str]:
    """Return which splits differ from the data that the checkpoint was trained on."""
    splits = sorted(stored.data.keys() | current.data.keys())
    return [
        f"the data of split {split} differ from those that the checkpoint was trained on"
        for split in splits
        if stored.data.get(split) != current.data.get(split)
    ]


def _differing_keys(stored: RunFingerprint, current: RunFingerprint) -> list[str]:
    keys = stored.config.keys() | current.config.keys()
    return sorted(key for key in keys if stored.config.get(key) != current.config.get(key))


def _is_sharded(fingerprint: RunFingerprint) -> bool:
    return fingerprint.config.get("trainer.strategy") == "fsdp2"


def _sets_shape(key: str) -> bool:
    """Whether a checkpoint's tensors do not fit after this key has changed."""
    return key in ("task", "optim.kind") or key.startswith(("model.", "spectral."))


def _change(key: str, stored: RunFingerprint, current: RunFingerprint) -> str:
    return f"{key} was {stored.config.get(key, 'not set')}, is {current.config.get(key, 'not set')}"
