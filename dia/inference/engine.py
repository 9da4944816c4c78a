"""The engine: texts (and voice prompts) to codec codes, a batch at a time.

A canvas (B, T, C) holds the delayed ids of every item: what is known from the start (BOS, the prompt's codes) and what
has been drawn. Step t reads row t and fills the free cells of row t + 1. When channel 0 draws EOS (or room runs out),
the other channels end at their delays; the codes between are undelayed and returned.

Each item has its own random numbers, so a batch gives every item what it would get alone (up to the rounding of
matrix products of other sizes).

Legend: B item, T step, S text byte, C codec channel, V ids per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dia.dialogue.text import PAD_ID, encode_text
from dia.errors import UserError
from dia.inference.sampling import Sampling, sample
from dia.network import DiaNetwork

FREE = -1


@dataclass(frozen=True)
class Request:
    """One item: its text, its seed, and the codes (T, C) of a voice prompt whose transcript begins the text."""

    text: str
    seed: int = 0
    prompt_TC: Tensor | None = None


@dataclass(frozen=True)
class Generated:
    """Codes (T, C) without the prompt, and whether the model ended by itself (not for lack of room)."""

    codes_TC: Tensor
    ended: bool


def encode_texts(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Return byte ids (B, S), padded to the longest, and the mask (B, S) that is true where there is text."""
    rows = [torch.tensor(encode_text(text)) for text in texts]
    if empty := [index for index, row in enumerate(rows) if len(row) == 0]:
        raise UserError(f"the texts at {empty} are empty; write at least [S1] and a word")
    text_BS = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD_ID)
    lengths = torch.tensor([len(row) for row in rows])
    return text_BS, torch.arange(text_BS.shape[1]) < lengths[:, None]


def known_rows(prompt_TC: Tensor | None, delays: list[int], bos: int, steps: int) -> Tensor:
    """Return the canvas (T, C) of one item: BOS and prompt codes at their delays, ``FREE`` elsewhere."""
    channels = len(delays)
    begin = torch.full((1, channels), bos)
    given = begin if prompt_TC is None else torch.cat((begin, prompt_TC.cpu()))
    canvas = torch.full((steps, channels), FREE)
    for channel, delay in enumerate(delays):
        canvas[:delay, channel] = bos
        canvas[delay : delay + len(given), channel] = given[: max(steps - delay, 0), channel]
    return canvas


@torch.inference_mode()
def generate_codes(network: DiaNetwork, requests: list[Request], sampling: Sampling, max_tokens: int) -> list[Generated]:
    """Return the codes of every request, in order.

    ``max_tokens`` is the number of decoder steps including prompt and delayed tail. Raises :class:`UserError` when the
    sampling values are out of range or a prompt leaves no room.
    """
    problems = sampling.problems() + _room_problems(network, requests, max_tokens)
    if problems:
        raise UserError("cannot generate:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return _Run(network, requests, sampling, max_tokens).finish()


def _room_problems(network: DiaNetwork, requests: list[Request], max_tokens: int) -> list[str]:
    config, problems = network.config, []
    if max_tokens > config.decoder.max_positions:
        problems.append(f"max_tokens={max_tokens} is above the model's {config.decoder.max_positions} steps; lower it")
    longest = max((0 if item.prompt_TC is None else len(item.prompt_TC)) for item in requests)
    if longest + 2 + max(config.delays) > max_tokens:
        problems.append(f"max_tokens={max_tokens} leaves no room after a prompt of {longest} frames and the delays; raise it")
    return problems


class _Run:
    """The state of one batch while it is generated."""

    def __init__(self, network: DiaNetwork, requests: list[Request], sampling: Sampling, max_tokens: int) -> None:
        self.network, self.sampling, self.steps = network, sampling, max_tokens
        self.device = next(network.parameters()).device
        config = network.config
        self.delays_C = torch.tensor(config.delays, device=self.device)
        self.prompts = [0 if item.prompt_TC is None else len(item.prompt_TC) for item in requests]
        canvas = [known_rows(item.prompt_TC, config.delays, config.decoder.bos, max_tokens) for item in requests]
        self.canvas_BTC = torch.stack(canvas).to(self.device)
        self.uniform_BTC = torch.stack(
            [torch.rand(max_tokens, config.channels, generator=torch.Generator().manual_seed(item.seed)) for item in requests]
        ).to(self.device)
        self.last_eos = max_tokens - 1 - max(config.delays)
        self.eos_B = torch.full((len(requests),), max_tokens, device=self.device)
        self.cache = network.start(*self._texts([item.text for item in requests]), max_tokens)

    def _texts(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Conditional rows, then the unconditional ones: all-zero ids under the conditional mask."""
        text_BS, mask_BS = (tensor.to(self.device) for tensor in encode_texts(texts))
        if self.sampling.cfg_scale == 0:
            return text_BS, mask_BS
        return torch.cat((text_BS, torch.zeros_like(text_BS))), torch.cat((mask_BS, mask_BS))

    def finish(self) -> list[Generated]:
        """Run to the end of every item and cut the codes out of the canvas."""
        known = min(self.prompts)
        if known:
            self._logits(0, known)
        for step in range(known, self.steps - 1):
            logits = self._logits(step, step + 1)
            self._fill(step + 1, *logits)
            if bool((self.eos_B + self.delays_C[-1] <= step + 1).all()):
                break
        return [self._cut(item) for item in range(len(self.prompts))]

    def _logits(self, begin: int, end: int) -> tuple[Tensor, Tensor | None]:
        """Feed rows ``begin`` to ``end``; return the last row's conditional and unconditional logits (B, C, V), fp32."""
        tokens_BTC = self.canvas_BTC[:, begin:end]
        guided = self.sampling.cfg_scale != 0
        logits = self.network.step(torch.cat((tokens_BTC, tokens_BTC)) if guided else tokens_BTC, self.cache)[:, -1].float()
        cond, uncond = logits.chunk(2) if guided else (logits, None)
        return cond, uncond

    def _fill(self, step: int, cond_BCV: Tensor, uncond_BCV: Tensor | None) -> None:
        """Write row ``step``: known cells stay, ended channels get EOS and PAD, the others are drawn."""
        ids = self.network.config.decoder
        drawn_BC = sample(cond_BCV, uncond_BCV, self.uniform_BTC[:, step], ids.eos, self.sampling)
        row_BC = torch.where(self.canvas_BTC[:, step] == FREE, drawn_BC, self.canvas_BTC[:, step])
        if step >= self.last_eos:
            row_BC[:, 0] = torch.where(self.eos_B > step, ids.eos, row_BC[:, 0])
        ends_now = (row_BC[:, 0] == ids.eos) & (self.eos_B > step)
        self.eos_B = torch.where(ends_now, step, self.eos_B)
        since_BC = step - self.eos_B[:, None] - self.delays_C
        row_BC = torch.where(since_BC == 0, ids.eos, torch.where(since_BC > 0, ids.pad, row_BC))
        self.canvas_BTC[:, step] = row_BC

    def _cut(self, item: int) -> Generated:
        """Undelay one item: channel c of frame f stands in row f + 1 + delay[c]."""
        frames = int(self.eos_B[item]) - 1
        rows = torch.arange(self.prompts[item], frames, device=self.device)[:, None] + 1 + self.delays_C
        codes_TC = self.canvas_BTC[item].gather(0, rows)
        return Generated(codes_TC, ended=frames + 1 < self.last_eos)
