"""Clips of one or more prepared data sets by index, read on demand from memory-mapped Arrow files.

A thousand hours of codes take 5.6 GB on disk and no memory. Each data set has a share of the samples.
"""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from dia.config.choices import EmotionLabels
from dia.config.data import LabelsConfig
from dia.data.collation import Example
from dia.data.labels import partner_keys, sampling_weights, text_of
from dia.dialogue.text import MAX_BYTES, encode_text, joined_text, text_size
from dia.errors import UserError
from dia.network import DiaConfig

SHOWN_PROBLEMS = 10
LONGEST_PREFIX = 16  # bytes of an emotion before a turn: `{frustrated} `, with room for longer ones


def codes_of(rows: Dataset, index: int, column: str = "codes") -> Tensor:
    """Return the codes (L, C) of a row, int64; (0, 0) where it has none."""
    lists = rows.data.column(column)[index].values  # Arrow: a list of frames, each a list of codes
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    channels = len(flat) // len(lists) if len(lists) else 0
    return torch.from_numpy(flat.reshape(len(lists), channels).astype(np.int64))


@dataclass(frozen=True)
class DatasetShare:
    """A split of one data set and its share of the sampled clips."""

    rows: Dataset
    share: float


class PreparedClips:
    """Clips of prepared data sets; see :class:`dia.data.batching.Clips`.

    A voice prompt is another clip of the same voices, whose text and codes come before those of a clip. With
    ``weighted``, labels and shares determine how often a clip is sampled. Raises :class:`UserError` that
    lists clips too long for the model, clips without codes, and codes with another number of channels.
    """

    clips_per_sample = 1

    def __init__(
        self, parts: list[DatasetShare], config: DiaConfig, labels: LabelsConfig, *, weighted: bool = False
    ) -> None:
        self.parts, self.labels, self.max_frames = parts, labels, config.max_frames
        self.max_bytes = min(config.encoder.max_positions, MAX_BYTES)
        self.begins = np.cumsum([0, *(len(part.rows) for part in parts)])
        self.frames = [int(count) for part in parts for count in part.rows.data.column("frames").to_numpy()]
        self._require_fit(config)
        self.weights = self._weights() if weighted else None
        self.partners = self._partners() if labels.prompt_probability else {}
        self.prompts: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.frames)

    def with_prompts(self, rng: random.Random) -> "PreparedClips":
        """Return the clips with voice prompts drawn for some of them, which ``frames`` includes."""
        prompted = copy.copy(self)
        drawn = ((index, self._partner(index, rng)) for index in range(len(self)))
        prompted.prompts = {index: partner for index, partner in drawn if partner is not None}
        prompted.frames = list(self.frames)
        for index, partner in prompted.prompts.items():
            prompted.frames[index] += self.frames[partner]
        return prompted

    def examples(self, index: int, rng: random.Random) -> list[Example]:
        """Return one clip with its text rendered according to the labels' config.

        A prompt is left out when the joined text is too long.
        """
        row = self._row(index)
        text, codes_TC = text_of(row, self.labels, rng), self.codes(index)
        if index in self.prompts:
            prompt = self.prompts[index]
            joined = joined_text(text_of(self._row(prompt), self.labels, rng), text)
            if text_size(joined) <= self.max_bytes:
                text, codes_TC = joined, torch.cat((self.codes(prompt), codes_TC))
        return [Example(row["id"], torch.tensor(encode_text(text)), codes_TC)]

    def codes(self, index: int) -> Tensor:
        """Return the codes (L, C) of one clip, int64."""
        return codes_of(*self._where(index))

    def all_codes(self) -> Iterator[Tensor]:
        """Yield the codes (L, C) of each clip, int64."""
        for index in range(len(self)):
            yield self.codes(index)

    def _row(self, index: int) -> dict[str, Any]:
        rows, place = self._where(index)
        return {name: rows.data.column(name)[place].as_py() for name in ("id", "turns", "nonverbals")}

    def _where(self, index: int) -> tuple[Dataset, int]:
        part = int(np.searchsorted(self.begins, index, side="right")) - 1
        return self.parts[part].rows, index - int(self.begins[part])

    def _weights(self) -> NDArray[np.float64] | None:
        """Weights by labels within a part and by shares between parts; None when all are equal."""
        weights = []
        for part in self.parts:
            by_label = sampling_weights(part.rows.select_columns(["turns", "nonverbals"]), self.labels)
            weights.append(by_label * part.share * len(self) / len(by_label))
        joined = np.concatenate(weights)
        return None if np.allclose(joined, joined[0]) else joined / joined.mean()

    def _partners(self) -> dict[int, list[int]]:
        """For each clip the clips with the same voices (and emotions), which can serve as its prompt."""
        emotions = self.labels.emotion == EmotionLabels.prompt
        turns = (part.rows.select_columns(["turns"]) for part in self.parts)
        keys = [key for rows in turns for key in partner_keys(rows, emotions)]
        alike: dict[object, list[int]] = {}
        for index, key in enumerate(keys):
            if key is not None:
                alike.setdefault(key, []).append(index)
        return {index: group for group in alike.values() if len(group) > 1 for index in group}

    def _partner(self, index: int, rng: random.Random) -> int | None:
        """The prompt clip of a clip; None without a candidate, by probability, or when both are too long."""
        candidates = self.partners.get(index)
        if candidates is None or rng.random() >= self.labels.prompt_probability:
            return None
        partner = candidates[rng.randrange(len(candidates))]
        fits = self.frames[partner] + self.frames[index] <= self.max_frames
        return partner if partner != index and fits else None

    def _require_fit(self, config: DiaConfig) -> None:
        problems = []
        for index, frames in enumerate(self.frames):
            if not 1 <= frames <= config.max_frames:
                rows, place = self._where(index)
                problems.append(f"{rows.data.column('id')[place].as_py()} has {frames} frames")
        problems += self._long_texts()
        if not problems and self.frames and self.codes(0).shape[1] != config.channels:
            problems = [f"codes have {self.codes(0).shape[1]} channels, the model {config.channels}"]
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems[:SHOWN_PROBLEMS])
            raise UserError(
                f"{len(problems)} clips do not fit a model of 1 to {config.max_frames} frames and texts of "
                f"{self.max_bytes} bytes; prepare with data.too_long=skip, which leaves them out:\n{listed}"
            )

    def _long_texts(self) -> list[str]:
        """A problem for each clip whose text is too long in its longest rendering."""
        every_label = replace(self.labels, emotion_dropout=0.0)
        problems = []
        for index, script in enumerate(self._scripts()):
            # an emotion before each turn lengthens the text of `script`, which has none
            longest = len(script.encode("utf-8")) + script.count("[S") * LONGEST_PREFIX
            if longest <= self.max_bytes:
                continue
            row = self._row(index)
            size = text_size(text_of(row, every_label, random.Random(0)))
            if size > self.max_bytes:
                problems.append(f"{row['id']} has a text of {size:,} bytes")
        return problems

    def _scripts(self) -> Iterator[str]:
        return (script for part in self.parts for script in part.rows.data.column("script").to_pylist())
