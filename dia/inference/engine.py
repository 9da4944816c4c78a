"""The engine: texts (and voice prompts) to codec codes, a batch at a time.

A canvas holds the delayed ids of every item; a step reads row t and fills the free cells of row t + 1
(dia/inference/step.py). When channel 0 draws EOS (or room runs out), the other channels end at their delays;
the codes between are undelayed and returned, and the item leaves the batch.

Each item has its own random numbers, so a batch gives every item what it would get alone: exactly on a CPU in
fp32 and int8, else (GPU, compiled, half precision) up to the rounding of matrix products of other sizes.

Legend: B item, T step, S text byte, C codec channel, V ids per channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dia.config.sampling import Sampling
from dia.dialogue.text import PAD_ID, encode_text
from dia.errors import UserError
from dia.inference.compiled import StepRunner
from dia.inference.step import FREE, State
from dia.network import DiaNetwork

CHECK_EVERY = {"cpu": 1}  # steps between two looks at who has ended; elsewhere a look waits for the device
CHECK_EVERY_DEFAULT = 16


@dataclass(frozen=True)
class Request:
    """One item: its text, its seed, and the codes (T, C) of a voice prompt whose transcript begins the
    text.
    """

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
def generate_codes(
    network: DiaNetwork, requests: list[Request], sampling: Sampling, max_tokens: int, compiled: bool = False
) -> list[Generated]:
    """Return the codes of every request, in order.

    ``max_tokens`` is the number of decoder steps including prompt and delayed tail; ``compiled`` runs the
    step through `torch.compile`, and on a GPU as a CUDA graph, which takes a minute once. Raises
    :class:`UserError` when the sampling values are out of range or a prompt leaves no room.
    """
    run = Run(network, requests, sampling, max_tokens, compiled)
    run.advance(max_tokens)
    return [run.results[item] for item in range(len(requests))]


@torch.inference_mode()
def stream_codes(
    network: DiaNetwork,
    request: Request,
    sampling: Sampling,
    max_tokens: int,
    frames: int,
    compiled: bool = False,
) -> Iterator[Generated]:
    """Yield the codes of one request as they become complete, ``frames`` at a time; only the last may say
    ``ended``.

    A frame is complete when its last channel has come, so the first are there after the longest delay and
    ``frames`` steps. Raises as :func:`generate_codes` does.
    """
    run, given = Run(network, [request], sampling, max_tokens, compiled), 0
    run.advance(max(network.config.delays))
    while not run.results:
        run.advance(frames)
        if not run.results:
            codes_TC = run.complete_codes(given)
            given += len(codes_TC)
            yield Generated(codes_TC, ended=False)
    last = run.results[0]
    yield Generated(last.codes_TC[given:], last.ended)


def _problems(network: DiaNetwork, requests: list[Request], max_tokens: int) -> list[str]:
    config, problems = network.config, []
    if not requests:
        return ["there is no text; give one or more"]
    if max_tokens > config.decoder.max_positions:
        problems.append(
            f"max_tokens={max_tokens} is above the model's {config.decoder.max_positions} steps; lower it"
        )
    longest = max((0 if item.prompt_TC is None else len(item.prompt_TC)) for item in requests)
    if longest + 2 + max(config.delays) > max_tokens:
        problems.append(
            f"max_tokens={max_tokens} leaves no room after a prompt of {longest} frames and the delays; raise it"
        )
    return problems


class Run:
    """A batch while it is generated. ``results`` fills as items end; who has ended leaves the batch.

    Raises :class:`UserError` as :func:`generate_codes` says. To be used under `torch.inference_mode`.
    """

    def __init__(
        self,
        network: DiaNetwork,
        requests: list[Request],
        sampling: Sampling,
        max_tokens: int,
        compiled: bool = False,
    ) -> None:
        if problems := sampling.problems() + _problems(network, requests, max_tokens):
            raise UserError("cannot generate:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.network, self.sampling, self.steps = network, sampling, max_tokens
        self.device = next(network.parameters()).device
        self.check_every = CHECK_EVERY.get(self.device.type, CHECK_EVERY_DEFAULT)
        self.runner = StepRunner(compiled, self.device)
        self.state = self._state(requests)
        self.cache = network.start(
            *self._texts([item.text for item in requests]), max_tokens, self.runner.block
        )
        self.items, self.results = list(range(len(requests))), dict[int, Generated]()
        self.row = 0  # the last row that is filled
        self._prefill(int(self.state.prompt_B.min()))

    def _state(self, requests: list[Request]) -> State:
        config, steps = self.network.config, self.steps
        canvas = [known_rows(item.prompt_TC, config.delays, config.decoder.bos, steps) for item in requests]
        uniform = [
            torch.rand(steps, config.channels, generator=torch.Generator().manual_seed(item.seed))
            for item in requests
        ]
        prompts = [0 if item.prompt_TC is None else len(item.prompt_TC) for item in requests]
        return State(
            torch.stack(canvas).to(self.device),
            torch.stack(uniform).to(self.device),
            torch.tensor(prompts, device=self.device),
            torch.full((len(requests),), steps, device=self.device),
            torch.tensor(config.delays, device=self.device),
            steps - 1 - max(config.delays),
        )

    def _texts(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Conditional rows, then the unconditional ones: all-zero ids under the conditional mask."""
        text_BS, mask_BS = (tensor.to(self.device) for tensor in encode_texts(texts))
        if not self.sampling.guided:
            return text_BS, mask_BS
        return torch.cat((text_BS, torch.zeros_like(text_BS))), torch.cat((mask_BS, mask_BS))

    def _prefill(self, known: int) -> None:
        """Feed the rows that every item knows, all at once."""
        if known:
            self.cache.reserve(known)
            tokens_BTC = self.state.canvas_BTC[:, :known]
            self.network.prefill(
                torch.cat((tokens_BTC, tokens_BTC)) if self.sampling.guided else tokens_BTC, self.cache
            )
            self.row = known

    def advance(self, steps: int) -> None:
        """Take that many steps more, or as many as there are until every item has ended."""
        for _ in range(steps):
            if not self.items:
                return
            self.cache.reserve(self.row + 1)
            self.runner.advance(self.network, self.state, self.cache, self.sampling)
            self.row += 1
            if self.row % self.check_every == 0 or self.row == self.steps - 1:
                self._release()

    def complete_codes(self, begin: int) -> Tensor:
        """Return the codes (T, C) of the only item from frame ``begin`` after its prompt on, as far as they
        are complete.
        """
        first = int(self.state.prompt_B[0])
        end = min(self.row - int(self.state.delays_C[-1]), int(self.state.eos_B[0]) - 1)
        return self._codes(0, first + begin, max(end, first + begin))

    def _release(self) -> None:
        """Give out what has ended and go on with the rest."""
        ended = (self.state.eos_B + self.state.delays_C[-1] <= self.row).tolist()
        if not any(ended):
            return
        for place in (place for place, over in enumerate(ended) if over):
            eos = int(self.state.eos_B[place])
            codes_TC = self._codes(place, int(self.state.prompt_B[place]), eos - 1)
            self.results[self.items[place]] = Generated(codes_TC, ended=eos < self.state.last_eos)
        self._keep([place for place, over in enumerate(ended) if not over])

    def _keep(self, places: list[int]) -> None:
        rows = torch.tensor(places, device=self.device, dtype=torch.long)
        both = torch.cat((rows, rows + len(self.items))) if self.sampling.guided else rows
        self.items = [self.items[place] for place in places]
        if places:
            self.state.keep(rows)
            self.cache.keep(both)

    def _codes(self, place: int, begin: int, end: int) -> Tensor:
        """Undelay frames of one row: channel c of frame f stands in row f + 1 + delay[c]."""
        rows = torch.arange(begin, end, device=self.device)[:, None] + 1 + self.state.delays_C
        return self.state.canvas_BTC[place].gather(0, rows)
