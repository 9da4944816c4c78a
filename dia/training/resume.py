"""Going on exactly: the facts that a run's numbers depend on, written with every checkpoint and compared
before the next start.

The same batches come because they are a pure function of their number, the same random numbers because every
batch seeds them. What is left is what changes the arithmetic: the config, the data, the number of processes,
torch and the processor.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import __version__, get_num_threads
from torch.backends.cpu import get_cpu_capability

from dia.types import flatten

# keys that change where and how often things are written or told, and no weight
IRRELEVANT_KEYS = (
    "run_name", "runs", "resume", "logger", "validation", "divergence", "watchdog", "plan", "planning", "sampling", "engine", "data", "mix",
    "trainer.checkpoint_every",
    "trainer.validate_every", "trainer.num_workers", "trainer.devices", "trainer.nodes",
)  # fmt: skip
# which of them do decide on weights in some runs
CONDITIONALLY_RELEVANT: dict[str, Callable[[dict[str, Any]], bool]] = {
    "sampling": lambda config: config.get("objective") == "guided_distillation",
    "trainer.validate_every": lambda config: config.get("early_stopping", {}).get("patience", 0) > 0,
}


@dataclass(frozen=True)
class RunFingerprint:
    """What a run's numbers depend on: its config (flat, without indifferent keys), the sha256 or fingerprint
    of its data by split, the number of processes, torch's version, the processor's instructions and the
    threads that share a product.
    """

    config: dict[str, Any]
    world: int
    data: dict[str, str] = field(default_factory=dict)
    torch: str = str(__version__)
    processor: str = field(default_factory=get_cpu_capability)
    threads: int = field(default_factory=get_num_threads)


def relevant(config: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a nested config that a run's numbers depend on, flat: ``optim.learning_rate``."""
    telling = {key for key, told in CONDITIONALLY_RELEVANT.items() if told(config)}
    indifferent = [name for name in IRRELEVANT_KEYS if name not in telling]
    return {
        key: value
        for key, value in flatten(config).items()
        if not any(f"{key}.".startswith(f"{name}.") for name in indifferent)
    }


def impossible(was: RunFingerprint, now: RunFingerprint) -> list[str]:
    """Return why a checkpoint cannot be gone on from at all, one sentence each with its remedy."""
    found = [_changed(key, was, now) for key in _differing(was, now) if _of_shape(key)]
    if was.world != now.world and (_sharded(was) or _sharded(now)):
        found.append(
            f"the checkpoint is of {was.world} processes, this run has {now.world}; start {was.world}"
        )
    return found


def inexact(was: RunFingerprint, now: RunFingerprint) -> list[str]:
    """Return why going on would not end in the same weights, one sentence each."""
    found = [_changed(key, was, now) for key in _differing(was, now) if not _of_shape(key)]
    for name, before, after in (
        ("torch", was.torch, now.torch),
        ("the processor", was.processor, now.processor),
        ("the number of processes", was.world, now.world),
    ):
        if before != after:
            found.append(f"{name} was {before}, is {after}")
    return found


def data_changed(was: RunFingerprint, now: RunFingerprint) -> list[str]:
    """Return which splits hold other data than the checkpoint was trained on."""
    changed = [
        split for split in was.data.keys() | now.data.keys() if was.data.get(split) != now.data.get(split)
    ]
    return [
        f"the data of {split} are not those that the checkpoint was trained on" for split in sorted(changed)
    ]


def _differing(was: RunFingerprint, now: RunFingerprint) -> list[str]:
    keys = was.config.keys() | now.config.keys()
    return sorted(key for key in keys if was.config.get(key) != now.config.get(key))


def _sharded(facts: RunFingerprint) -> bool:
    return facts.config.get("trainer.strategy") == "fsdp2"


def _of_shape(key: str) -> bool:
    """Whether a checkpoint's tensors do not fit when this key changes."""
    return key in ("task", "optim.kind") or key.startswith(("model.", "spectral."))


def _changed(key: str, was: RunFingerprint, now: RunFingerprint) -> str:
    return f"{key} was {was.config.get(key, 'not there')}, is {now.config.get(key, 'not there')}"
