"""Batches for the Dia task: clips to delayed inputs and targets, in an order that is a pure function of the step.

One datum: codes (L, C) -> [BOS row, codes, EOS row] -> delayed -> inputs all but the last row, targets all but the
first. Each channel keeps exactly L + 1 targets, EOS at step L + delay. A batch holds clips of like length, as many as
fit a budget of padded steps. Text dropout zeroes a sample's ids and keeps its mask, as inference does.

Legend: B clip, S text byte, T step, C codec channel.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from datasets import Dataset as Rows
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from dia.audio.delay import delay
from dia.dialogue.text import PAD_ID, encode_text
from dia.errors import UserError
from dia.network import DiaConfig

SORT_WINDOW = 512  # clips sorted by length together: wide enough for little padding, narrow enough to stay shuffled


@dataclass(frozen=True)
class Example:
    """One clip: id, byte ids (S,) and codes (L, C), both int64."""

    id: str
    text_S: Tensor
    codes_TC: Tensor


@dataclass
class Batch:
    """Clips padded together; ``text_mask_BS`` is true where there is text, targets hold PAD and BOS where nothing is asked."""

    ids: list[str]
    text_BS: Tensor
    text_mask_BS: Tensor
    inputs_BTC: Tensor
    targets_BTC: Tensor


def read_examples(rows: Rows, config: DiaConfig) -> list[Example]:
    """Read a split. Raises :class:`UserError` naming every clip that is too long for the model or has no codes."""
    examples = [
        Example(row["id"], torch.tensor(encode_text(row["script"])), torch.tensor(row["codes"], dtype=torch.long))
        for row in rows.select_columns(["id", "script", "codes"])
    ]
    problems = [
        f"{item.id} has {len(item.codes_TC)} frames" for item in examples if not 1 <= len(item.codes_TC) <= config.max_frames
    ]
    problems += [
        f"{item.id} has {item.codes_TC.shape[1]} channels, the model {config.channels}"
        for item in examples
        if len(item.codes_TC) and item.codes_TC.shape[1] != config.channels
    ]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems[:10])
        raise UserError(f"{len(problems)} clips do not fit a model of 1 to {config.max_frames} frames:\n{listed}")
    return examples


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
        torch.zeros_like(example.text_S) if drop else example.text_S for example, drop in zip(examples, dropped, strict=True)
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


def plan_epoch(lengths: list[int], budget: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch as lists of clip numbers; a batch's longest clip times its size is within ``budget``.

    Lengths and budget are in decoder steps. A clip longer than the budget is a batch of its own.
    """
    chance = random.Random(f"epoch {seed} {epoch}")
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches: list[list[int]] = []
    for begin in range(0, len(order), SORT_WINDOW):
        window = sorted(order[begin : begin + SORT_WINDOW], key=lambda index: lengths[index])
        batch: list[int] = []
        for index in window:
            if batch and lengths[index] * (len(batch) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(index)
        batches.append(batch)
    chance.shuffle(batches)
    return batches


@dataclass(frozen=True)
class Span:
    """Which batches a process yields: ``start`` to ``stop`` of its own, being every ``world``-th one from ``rank`` on."""

    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def holds(self, number: int) -> bool:
        """Whether the batch of this number, counted over all processes, is one of this process."""
        return number % self.world == self.rank and self.start <= number // self.world < self.stop


class TrainingBatches(IterableDataset[Batch]):
    """The batches of a span; a number is the same batch wherever training began."""

    def __init__(
        self, examples: list[Example], config: DiaConfig, budget: int, text_dropout: float, seed: int, span: Span
    ) -> None:
        self.examples, self.config, self.budget = examples, config, budget
        self.text_dropout, self.seed, self.span = text_dropout, seed, span
        self.lengths = [len(example.codes_TC) + 1 + max(config.delays) for example in examples]

    def __iter__(self) -> Iterator[Batch]:
        number, epoch = 0, 0
        while number < self.span.stop * self.span.world:
            for indices in plan_epoch(self.lengths, self.budget, self.seed, epoch):
                if self.span.holds(number):
                    yield self._batch(indices, epoch)
                number += 1
            epoch += 1

    def _batch(self, indices: list[int], epoch: int) -> Batch:
        dropped = [random.Random(f"text {self.seed} {epoch} {index}").random() < self.text_dropout for index in indices]
        return collate([self.examples[index] for index in indices], dropped, self.config)


class BatchList(Dataset[Batch]):
    """Batches that are there already, such as those of a validation split."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


def validation_batches(examples: list[Example], config: DiaConfig, budget: int) -> list[Batch]:
    """Return a split in order of length, nothing dropped, as a list of batches."""
    lengths = [len(example.codes_TC) + 1 + max(config.delays) for example in examples]
    batches = plan_epoch(lengths, budget, seed=0, epoch=0)
    return [collate([examples[index] for index in indices], [False] * len(indices), config) for indices in batches]


def marginal_cross_entropy(train: list[Example], asked: list[Example], config: DiaConfig) -> Tensor:
    """Return the cross-entropy per channel (C,), in nats, of guessing by how often each id occurs in training.

    The counts hold the codes and one EOS a clip, plus one for every id, so that unseen ids cost no infinity. This is
    what a model scores that has learned nothing but frequencies.
    """
    losses = []
    for channel in range(config.channels):
        counts = _id_counts(train, channel, config) + 1.0
        wanted = _id_counts(asked, channel, config)
        losses.append(-(wanted * (counts / counts.sum()).log()).sum() / wanted.sum())
    return torch.stack(losses)


def _id_counts(examples: list[Example], channel: int, config: DiaConfig) -> Tensor:
    codes = torch.cat([example.codes_TC[:, channel] for example in examples])
    counts = torch.bincount(codes, minlength=config.decoder.codebook_size + 1).double()
    counts[config.decoder.eos] += len(examples)
    return counts
