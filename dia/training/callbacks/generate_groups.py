"""A callback that generates and judges the takes of a step before the step learns from them."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities import move_data_to_device

from dia.training.dia_module import DiaModule
from dia.training.loggers import log_metrics_now
from dia.training.objectives.grpo import GroupRelativePolicyOptimization
from dia.training.rollouts import Generate, Rollout, RolloutFiles, ScriptBatch, add_old_likelihoods

RETAINED_ROLLOUTS = 2  # of the last checkpoints, of which the older one is the substitute of a corrupt one


class GenerateGroups(L.Callback):
    """Fills each micro-batch with takes: new ones at the first update of a rollout, the same ones later.

    Logs the mean reward and its deviation within groups, and the seconds of generation and of scoring.
    """

    def __init__(self, generate: Generate, folder: Path, micro_batches: int, updates: int) -> None:
        self.generate, self.folder = generate, folder
        self.micro_batches, self.updates = micro_batches, updates
        self.files: RolloutFiles | None = None
        self.saved: list[int] = []
        self._logged: list[Rollout] = []

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Open the files of this rank's takes."""
        self.files = RolloutFiles(self.folder, trainer.global_rank)

    def on_train_batch_start(
        self, trainer: L.Trainer, task: L.LightningModule, batch: ScriptBatch, batch_idx: int
    ) -> None:
        """Generate the takes of a micro-batch, or read those of its rollout."""
        assert isinstance(task, DiaModule) and self.files is not None
        objective = task.objective
        assert isinstance(objective, GroupRelativePolicyOptimization)
        micro_batch = batch.number // trainer.world_size % self.micro_batches
        if trainer.global_step % self.updates:
            self.files.read(batch.rollout, micro_batch).fill(batch, task.device)
            return
        rollout = self.generate(task.network, batch)
        rollout.fill(batch, task.device)
        with trainer.precision_plugin.forward_context():
            rollout = add_old_likelihoods(rollout, task.network, batch, objective.piece)
        rollout.fill(batch, task.device)
        self._logged.append(rollout)
        if self.updates > 1:
            self.files.write(batch.rollout, micro_batch, rollout)
            self.files.remove_before(min([batch.rollout, *self.saved]))

    def on_before_optimizer_step(
        self, trainer: L.Trainer, task: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Log the rewards of the step's takes, over all ranks."""
        if not self._logged:
            return
        rewards_GK = torch.cat([rollout.rewards_GK for rollout in self._logged])
        spread_G = rewards_GK.std(1)
        sums = torch.stack(
            [
                rewards_GK.sum(),
                torch.tensor(float(rewards_GK.numel()), dtype=torch.float64),
                spread_G.sum(),
                torch.tensor(float(len(spread_G)), dtype=torch.float64),
                torch.tensor(sum(each.generation_seconds for each in self._logged), dtype=torch.float64),
                torch.tensor(sum(each.scoring_seconds for each in self._logged), dtype=torch.float64),
            ]
        )
        self._logged = []
        moved = move_data_to_device(sums, task.device)
        total, takes, spread, groups, generation, scoring = trainer.strategy.reduce(
            moved, reduce_op="sum"
        ).tolist()
        metrics = {
            "train/reward": total / takes,
            "train/reward_deviation": spread / groups,
            "train/generation_seconds": generation / trainer.world_size,
            "train/scoring_seconds": scoring / trainer.world_size,
        }
        log_metrics_now(trainer, metrics, trainer.global_step)

    def on_save_checkpoint(
        self, trainer: L.Trainer, task: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember which rollout the checkpoint needs."""
        self.saved = [*self.saved, trainer.global_step // self.updates][-RETAINED_ROLLOUTS:]

    def state_dict(self) -> dict[str, Any]:
        """Return the rollouts that the last checkpoints need."""
        return {"saved": list(self.saved)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rollouts that the last checkpoints need."""
        self.saved = list(state_dict["saved"])
