"""Checkpoints for exact resuming: written atomically, with a manifest of SHA-256 checksums beside each.

checkpoints/step-00000100.ckpt   Lightning's state: a file, or a folder of shards
            step-00000100.json   the manifest: SHA-256 of every file, and the fingerprint of the run

The manifest is written last: a state without one does not count. The newest two are retained, so that a
corrupt one costs few steps. Lightning's ModelCheckpoint neither syncs nor verifies files, and does not save
after a signal.
"""

import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Checkpoint

from dia.documents import read_json_object
from dia.files import (
    file_sha256,
    inside,
    make_folder,
    remove,
    require_regular_file,
    storing,
    sync,
    write_text,
)
from dia.interrupts import Interrupted, handle_signals, signal_name
from dia.tensor_files import write_pickled
from dia.training.distributed import distributed_env
from dia.training.resume import RunFingerprint

CHECKPOINTS = "checkpoints"
RETAINED = 2
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """Description of a checkpoint: its step, SHA-256 by file name, and the fingerprint of its run."""

    step: int
    files: dict[str, str]
    fingerprint: RunFingerprint


@dataclass(frozen=True)
class SavedCheckpoint:
    """An intact checkpoint."""

    path: Path
    manifest: Manifest


class ResumableCheckpoint(Checkpoint):
    """Saves the state every ``every`` optimizer steps, after the last step, and after a signal.

    After SIGUSR1, SIGTERM or Ctrl-C it raises :class:`Interrupted` when it has saved. A signal reaches the
    processes of a run at different steps; all stop at the first step at which any of them has received one. A
    second Ctrl-C stops at once, without saving. A step with a validation (every ``validate_every`` steps, 0:
    never) is saved after the validation, because early stopping and other decisions of the validation belong
    to the state.
    """

    def __init__(
        self, folder: Path, every: int, fingerprint: RunFingerprint, validate_every: int = 0
    ) -> None:
        self.folder, self.every, self.fingerprint = folder, every, fingerprint
        self.validate_every = validate_every
        self.last_step = 0
        self.received = 0  # the number of the first signal
        self.due = False
        self.stopped_by = 0  # the number of a signal that any process received

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Handle signals. Lightning restores the handlers before when training has ended.

        They replace Lightning's handler of SIGTERM, which ends training without saving, as if it were done.
        """
        self.last_step = trainer.global_step
        handle_signals(self._on_signal)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save when a checkpoint is due. A batch that only accumulated gradients changes nothing."""
        step = trainer.global_step
        if step == self.last_step:
            return
        self.last_step = step
        self.stopped_by = self._agree(trainer)
        self.due = bool(self.stopped_by) or step % self.every == 0 or step == trainer.max_steps
        if not self.validate_every or step % self.validate_every:
            self._save_if_due(trainer)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Save a step that waited for its validation; Lightning calls this after all other callbacks."""
        self._save_if_due(trainer)

    def _save_if_due(self, trainer: L.Trainer) -> None:
        if self.due:
            save(trainer, self.folder, self.fingerprint)
        self.due = False
        if self.stopped_by:
            raise Interrupted(self.stopped_by, f"saved and stopped at step {trainer.global_step}")

    def _agree(self, trainer: L.Trainer) -> int:
        """Return the number of a signal that any process of the run has received, 0 for none."""
        number = torch.tensor(self.received, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(number, reduce_op="max"))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # a launcher repeats the Ctrl-C that the terminal has sent to every process
        if number == self.received == signal.SIGINT and not distributed_env().launcher:
            raise Interrupted(number, "stopped without saving")
        if not self.received and distributed_env().rank == 0:
            # not through logging, whose stream this handler may have interrupted
            again = "; Ctrl-C again stops at once" if number == signal.SIGINT else ""
            os.write(2, f"{signal_name(number)}: training stops after this step{again}\n".encode())
        self.received = self.received or number


def save(trainer: L.Trainer, folder: Path, fingerprint: RunFingerprint) -> None:
    """Write a checkpoint of the trainer's step; every rank must call it.

    Raises :class:`StorageError` when it cannot be written; nothing of it remains then.
    """
    final = folder / f"step-{trainer.global_step:08d}.ckpt"
    partial = folder / f".{final.name}"
    with storing(final), _removed_on_error(partial, final):
        if trainer.is_global_zero:
            make_folder(folder)
            remove(partial)
        trainer.strategy.barrier("checkpoint folder is ready")
        trainer.save_checkpoint(partial)  # waits for every rank
        checksums = _checksums(partial, trainer.global_rank, trainer.world_size)
        if trainer.is_global_zero:
            for path in (final.with_suffix(".json"), final):  # an earlier one of this step is not intact
                remove(path)
            os.replace(partial, final)
            _write_manifest(final.with_suffix(".json"), Manifest(trainer.global_step, checksums, fingerprint))
            _remove_older(folder)
    trainer.strategy.barrier("checkpoint is written")


@contextmanager
def _removed_on_error(partial: Path, final: Path) -> Iterator[None]:
    """Remove a checkpoint without a manifest when the block raises."""
    try:
        yield
    except BaseException:
        remove(partial)
        if not final.with_suffix(".json").exists():
            remove(final)
        raise


def newest(folder: Path) -> SavedCheckpoint | None:
    """Return the newest intact checkpoint of a folder, or None; corrupt ones are skipped with a warning."""
    for path in reversed(_checkpoints(folder)):
        try:
            return SavedCheckpoint(path, _verified_manifest(path))
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("the checkpoint %s is corrupt (%s); using the previous one", path, error)
    return None


def manifests(folder: Path) -> list[Path]:
    """Return the manifests of all checkpoints, intact or not, oldest first."""
    return sorted(folder.glob("step-*.json"), key=step_of)


def step_of(path: Path) -> int:
    """Return the step in a checkpoint's file name."""
    return int(path.stem.removeprefix("step-"))


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint straight into its file and reads it memory-mapped.

    Lightning's own plugin holds the whole checkpoint in memory before it writes.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint."""
        write_pickled(checkpoint, path)

    def load_checkpoint(
        self, path: _PATH, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; only tensors and plain values are unpickled."""
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return content


def _write_manifest(path: Path, manifest: Manifest) -> None:
    stored = {
        "step": manifest.step,
        "files": manifest.files,
        "facts": manifest.fingerprint.to_json(),
    }
    write_text(path, json.dumps(stored, indent=1) + "\n")


def _verified_manifest(path: Path) -> Manifest:
    """Return the manifest of a checkpoint. Raises ``ValueError`` if a file has another checksum."""
    stored = read_json_object(path.with_suffix(".json"))
    manifest = Manifest(int(stored["step"]), dict(stored["files"]), RunFingerprint.from_json(stored["facts"]))
    for name, checksum in manifest.files.items():
        file = inside(path, name, str(path.with_suffix(".json"))) if name else path
        require_regular_file(file)
        if file_sha256(file) != checksum:
            raise ValueError(f"the checksum of {name or path.name} differs from the manifest")
    return manifest


def _checkpoints(folder: Path) -> list[Path]:
    """All checkpoints with a manifest, oldest first."""
    return [path.with_suffix(".ckpt") for path in manifests(folder)]


def _checksums(checkpoint: Path, rank: int, world_size: int) -> dict[str, str]:
    """Sync every file and return its SHA-256, shared among ranks. The name of a single file is empty."""
    is_folder = checkpoint.is_dir()
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file()) if is_folder else [checkpoint]
    own: dict[str, str] = {}
    for path in files[rank::world_size]:
        sync(path)
        own[str(path.relative_to(checkpoint)) if is_folder else ""] = file_sha256(path)
    if world_size == 1:
        return own
    gathered: list[dict[str, str]] = [{} for _ in range(world_size)]
    torch.distributed.all_gather_object(gathered, own)
    return {name: checksum for part in gathered for name, checksum in part.items()}


def _remove_older(folder: Path) -> None:
    """Remove all but the newest checkpoints, and what a crash left incomplete."""
    for path in _checkpoints(folder)[:-RETAINED]:
        remove(path.with_suffix(".json"))
        remove(path)
    retained = {path.name for path in _checkpoints(folder)}
    for path in folder.iterdir():
        if path.suffix == ".ckpt" and path.name not in retained:
            remove(path)
