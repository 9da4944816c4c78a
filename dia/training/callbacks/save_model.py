"""A callback that exports the model after validations."""

import lightning as L

from dia.training.callbacks.early_stopping import EarlyStopping
from dia.training.dia_module import DiaModule
from dia.training.distributed import whole_state
from dia.training.export import Exporter


class SaveModel(L.Callback):
    """Exports the model after every validation; with early stopping only after the best so far.

    ``early_stopping`` must come before it in the list of callbacks.
    """

    def __init__(self, export: Exporter, early_stopping: EarlyStopping | None = None) -> None:
        self.export = export
        self.early_stopping = early_stopping

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Export on rank 0; every rank takes part, because the weights may be sharded."""
        assert isinstance(task, DiaModule)
        if trainer.sanity_checking or (self.early_stopping is not None and not self.early_stopping.improved):
            return
        state = whole_state(task.network)
        if trainer.is_global_zero:
            self.export(task.network.config, state)
