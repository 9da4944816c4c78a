"""Checkpoints for going on: each is written under another name, synced, renamed, and vouched for by a
manifest beside it.

checkpoints/step-00000100.ckpt   Lightning's state: a file, or a folder of shards
            step-00000100.json   the manifest: sha256 of every file, and the facts that going on exactly
            depends on

The manifest is written last: a state without one is not there. The last two are kept, so that a damaged one
costs little.
"""

import json
import logging
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Checkpoint

from dia.config.aliases import rename_flat
from dia.files import file_sha256, remove, sync, write_text
from dia.training.resume import RunFingerprint

CHECKPOINTS, KEPT = "checkpoints", 2
log = logging.getLogger(__name__)


class Stopped(Exception):
    """The run was asked to stop (SIGUSR1), and has saved where it is."""


@dataclass(frozen=True)
class Manifest:
    """What vouches for a checkpoint: its step, the sha256 of its files by name, and the facts of the run that
    wrote it.
    """

    step: int
    files: dict[str, str]
    facts: RunFingerprint


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint that is whole."""

    path: Path
    manifest: Manifest


class ResumableCheckpoint(Checkpoint):
    """Saves the state every ``every`` optimizer steps, after the last one, and when SIGUSR1 arrives.

    Then it raises :class:`Stopped`. A signal reaches the processes of a run at different steps; all stop at
    the first one that any of them knows of. A step that is validated (every ``validate_every``, 0: none) is
    saved when it has been: what the validation decides, such as to stop early, would otherwise be unknown to
    a run that goes on from there.
    """

    def __init__(self, folder: Path, every: int, facts: RunFingerprint, validate_every: int = 0) -> None:
        self.folder, self.every, self.facts, self.validate_every = folder, every, facts, validate_every
        self.seen, self.asked_to_stop, self.due, self.stopping = 0, False, False, False

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Listen to SIGUSR1, which SLURM sends before a job's time is over."""
        self.seen = trainer.global_step
        signal.signal(signal.SIGUSR1, self._ask)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save when it is time. A batch that only accumulated changes nothing."""
        step = trainer.global_step
        if step == self.seen:
            return
        self.seen = step
        self.stopping = trainer.strategy.reduce_boolean_decision(self.asked_to_stop, all=False)
        self.due = self.stopping or step % self.every == 0 or step == trainer.max_steps
        if not self.validate_every or step % self.validate_every:
            self._save(trainer)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Save a step that waited for its validation; Lightning calls this after all other callbacks."""
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        if self.due:
            save(trainer, self.folder, self.facts)
        self.due = False
        if self.stopping:
            raise Stopped(f"stopped at step {trainer.global_step}; the same command goes on from there")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True


def save(trainer: L.Trainer, folder: Path, facts: RunFingerprint) -> None:
    """Write a checkpoint of the trainer's step; called on every rank. Raises ``OSError`` as the file system
    does.
    """
    final, made = (
        folder / f"step-{trainer.global_step:08d}.ckpt",
        folder / f".step-{trainer.global_step:08d}.ckpt",
    )
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        remove(made)
    trainer.strategy.barrier("a clean place")
    trainer.save_checkpoint(made)  # waits for every rank
    digests = _digests(made, trainer.global_rank, trainer.world_size)
    if trainer.is_global_zero:
        for path in (final.with_suffix(".json"), final):  # what lies there was not whole
            remove(path)
        os.replace(made, final)
        manifest = Manifest(trainer.global_step, digests, facts)
        write_text(final.with_suffix(".json"), json.dumps(asdict(manifest), indent=1) + "\n")
        _forget_older(folder)
    trainer.strategy.barrier("a checkpoint")


def newest(folder: Path) -> SavedCheckpoint | None:
    """Return the newest whole checkpoint of a folder, None without one; newer ones that are damaged are told
    in a warning.
    """
    for path in reversed(_all_in(folder)):
        try:
            return SavedCheckpoint(path, _read(path))
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("the checkpoint %s is damaged (%s); going back to the one before", path, error)
    return None


def manifests(folder: Path) -> list[Path]:
    """Return the manifests of all checkpoints, whole or not, oldest first."""
    return sorted(folder.glob("step-*.json"), key=step_of)


def step_of(path: Path) -> int:
    """Return the step that a checkpoint's name says."""
    return int(path.stem.removeprefix("step-"))


class CheckpointFiles(TorchCheckpointIO):
    """Writes straight into the file, where Lightning's own holds the whole checkpoint in memory first; reads
    it mapped.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint."""
        torch.save(checkpoint, path)

    def load_checkpoint(
        self, path: _PATH, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; nothing is unpickled but tensors and plain values."""
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return content


def _read(path: Path) -> Manifest:
    """Return the manifest of a whole checkpoint. Raises ``ValueError`` for one that is not."""
    content = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    facts = content["facts"] | {"config": rename_flat(content["facts"]["config"])}  # keys of earlier versions
    manifest = Manifest(content["step"], content["files"], RunFingerprint(**facts))
    for name, wanted in manifest.files.items():
        if file_sha256(path / name if name else path) != wanted:
            raise ValueError(f"{name or path.name} has other bytes than were written")
    return manifest


def _all_in(folder: Path) -> list[Path]:
    """All checkpoints with a manifest, oldest first."""
    return [path.with_suffix(".ckpt") for path in manifests(folder)]


def _digests(made: Path, rank: int, world: int) -> dict[str, str]:
    """The sha256 of every file, synced; each rank sees to its part of a folder of shards. A single file has
    no name.
    """
    files = sorted(path for path in made.rglob("*") if path.is_file()) if made.is_dir() else [made]
    mine: dict[str, str] = {}
    for path in files[rank::world]:
        sync(path)
        mine[str(path.relative_to(made)) if made.is_dir() else ""] = file_sha256(path)
    if world == 1:
        return mine
    parts: list[dict[str, str]] = [{} for _ in range(world)]
    torch.distributed.all_gather_object(parts, mine)
    return {name: digest for part in parts for name, digest in part.items()}


def _forget_older(folder: Path) -> None:
    """Keep the last two; what a crash left behind goes too."""
    for path in _all_in(folder)[:-KEPT]:
        remove(path.with_suffix(".json"))
        remove(path)
    whole = {path.name for path in _all_in(folder)}
    for path in folder.iterdir():
        if path.suffix == ".ckpt" and path.name not in whole:
            remove(path)
