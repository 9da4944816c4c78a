"""What happens beside training: the model is saved for use."""

import lightning as L

from dia.training.callbacks.early_stopping import EarlyStopping
from dia.training.dia_module import DiaModule
from dia.training.distributed import whole_state
from dia.training.export import Exporter


class SaveModel(L.Callback):
    """Exports the model after every validation; with ``stop``, which must come before it, only when this was
    the best.
    """

    def __init__(self, export: Exporter, stop: EarlyStopping | None = None) -> None:
        self.export, self.stop = export, stop

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Save on rank 0, which the others may have to give their shards; the sanity check before training
        saves nothing.
        """
        assert isinstance(task, DiaModule)
        if trainer.sanity_checking or (self.stop is not None and not self.stop.improved):
            return
        state = whole_state(task.network)
        if trainer.is_global_zero:
            self.export(task.network.config, state)
