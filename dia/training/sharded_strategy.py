"""Lightning's strategy for FSDP2 that stores checkpoints without pickle (:mod:`dia.training.shards`)."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from dia.tensor_files import write_pickled
from dia.training.shards import load_shards, save_shards

REST = "meta.pt"  # everything but weights and optimizers; Lightning's name for it
WEIGHTS, OPTIMIZER = "state_dict", "optimizer_{}"


class ShardedStrategy(ModelParallelStrategy):
    """A shard of weights and optimizer in each process; a checkpoint is a folder of shards."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; every rank must call it."""
        folder = Path(self.broadcast(filepath))
        folder.mkdir(parents=True, exist_ok=True)
        optimizers = checkpoint.pop("optimizer_states", [])
        state = {OPTIMIZER.format(number): one for number, one in enumerate(optimizers)}
        save_shards({WEIGHTS: checkpoint.pop("state_dict"), **state}, folder)
        if self.is_global_zero:
            write_pickled(checkpoint, folder / REST)

    def load_checkpoint(self, checkpoint_path: _PATH, weights_only: bool | None = None) -> dict[str, Any]:
        """Load weights and optimizers, and return everything else; every rank must call it."""
        folder, model = Path(self.broadcast(checkpoint_path)), self.model
        assert model is not None and self.lightning_module is not None, "Lightning has set up the model"
        state: dict[str, Any] = {WEIGHTS: get_model_state_dict(model)}
        load_shards(state, folder)
        model.load_state_dict(state[WEIGHTS], strict=self.lightning_module.strict_loading)
        for number, optimizer in enumerate(self.optimizers):
            # loaded one after another: together they need the memory of all
            name = OPTIMIZER.format(number)
            state = {name: get_optimizer_state_dict(model, optimizer)}
            load_shards(state, folder)
            options = StateDictOptions(cpu_offload=True)
            set_optimizer_state_dict(model, optimizer, optim_state_dict=state[name], options=options)
        rest: dict[str, Any] = torch.load(folder / REST, map_location="cpu", weights_only=True)
        return rest
