"""What happens beside training: the model is saved for use."""

from pathlib import Path

import lightning as L

from dia.checkpoint import CodecReference
from dia.checkpoint.folder import save_state
from dia.training.dia_task import DiaTask
from dia.training.parallel import whole_state


class SaveModel(L.Callback):
    """Writes ``folder`` as a checkpoint that `Dia.from_pretrained` and transformers open, after every validation."""

    def __init__(self, folder: Path, codec: CodecReference) -> None:
        self.folder, self.codec = folder, codec

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Save on rank 0, which the others may have to give their shards; the sanity check before training saves nothing."""
        assert isinstance(task, DiaTask)
        if trainer.sanity_checking:
            return
        state = whole_state(task.network)
        if trainer.is_global_zero:
            save_state(task.network.config, state, self.folder, self.codec)
