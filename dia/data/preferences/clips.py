"""The samples of training on preferences: pairs of takes, or the preferred takes alone.

Legend: L frames, C codec channel, S text byte.
"""

import random
from collections.abc import Iterator

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from dia.data.collation import Example
from dia.data.dataset import codes_of
from dia.dialogue.text import MAX_BYTES, encode_text, joined_text, text_size
from dia.errors import UserError
from dia.network import DiaConfig

SHOWN_PROBLEMS = 10


class PreferencePairs:
    """Pairs of a preference split; see :class:`dia.data.batching.Clips`. The preferred take comes first.

    A voice prompt comes before both takes. Of a take that did not end, the frames that fit the model are
    used: its likelihood has no end. Raises :class:`UserError` that lists takes and texts which are too long
    for the model, and codes with another number of channels.
    """

    clips_per_sample = 2
    weights: NDArray[np.float64] | None = None

    def __init__(self, rows: Dataset, config: DiaConfig) -> None:
        self.rows, self.channels, self.max_frames = rows, config.channels, config.max_frames
        columns = ("id", "script", "voice_script", "rejected_ended")
        self._values = {name: rows.data.column(name).to_pylist() for name in columns}
        self.frames = [self._longest(index) for index in range(len(rows))]
        self._require_fit(config)

    def __len__(self) -> int:
        return len(self.rows)

    def with_prompts(self, rng: random.Random) -> "PreferencePairs":
        """Return the pairs, whose prompts are stored with them."""
        return self

    def examples(self, index: int, rng: random.Random) -> list[Example]:
        """Return the preferred and the rejected take."""
        rejected = self._example(index, "rejected_codes", ended=self._values["rejected_ended"][index])
        return [self._example(index, "codes"), rejected]

    def all_codes(self) -> Iterator[Tensor]:
        """Yield the codes (L, C) of each preferred take, int64."""
        return (codes_of(self.rows, index) for index in range(len(self)))

    def _example(self, index: int, column: str, *, ended: bool = True) -> Example:
        parts = [codes_of(self.rows, index, name) for name in ("voice_codes", column)]
        # a voice prompt may be missing, and a take may end before its first frame
        codes_TC = torch.cat([part for part in parts if len(part)] or [torch.zeros(0, self.channels).long()])
        frames = len(parts[0])
        codes_TC = codes_TC if ended else codes_TC[: self.max_frames]
        text_S = torch.tensor(encode_text(self._text(index)))
        return Example(f"{self._values['id'][index]}", text_S, codes_TC, frames, ended)

    def _text(self, index: int) -> str:
        voice, script = self._values["voice_script"][index], self._values["script"][index]
        return joined_text(voice, script) if voice else str(script)

    def _longest(self, index: int) -> int:
        """The frames of the longer take, with the voice prompt."""
        voice, chosen, rejected = (
            len(self.rows.data.column(name)[index]) for name in ("voice_codes", "codes", "rejected_codes")
        )
        other = voice + rejected
        ended = self._values["rejected_ended"][index]
        return max(voice + chosen, other if ended else min(other, self.max_frames))

    def _require_fit(self, config: DiaConfig) -> None:
        most_bytes = min(config.encoder.max_positions, MAX_BYTES)
        problems = []
        for index, frames in enumerate(self.frames):
            name, size = self._values["id"][index], text_size(self._text(index))
            if not 1 <= frames <= config.max_frames:
                problems.append(f"{name} has {frames} frames")
            if size > most_bytes:
                problems.append(f"{name} has a text of {size:,} bytes")
        if not problems and len(self) and codes_of(self.rows, 0).shape[1] != config.channels:
            problems = [f"codes have {codes_of(self.rows, 0).shape[1]} channels, the model {config.channels}"]
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems[:SHOWN_PROBLEMS])
            raise UserError(
                f"{len(problems)} pairs do not fit a model of 1 to {config.max_frames} frames and texts of "
                f"{most_bytes} bytes; prepare with data.too_long=skip, which leaves them out:\n{listed}"
            )


class PreferredTakes(PreferencePairs):
    """The preferred takes of a preference split, each once."""

    clips_per_sample = 1

    def __init__(self, rows: Dataset, config: DiaConfig) -> None:
        _, first = np.unique(rows.data.column("audio_sha256").to_pylist(), return_index=True)
        super().__init__(rows.select(sorted(first.tolist())).flatten_indices(), config)

    def examples(self, index: int, rng: random.Random) -> list[Example]:
        """Return the preferred take."""
        return [self._example(index, "codes")]

    def _longest(self, index: int) -> int:
        """The frames of the take, with the voice prompt."""
        return sum(len(self.rows.data.column(name)[index]) for name in ("voice_codes", "codes"))
