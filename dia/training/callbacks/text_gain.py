"""Whether a model reads its text: the rise of channel 0's loss when clips of a batch exchange their texts.

The loss falls for thousands of steps while a model learns only what speech sounds like; this metric shows
first that it begins to use the text. It is 0 at the start, and .5 nats or more for a model that pronounces
its text.
"""

import copy
from typing import Any

import lightning as L

from dia.training.dia_module import DiaModule
from dia.training.loggers import log_metrics_now
from dia.training.loss import ChannelSums
from dia.training.objectives import DelayedBatch

BATCHES = 8  # per validation and rank: precise enough, and cheap


class TextGain(L.Callback):
    """Logs ``validation/text_gain``: nats of channel 0 with other texts minus with its own."""

    def __init__(self) -> None:
        self.matched: ChannelSums | None = None
        self.mismatched: ChannelSums | None = None

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        task: L.LightningModule,
        outputs: Any,
        batch: DelayedBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Compute the sums of a batch with its own and with exchanged texts."""
        assert isinstance(task, DiaModule)
        if batch_idx >= BATCHES:
            return
        # every rank runs both forward passes, even if it discards the sums: FSDP2 gathers shards in step
        matched: ChannelSums = task(batch).detach()
        mismatched: ChannelSums = task(with_exchanged_texts(batch)).detach()
        if len(batch.text_BS) > 1:
            self.matched = matched if self.matched is None else self.matched + matched
            self.mismatched = mismatched if self.mismatched is None else self.mismatched + mismatched

    def on_validation_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Log the difference."""
        if self.matched is None or self.mismatched is None or trainer.sanity_checking:
            return
        matched, mismatched = (
            sums.all_reduced(lambda tensor: trainer.strategy.reduce(tensor, reduce_op="sum"))
            for sums in (self.matched, self.mismatched)
        )
        self.matched = self.mismatched = None
        rise = mismatched.cross_entropy_C[0] - matched.cross_entropy_C[0]
        gain = float(rise / matched.count_C[0].clamp_min(1))
        log_metrics_now(trainer, {"validation/text_gain": gain}, trainer.global_step - 1)


def with_exchanged_texts(batch: DelayedBatch) -> DelayedBatch:
    """Return the batch with each clip's text moved to the next clip, the last one's to the first."""
    exchanged = copy.copy(batch)
    exchanged.text_BS, exchanged.text_mask_BS = batch.text_BS.roll(1, 0), batch.text_mask_BS.roll(1, 0)
    return exchanged
