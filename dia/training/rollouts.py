"""Takes that `objective=grpo` learns from: what a rollout holds, and its files.

Legend: B take, T step, C codec channel, G group, K take of a group.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor

from dia.errors import UserError
from dia.files import atomic_write, make_folder
from dia.network import DiaNetwork
from dia.tensor_files import read_safetensors
from dia.training.objectives.grpo import GroupBatch
from dia.training.token_likelihood import token_log_probabilities

FOLDER = "rollouts"


class ScriptBatch(GroupBatch, Protocol):
    """The scripts of a micro-batch by ``rows``, its ``number`` over all ranks, and the rollout's number."""

    rows: list[int]
    number: int
    rollout: int


@dataclass(frozen=True)
class Rollout:
    """Judged takes: what learning reads of them, and how long they took."""

    tensors: dict[str, Tensor]
    rewards_GK: Tensor
    generation_seconds: float = 0.0
    scoring_seconds: float = 0.0

    def fill(self, batch: ScriptBatch, device: torch.device) -> None:
        """Set the tensors of a batch."""
        for name, tensor in self.tensors.items():
            setattr(batch, name, tensor.to(device))


Generate = Callable[[DiaNetwork, ScriptBatch], Rollout]
"""Generates and judges the takes of a batch's scripts with the current weights."""


@torch.no_grad()
def add_old_likelihoods(rollout: Rollout, network: DiaNetwork, batch: ScriptBatch, piece: int) -> Rollout:
    """Return the rollout with the log probabilities (B, T, C) of the weights that generated it.

    ``batch`` is filled with the rollout's takes. They are computed as training computes them, so that ratios
    are 1 before the first update.
    """
    old_log_BTC = token_log_probabilities(network, batch, piece)
    tensors = rollout.tensors | {"old_log_BTC": old_log_BTC.cpu()}
    return replace(rollout, tensors=tensors)


class RolloutFiles:
    """Rollouts of a rank on disk, so that a run which is resumed between two updates reads its own takes."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder, self.rank = folder / FOLDER, rank

    def write(self, rollout: int, micro_batch: int, content: Rollout) -> None:
        """Write a rollout's takes. Raises :class:`StorageError`."""
        make_folder(self.folder)
        with atomic_write(self._path(rollout, micro_batch)) as temporary:
            save_file(content.tensors | {"rewards_GK": content.rewards_GK}, temporary)
            temporary.chmod(0o644)

    def read(self, rollout: int, micro_batch: int) -> Rollout:
        """Read a rollout. Raises :class:`UserError` where it is missing."""
        path = self._path(rollout, micro_batch)
        if not path.is_file():
            raise UserError(
                f"the takes {path} are missing, so that the run cannot be resumed exactly between two "
                "updates; restore the file, or start another run"
            )
        tensors = read_safetensors(path)
        return Rollout(tensors, tensors.pop("rewards_GK"))

    def remove_before(self, rollout: int) -> None:
        """Remove rollouts below a number, which no checkpoint needs any more."""
        for path in self.folder.glob(f"*-rank{self.rank}-*.safetensors"):
            if int(path.name.partition("-")[0]) < rollout:
                path.unlink()

    def _path(self, rollout: int, micro_batch: int) -> Path:
        return self.folder / f"{rollout:08d}-rank{self.rank}-{micro_batch}.safetensors"
