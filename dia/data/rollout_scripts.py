"""The scripts of a step of `objective=grpo`: a function of the step, the rank and the micro-batch."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from dia.data.batching import Span
from dia.errors import UserError
from dia.network.packing import Packing


def _empty() -> Tensor:
    return torch.zeros(0)


@dataclass
class GroupBatch:
    """Scripts by their ``rows`` and ``ids``; a callback generates their takes and adds the tensors.

    ``number`` is that of the micro-batch over all ranks, ``rollout`` that of the weights which generate.
    Shapes are those of :class:`dia.training.objectives.grpo.GroupBatch`.
    """

    ids: list[str]
    rows: list[int]
    number: int
    rollout: int
    text_BS: Tensor = field(default_factory=_empty)
    text_mask_BS: Tensor = field(default_factory=_empty)
    inputs_BTC: Tensor = field(default_factory=_empty)
    targets_BTC: Tensor = field(default_factory=_empty)
    advantages_B: Tensor = field(default_factory=_empty)
    old_log_BTC: Tensor = field(default_factory=_empty)
    packing: Packing | None = None


class RolloutScripts(IterableDataset[GroupBatch]):
    """The scripts of a span of micro-batches: ``prompts`` a rollout, divided among ranks and micro-batches.

    ``updates`` steps use the takes of one rollout. An epoch has every script once, in an order that depends
    on the seed. Raises :class:`UserError` when the prompts cannot be divided evenly.
    """

    def __init__(
        self, ids: list[str], prompts: int, updates: int, micro_batches: int, seed: int, span: Span
    ) -> None:
        self.ids, self.prompts, self.updates = ids, prompts, updates
        self.seed, self.span = seed, span
        self.parts = micro_batches * span.world
        if prompts % self.parts:
            raise UserError(
                f"grpo.prompts={prompts} cannot be divided among {span.world} processes with "
                f"{micro_batches} micro-batches each; choose a multiple of {self.parts}"
            )

    def __iter__(self) -> Iterator[GroupBatch]:
        for own in range(self.span.start, self.span.stop):
            number = own * self.span.world + self.span.rank
            rollout = number // self.parts // self.updates
            size = self.prompts // self.parts
            first = rollout * self.prompts + number % self.parts * size
            rows = [self.row(place) for place in range(first, first + size)]
            yield GroupBatch([self.ids[row] for row in rows], rows, number, rollout)

    def row(self, place: int) -> int:
        """Return the row of a place in the sequence of all epochs."""
        epoch, inside = divmod(place, len(self.ids))
        order = list(range(len(self.ids)))
        random.Random(f"rollout {self.seed} {epoch}").shuffle(order)
        return order[inside]
