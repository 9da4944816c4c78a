"""Whether a model listens to the text: how much worse it guesses channel 0 when clips are given each other's
texts.

The loss falls for thousands of steps while a model only learns what speech sounds like; that it has begun to
read shows here first. Nothing is gained at 0; a model that speaks its text gains .5 nats and more.
"""

import copy
from typing import Any

import lightning as L

from dia.training.dia_module import DiaModule
from dia.training.loggers import log_metrics_now
from dia.training.loss import ChannelSums
from dia.training.objectives import DelayedBatch

BATCHES = 8  # of a validation, on each rank: enough to tell, and cheap


class TextGain(L.Callback):
    """Logs ``validation/text_gain``: nats a code of channel 0, with another clip's text less those with its
    own.
    """

    def __init__(self) -> None:
        self.own: ChannelSums | None = None
        self.other: ChannelSums | None = None

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        task: L.LightningModule,
        outputs: Any,
        batch: DelayedBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure a batch both ways."""
        assert isinstance(task, DiaModule)
        if batch_idx >= BATCHES:
            return
        for name, given in (("own", batch), ("other", with_each_others_texts(batch))):
            sums: ChannelSums = task(
                given
            ).detach()  # on every rank, whatever it counts: shards are gathered together
            if len(batch.text_BS) > 1:
                known = getattr(self, name)
                setattr(self, name, sums if known is None else known + sums)

    def on_validation_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Log the difference."""
        if self.own is None or self.other is None or trainer.sanity_checking:
            return
        add = trainer.strategy.reduce
        own, other = (
            sums.reduced(lambda tensor: add(tensor, reduce_op="sum")) for sums in (self.own, self.other)
        )
        self.own = self.other = None
        gain = float((other.cross_entropy_C[0] - own.cross_entropy_C[0]) / own.count_C[0].clamp_min(1))
        log_metrics_now(trainer, {"validation/text_gain": gain}, trainer.global_step - 1)


def with_each_others_texts(batch: DelayedBatch) -> DelayedBatch:
    """Return the batch with each clip's text given to the next, the last one's to the first."""
    other = copy.copy(batch)
    other.text_BS, other.text_mask_BS = batch.text_BS.roll(1, 0), batch.text_mask_BS.roll(1, 0)
    return other
