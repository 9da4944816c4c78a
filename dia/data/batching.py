"""Training and validation batches: clips with delayed codes, in an order that is a pure function of the step.

A batch contains clips of similar length within a budget of padded decoder steps, or any clips within a budget
of decoder steps if they are packed (`collation.py`).

Legend: B clip, S text byte, T step, C codec channel.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from dia.data.collation import Batch, Example, collate, decoder_steps
from dia.network import DiaConfig

# Batches whose clips are sorted by length together: enough for little padding, few enough to stay shuffled.
SORT_BATCHES = 64


class Clips(Protocol):
    """A data set of samples with their ``frames`` and ``weights`` (None: each sample once per epoch).

    A sample is one clip, or several that belong together: ``clips_per_sample``, of at most ``frames`` each.
    A prompt of a clip counts as a part of it.
    """

    frames: list[int]
    weights: NDArray[np.float64] | None
    clips_per_sample: int

    def with_prompts(self, rng: random.Random) -> "Clips":
        """Return the samples of an epoch, for which voice prompts are drawn where labels require it."""
        ...

    def examples(self, index: int, rng: random.Random) -> list[Example]:
        """Return the clips of one sample; ``rng`` decides which of its labels are dropped."""
        ...

    def all_codes(self) -> Iterator[Tensor]:
        """Yield the codes (L, C) of each clip, int64."""
        ...


def plan_epoch(
    lengths: Sequence[int],
    budget: int,
    seed: int,
    epoch: int,
    weights: NDArray[np.float64] | None = None,
    *,
    packed: bool = False,
) -> list[list[int]]:
    """Return the batches of an epoch as lists of clip numbers.

    The longest clip of a batch times its size is at most ``budget``, or the sum of its clips if they are
    ``packed``, which needs no clips of similar length; lengths and budget are decoder steps. A clip longer
    than the budget is a batch of its own. ``weights`` (mean 1) are the expected occurrences of each clip per
    epoch; the actual number differs by less than one.
    """
    rng = random.Random(f"epoch {seed} {epoch}")
    order = list(range(len(lengths))) if weights is None else _drawn(weights, rng)
    rng.shuffle(order)
    if packed:
        return _packed(order, lengths, budget)
    batches: list[list[int]] = []
    size = max(1, round(SORT_BATCHES * budget * len(lengths) / max(sum(lengths), 1)))
    for begin in range(0, len(order), size):
        window = sorted(order[begin : begin + size], key=lambda index: lengths[index])
        batch: list[int] = []
        for index in window:
            if batch and lengths[index] * (len(batch) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(index)
        batches.append(batch)
    rng.shuffle(batches)
    return batches


def _packed(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return clips in this order as batches of at most ``budget`` steps."""
    batches: list[list[int]] = []
    steps = budget + 1
    for index in order:
        if steps + lengths[index] > budget:
            batches.append([])
            steps = 0
        batches[-1].append(index)
        steps += lengths[index]
    return batches


def _drawn(weights: NDArray[np.float64], rng: random.Random) -> list[int]:
    """Clip numbers drawn in proportion to their weights (systematic sampling: random start, equal steps)."""
    ends = np.cumsum(weights) * (len(weights) / weights.sum())
    places = np.arange(len(weights)) + rng.random()
    return [int(index) for index in np.searchsorted(ends, places, side="right").clip(max=len(weights) - 1)]


@dataclass(frozen=True)
class Span:
    """The batches of one rank: numbers ``start`` to ``stop`` (exclusive) of every ``world``-th batch."""

    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def contains(self, number: int) -> bool:
        """Return whether this rank yields the batch ``number``, counted over all ranks."""
        return number % self.world == self.rank and self.start <= number // self.world < self.stop

    def belongs_to_worker(self, number: int) -> bool:
        """Return whether this DataLoader worker builds the batch ``number``: workers alternate."""
        worker = get_worker_info()
        return worker is None or (number // self.world - self.start) % worker.num_workers == worker.id


@dataclass(frozen=True)
class Dropout:
    """Input dropout: the share of samples without ``text`` and the share of decoder steps without ``codes``.

    Text dropout enables classifier-free guidance. Code dropout makes the decoder depend on the text instead
    of its own past (word dropout: Bowman et al. 2016, arXiv 1511.06349, section 3).
    """

    text: float = 0.15
    codes: float = 0.0

    def drop_codes(self, batch: Batch, pad: int, seed: int) -> Batch:
        """Return the batch with the input codes of dropped steps replaced by ``pad``, except the BOS step."""
        if not self.codes:
            return batch
        generator = torch.Generator().manual_seed(seed)
        dropped_BT = torch.rand(batch.inputs_BTC.shape[:2], generator=generator) < self.codes
        starts = [0, *accumulate(batch.packing.steps[:-1])] if batch.packing else [0]
        dropped_BT[:, starts] = False
        return replace(batch, inputs_BTC=batch.inputs_BTC.masked_fill(dropped_BT[..., None], pad))


@dataclass(frozen=True)
class ShortClipsFirst:
    """A curriculum: the first ``epochs`` use only the shortest ``share`` of the clips.

    Short clips have few words, so that the alignment of text and audio is learned sooner.
    """

    epochs: int = 0
    share: float = 0.4

    def chosen(self, lengths: Sequence[int], epoch: int) -> list[int]:
        """Return the numbers of the clips of an epoch, in order."""
        if epoch >= self.epochs:
            return list(range(len(lengths)))
        longest = sorted(lengths)[max(0, round(self.share * len(lengths)) - 1)]
        return [index for index, length in enumerate(lengths) if length <= longest]


class TrainingBatches(IterableDataset[Batch]):
    """The batches of a span; a batch depends only on its number, also in a resumed run."""

    def __init__(
        self,
        clips: Clips,
        config: DiaConfig,
        budget: int,
        dropout: Dropout,
        seed: int,
        span: Span,
        short_first: ShortClipsFirst = ShortClipsFirst(),
        *,
        packed: bool = False,
    ) -> None:
        self.clips, self.config, self.budget, self.short_first = clips, config, budget, short_first
        self.packed = packed
        self.dropout, self.seed, self.span = dropout, seed, span

    def epoch(self, epoch: int) -> tuple[Clips, list[list[int]]]:
        """Return the clips of an epoch with their prompts, and its batches as lists of clip numbers."""
        clips = self.clips.with_prompts(random.Random(f"prompts {self.seed} {epoch}"))
        lengths = sample_lengths(clips, self.config)
        chosen = self.short_first.chosen(lengths, epoch)
        weights = None if clips.weights is None else clips.weights[chosen]
        lengths = [lengths[index] for index in chosen]
        planned = plan_epoch(lengths, self.budget, self.seed, epoch, weights, packed=self.packed)
        return clips, [[chosen[place] for place in batch] for batch in planned]

    def __iter__(self) -> Iterator[Batch]:
        number, epoch = 0, 0
        while number < self.span.stop * self.span.world:
            clips, batches = self.epoch(epoch)
            for indices in batches:
                if self.span.contains(number) and self.span.belongs_to_worker(number):
                    yield self._batch(clips, indices, number)
                number += 1
            epoch += 1

    def _batch(self, clips: Clips, indices: list[int], number: int) -> Batch:
        rng = random.Random(f"labels {self.seed} {number}")
        dropped = [rng.random() < self.dropout.text for _ in indices]
        batch = _collated(clips, indices, dropped, rng, self.config, packed=self.packed)
        return self.dropout.drop_codes(batch, self.config.decoder.pad, rng.randrange(1 << 40))


class BatchList(Dataset[Batch]):
    """A list of batches as a data set, such as those of a validation split."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


def validation_batches(clips: Clips, config: DiaConfig, budget: int) -> list[Batch]:
    """Return the batches of a whole split, sorted by length, without dropout."""
    rng = random.Random("validation")
    prompted = clips.with_prompts(rng)
    batches = plan_epoch(sample_lengths(prompted, config), budget, seed=0, epoch=0)
    return [_collated(prompted, indices, [False] * len(indices), rng, config) for indices in batches]


def sample_lengths(clips: Clips, config: DiaConfig) -> list[int]:
    """Return the decoder steps of each sample, over all of its clips."""
    return [decoder_steps(frames, config) * clips.clips_per_sample for frames in clips.frames]


def _collated(
    clips: Clips,
    indices: list[int],
    dropped: list[bool],
    rng: random.Random,
    config: DiaConfig,
    *,
    packed: bool = False,
) -> Batch:
    """Return the batch of some samples; the text of a sample is dropped from all of its clips."""
    examples = [example for index in indices for example in clips.examples(index, rng)]
    of_clips = [drop for drop in dropped for _ in range(clips.clips_per_sample)]
    return collate(examples, of_clips, config, packed=packed)


def batches_of_rank(batches: list[Batch], rank: int, world: int, config: DiaConfig) -> list[Batch]:
    """Return the validation batches of one rank.

    Batches are split evenly; short ranks receive a fully masked batch so that collectives stay in step.
    """
    mine = batches[rank::world]
    if len(mine) < -(-len(batches) // world):
        masked = torch.full_like(batches[0].targets_BTC, config.decoder.pad)
        mine.append(replace(batches[0], targets_BTC=masked))
    return mine


def unigram_cross_entropy(train: Clips, evaluated: Clips, config: DiaConfig) -> Tensor:
    """Return the cross-entropy per channel (C,), in nats, of a unigram model of the training codes.

    Counts include one EOS per clip and add-one smoothing, so that unseen ids have a finite cost. This is the
    loss of a model that has learned nothing but frequencies.
    """
    train_CV = _id_counts(train, config) + 1.0
    evaluated_CV = _id_counts(evaluated, config)
    log_probabilities_CV = (train_CV / train_CV.sum(1, keepdim=True)).log()
    return -(evaluated_CV * log_probabilities_CV).sum(1) / evaluated_CV.sum(1)


def _id_counts(clips: Clips, config: DiaConfig) -> Tensor:
    """Occurrences of each id in each channel (C, V), float64."""
    size = config.decoder.codebook_size + 1
    counts_CV = torch.zeros(config.channels, size, dtype=torch.float64)
    for codes_TC in clips.all_codes():
        for channel in range(config.channels):
            counts_CV[channel] += torch.bincount(codes_TC[:, channel], minlength=size)
    counts_CV[:, config.decoder.eos] += len(clips.frames)
    return counts_CV
