"""A request to the decoding engine, its result, and the tensors that a request becomes.

Legend: B item, T step, S text byte, C codec channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dia.codecs.delay import delay
from dia.dialogue.text import PAD_ID, encode_text
from dia.errors import UserError
from dia.inference.step import FREE


@dataclass(frozen=True)
class Request:
    """One item to generate.

    Attributes:
        text: The script; with a prompt it begins with the prompt's transcript.
        seed: Seed of the item's random numbers.
        prompt_TC: Codes (T, C) of a voice prompt, or None.
        max_tokens: Decoder steps, including the prompt and the delayed tail; None takes the batch's.
    """

    text: str
    seed: int = 0
    prompt_TC: Tensor | None = None
    max_tokens: int | None = None

    @property
    def prompt_frames(self) -> int:
        """The number of frames of the prompt."""
        return 0 if self.prompt_TC is None else len(self.prompt_TC)

    def steps(self, most: int) -> int:
        """The decoder steps of this item in a batch of ``most`` steps."""
        return most if self.max_tokens is None else min(self.max_tokens, most)


@dataclass(frozen=True)
class Generated:
    """The result of a request: codes (T, C) without the prompt, and whether the model drew EOS by itself."""

    codes_TC: Tensor
    ended: bool


def encode_texts(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Return byte ids (B, S), padded to the longest text, and a mask (B, S) that is true on text.

    Raises:
        UserError: When a text is empty or cannot be encoded (:func:`dia.dialogue.text.encode_text`).
    """
    rows = [torch.tensor(encode_text(text)) for text in texts]
    if empty := [index for index, row in enumerate(rows) if len(row) == 0]:
        raise UserError(f"the texts at {empty} are empty; write at least [S1] and a word")
    text_BS = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD_ID)
    lengths = torch.tensor([len(row) for row in rows])
    return text_BS, torch.arange(text_BS.shape[1]) < lengths[:, None]


def initial_canvas(prompt_TC: Tensor | None, delays: Sequence[int], bos: int, steps: int) -> Tensor:
    """Return one item's canvas (T, C): BOS and prompt codes at their delays, ``FREE`` elsewhere."""
    begin = torch.full((1, len(delays)), bos)
    known_TC = begin if prompt_TC is None else torch.cat((begin, prompt_TC.cpu()))
    delayed_TC = delay(known_TC[None], delays, bos, FREE)[0, :steps]
    return torch.nn.functional.pad(delayed_TC, (0, 0, 0, steps - len(delayed_TC)), value=FREE)
