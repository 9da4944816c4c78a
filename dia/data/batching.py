"""Batches for the Dia task: clips to delayed inputs and targets, in an order that is a pure function of the
step.

One datum: codes (L, C) -> [BOS row, codes, EOS row] -> delayed -> inputs all but the last row, targets all
but the first. Each channel keeps exactly L + 1 targets, EOS at step L + delay. A batch holds clips of like
length, as many as fit a budget of padded steps. Text dropout zeroes a sample's ids and keeps its mask, as
inference does.

Legend: B clip, S text byte, T step, C codec channel.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from dia.codecs.delay import delay
from dia.dialogue.text import PAD_ID
from dia.network import DiaConfig

# batches whose clips are sorted by length together: enough for little padding, few enough to stay shuffled
SORT_BATCHES = 64


@dataclass(frozen=True)
class Example:
    """One clip: id, byte ids (S,) and codes (L, C), both int64."""

    id: str
    text_S: Tensor
    codes_TC: Tensor


class Clips(Protocol):
    """Clips to be had by number: their ``frames``, and how often each is drawn (None: once an epoch)."""

    frames: list[int]
    weights: NDArray[np.float64] | None

    def example(self, index: int, rng: random.Random) -> Example:
        """Return one clip; ``rng`` decides what of its labels is left out."""
        ...

    def all_codes(self) -> Iterator[Tensor]:
        """Yield the codes (L, C) of every clip, int64."""
        ...


@dataclass
class Batch:
    """Clips padded together; ``text_mask_BS`` is true where there is text, targets hold PAD and BOS where
    nothing is asked.
    """

    ids: list[str]
    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor


def collate(examples: list[Example], dropped: list[bool], config: DiaConfig) -> Batch:
    """Pad clips together; ``dropped`` says whose text is zeroed (its mask stays)."""
    ids = config.decoder
    delayed = []
    for example in examples:
        bos, eos = (torch.full((1, config.channels), token) for token in (ids.bos, ids.eos))
        canvas_BTC = torch.cat((bos, example.codes_TC, eos))[None]
        delayed.append(delay(canvas_BTC, config.delays, ids.bos, ids.pad)[0])
    tokens_BTC = torch.nn.utils.rnn.pad_sequence(delayed, batch_first=True, padding_value=ids.pad)
    texts = [
        torch.zeros_like(example.text_S) if drop else example.text_S
        for example, drop in zip(examples, dropped, strict=True)
    ]
    lengths = torch.tensor([len(text) for text in texts])
    text_BS = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=PAD_ID)
    return Batch(
        [example.id for example in examples],
        text_BS,
        torch.arange(text_BS.shape[1]) < lengths[:, None],
        tokens_BTC[:, :-1],
        tokens_BTC[:, 1:],
    )


def decoder_steps(frames: int, config: DiaConfig) -> int:
    """Return how many decoder steps a clip of so many frames takes: with BOS, and until the last channel's
    EOS.
    """
    return frames + 1 + max(config.delays)


def plan_epoch(
    lengths: Sequence[int], budget: int, seed: int, epoch: int, weights: NDArray[np.float64] | None = None
) -> list[list[int]]:
    """Return the batches of an epoch as lists of clip numbers; a batch's longest clip times its size is
    within ``budget``.

    Lengths and budget are in decoder steps. A clip longer than the budget is a batch of its own. With
    ``weights`` (mean 1) a clip comes so often in an epoch, on the average over epochs, and never more than
    one time more or less than that.
    """
    rng = random.Random(f"epoch {seed} {epoch}")
    order = list(range(len(lengths))) if weights is None else _drawn(weights, rng)
    rng.shuffle(order)
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


def _drawn(weights: NDArray[np.float64], rng: random.Random) -> list[int]:
    """Clip numbers, each as often as its weight says (systematic sampling: one random start, equal steps)."""
    ends = np.cumsum(weights) * (len(weights) / weights.sum())
    places = np.arange(len(weights)) + rng.random()
    return [int(index) for index in np.searchsorted(ends, places, side="right").clip(max=len(weights) - 1)]


@dataclass(frozen=True)
class Span:
    """Which batches a process yields: ``start`` to ``stop`` of its own, being every ``world``-th one from
    ``rank`` on.
    """

    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def holds(self, number: int) -> bool:
        """Whether the batch of this number, counted over all processes, is one of this process."""
        return number % self.world == self.rank and self.start <= number // self.world < self.stop

    def made_here(self, number: int) -> bool:
        """Whether a batch of this span is one that this loader process makes: they take turns, and are asked
        in turns.
        """
        worker = get_worker_info()
        return worker is None or (number // self.world - self.start) % worker.num_workers == worker.id


@dataclass(frozen=True)
class Dropout:
    """What a network is not shown: the ``text`` of this share of the samples, so that it can be guided; and
    this share of the steps' ``codes``, so that it must ask the text instead of going on with what it heard.

    Hiding inputs is what makes a decoder need its encoder (Bowman et al. 2016, arXiv 1511.06349, section 3:
    word dropout).
    """

    text: float = 0.15
    codes: float = 0.0

    def hidden(self, batch: Batch, pad: int, seed: int) -> Batch:
        """Return the batch with PAD in the place of hidden steps' codes in the inputs; the first step (BOS)
        is always shown.
        """
        if not self.codes:
            return batch
        generator = torch.Generator().manual_seed(seed)
        gone_BT = torch.rand(batch.inputs_BTC.shape[:2], generator=generator) < self.codes
        gone_BT[:, 0] = False
        return replace(batch, inputs_BTC=batch.inputs_BTC.masked_fill(gone_BT[..., None], pad))


@dataclass(frozen=True)
class ShortClipsFirst:
    """A curriculum: for so many ``epochs`` only the shortest ``share`` of the clips come, whose words are
    soon found.
    """

    epochs: int = 0
    share: float = 0.4

    def chosen(self, lengths: Sequence[int], epoch: int) -> list[int]:
        """Return the numbers of the clips that come in an epoch, in their order."""
        if epoch >= self.epochs:
            return list(range(len(lengths)))
        longest = sorted(lengths)[max(0, round(self.share * len(lengths)) - 1)]
        return [index for index, length in enumerate(lengths) if length <= longest]


class TrainingBatches(IterableDataset[Batch]):
    """The batches of a span; a number is the same batch wherever training began, and only its clips are read
    for it.
    """

    def __init__(
        self, clips: Clips, config: DiaConfig, budget: int, dropout: Dropout, seed: int, span: Span,
        short_first: ShortClipsFirst = ShortClipsFirst(),
    ) -> None:  # fmt: skip
        self.clips, self.config, self.budget, self.short_first = clips, config, budget, short_first
        self.dropout, self.seed, self.span = dropout, seed, span
        self.lengths = [decoder_steps(frames, config) for frames in clips.frames]

    def epoch(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch as lists of clip numbers."""
        chosen = self.short_first.chosen(self.lengths, epoch)
        weights = None if self.clips.weights is None else self.clips.weights[chosen]
        lengths = [self.lengths[index] for index in chosen]
        planned = plan_epoch(lengths, self.budget, self.seed, epoch, weights)
        return [[chosen[place] for place in batch] for batch in planned]

    def __iter__(self) -> Iterator[Batch]:
        number, epoch = 0, 0
        while number < self.span.stop * self.span.world:
            for indices in self.epoch(epoch):
                if self.span.holds(number) and self.span.made_here(number):
                    yield self._batch(indices, number)
                number += 1
            epoch += 1

    def _batch(self, indices: list[int], number: int) -> Batch:
        rng = random.Random(f"labels {self.seed} {number}")
        dropped = [rng.random() < self.dropout.text for _ in indices]
        batch = collate([self.clips.example(index, rng) for index in indices], dropped, self.config)
        return self.dropout.hidden(batch, self.config.decoder.pad, rng.randrange(1 << 40))


class BatchList(Dataset[Batch]):
    """Batches that are there already, such as those of a validation split."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


def validation_batches(clips: Clips, config: DiaConfig, budget: int) -> list[Batch]:
    """Return a split in order of length, nothing dropped, as a list of batches."""
    lengths = [decoder_steps(frames, config) for frames in clips.frames]
    batches = plan_epoch(lengths, budget, seed=0, epoch=0)
    rng = random.Random("validation")
    return [
        collate([clips.example(index, rng) for index in indices], [False] * len(indices), config)
        for indices in batches
    ]


def batches_of_rank(batches: list[Batch], rank: int, world: int, config: DiaConfig) -> list[Batch]:
    """Return the batches of one of ``world`` processes: every one gets as many, for which some get one that
    asks for nothing.
    """
    mine = batches[rank::world]
    if len(mine) < -(-len(batches) // world):
        nothing = torch.full_like(batches[0].targets_BTC, config.decoder.pad)
        mine.append(replace(batches[0], targets_BTC=nothing))
    return mine


def padding_share(lengths: Sequence[int], batches: list[list[int]]) -> float:
    """Return the share of decoder steps in these batches that are padding."""
    held = sum(lengths[index] for batch in batches for index in batch)
    room = sum(max(lengths[index] for index in batch) * len(batch) for batch in batches)
    return 1 - held / room


def unigram_cross_entropy(train: Clips, asked: Clips, config: DiaConfig) -> Tensor:
    """Return the cross-entropy per channel (C,), in nats, of guessing by how often each id occurs in
    training.

    The counts hold the codes and one EOS a clip, plus one for every id, so that unseen ids cost no infinity.
    This is what a model scores that has learned nothing but frequencies.
    """
    counts_CV, wanted_CV = (_id_counts(clips, config) for clips in (train, asked))
    counts_CV = counts_CV + 1.0
    guess_CV = (counts_CV / counts_CV.sum(1, keepdim=True)).log()
    return -(wanted_CV * guess_CV).sum(1) / wanted_CV.sum(1)


def _id_counts(clips: Clips, config: DiaConfig) -> Tensor:
    """How often each id occurs in each channel (C, V), float64."""
    size = config.decoder.codebook_size + 1
    counts_CV = torch.zeros(config.channels, size, dtype=torch.float64)
    for codes_TC in clips.all_codes():
        for channel in range(config.channels):
            counts_CV[channel] += torch.bincount(codes_TC[:, channel], minlength=size)
    counts_CV[:, config.decoder.eos] += len(clips.frames)
    return counts_CV
