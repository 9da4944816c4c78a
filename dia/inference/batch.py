"""A batch that is decoded step by step; items leave it when they end, and others join it at any step.

A canvas holds the delayed ids of every item; each step reads an item's row t and fills the free cells of row
t + 1 (:mod:`dia.inference.step`). When channel 0 draws EOS, or the canvas is full, the other channels end at
their delays; the codes in between are undelayed and returned, and the item leaves the batch.

Each item has its own position and its own random numbers, so that a batch gives every item the codes that it
would get alone: exactly on a CPU in fp32 and int8, otherwise (GPU, compiled, half precision) up to the
rounding of matrix products of other sizes.

Legend: B item, T step, S text byte, C codec channel, V ids per channel.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dia.codecs.delay import undelay
from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.inference.compiled import StepRunner
from dia.inference.request import Generated, Request, encode_texts, initial_canvas
from dia.inference.step import FAILED, DecodingState, rows_per_item
from dia.network import DiaNetwork

# steps between two checks for items that have ended; on other devices a check synchronizes
CHECK_EVERY = {"cpu": 1}
CHECK_EVERY_DEFAULT = 16


@dataclass
class RunningItem:
    """What is known of an item without a wait for the device.

    Attributes:
        number: The number of the request.
        row: The last row of its canvas that is filled.
        text_length: Bytes of its text.
        prompt_frames: Frames of its prompt.
    """

    number: int
    row: int
    text_length: int
    prompt_frames: int


class DecodingBatch:
    """A batch of requests while it is decoded; items that end leave the batch and appear in ``results``.

    Items are numbered in their order; :meth:`join` adds the items of another batch, whatever its progress.
    With ``prefilled=False`` the caller feeds the prompts with :meth:`prefill`. Use it under
    ``torch.inference_mode``. Raises :class:`UserError` as :func:`generate_codes` does.

    Attributes:
        results: The results of the items that have ended, by number.
        failures: The errors of items whose logits were not finite, by number. :meth:`decode` raises the first
            of them unless ``isolated`` is set.
    """

    def __init__(
        self,
        network: DiaNetwork,
        requests: list[Request],
        sampling: Sampling,
        max_tokens: int,
        compiled: bool = False,
        prefilled: bool = True,
    ) -> None:
        if problems := sampling.problems() + _problems(network, requests, max_tokens):
            raise UserError("cannot generate:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.network = network
        self.sampling = sampling
        self.steps = max_tokens
        self.compiled = compiled
        self.device = next(network.parameters()).device
        self.check_every = CHECK_EVERY.get(self.device.type, CHECK_EVERY_DEFAULT)
        self.runner = StepRunner(network, compiled, self.device)
        self.state = self._initial_state(requests)
        text_BS, mask_BS = self._encoded_texts([request.text for request in requests])
        self.cache = network.new_cache(text_BS, mask_BS, max_tokens, self.runner.block)
        lengths = mask_BS[:: rows_per_item(sampling)].sum(1).tolist()
        self.items = [
            RunningItem(number, 0, length, request.prompt_frames)
            for number, (length, request) in enumerate(zip(lengths, requests, strict=True))
        ]
        self.count = len(requests)  # of all requests, those that have ended included
        self.decoded = 0  # steps
        self.results = dict[int, Generated]()
        self.failures = dict[int, UserError]()
        self.isolated = False
        if prefilled:
            self.prefill(max_tokens)

    def _initial_state(self, requests: list[Request]) -> DecodingState:
        config, steps = self.network.config, self.steps
        ends_B = torch.tensor([request.steps(steps) for request in requests], device=self.device)
        canvas = [
            initial_canvas(request.prompt_TC, config.delays, config.decoder.bos, steps)
            for request in requests
        ]
        uniform = [
            torch.rand(steps, config.channels, generator=torch.Generator().manual_seed(request.seed))
            for request in requests
        ]
        return DecodingState(
            canvas_BTC=torch.stack(canvas).to(self.device),
            uniform_BTC=torch.stack(uniform).to(self.device),
            prompt_B=torch.tensor([request.prompt_frames for request in requests], device=self.device),
            eos_B=ends_B,
            delays_C=torch.tensor(config.delays, device=self.device),
            last_eos_B=ends_B - max(config.delays),
        )

    def _encoded_texts(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Return the rows of each text; an unconditional one has all-zero ids under the same mask."""
        text_BS, mask_BS = (tensor.to(self.device) for tensor in encode_texts(texts))
        if not self.sampling.guided:
            return text_BS, mask_BS
        both_BS = torch.stack((text_BS, torch.zeros_like(text_BS)), 1).flatten(0, 1)
        return both_BS, mask_BS.repeat_interleave(2, 0)

    def prefill(self, most: int) -> bool:
        """Feed up to ``most`` of the rows that are known for every item; return whether none is left."""
        begin, known = self.items[0].row, min(item.prompt_frames for item in self.items)
        if (end := min(known, begin + most)) > begin:
            self.cache.reserve(end)
            tokens_BTC = self.state.canvas_BTC[:, begin:end]
            self.network.prefill(tokens_BTC.repeat_interleave(rows_per_item(self.sampling), 0), self.cache)
            for item in self.items:
                item.row = end
        return end >= known

    def join(self, other: "DecodingBatch") -> None:
        """Add the items of another batch of the same network, sampling values and steps.

        Their numbers follow those of this batch. ``other`` must not be used afterwards.
        """
        self.results |= {self.count + number: result for number, result in other.results.items()}
        if other.items and self.items:
            self.state.append(other.state)
            self.cache.append(other.cache)
        elif other.items:
            self.state, self.cache = other.state, other.cache
        self.items += [replace(item, number=self.count + item.number) for item in other.items]
        self.count += other.count

    def decode(self, steps: int) -> None:
        """Decode up to ``steps`` more steps; stop early when every item has ended.

        Raises :class:`UserError` for an item whose logits were not finite, unless ``isolated`` is set.
        """
        for _ in range(steps):
            if not self.items:
                return
            self.cache.reserve(self._last_row() + 1)
            self.runner.run(self.network, self.state, self.cache, self.sampling)
            for item in self.items:
                item.row += 1
            self.decoded += 1
            if self.decoded % self.check_every == 0 or self._last_row() == self.steps - 1:
                self._release_ended()
                if self.failures and not self.isolated:
                    raise next(iter(self.failures.values()))

    def complete_frames(self, number: int) -> int:
        """Return how many frames after its prompt an item has at most, without a wait for the device."""
        item = self.items[self._place(number)]
        return max(0, item.row - max(self.network.config.delays) - item.prompt_frames)

    def complete_codes(self, number: int, begin: int) -> Tensor:
        """Return the complete codes (T, C) of an item from frame ``begin`` after its prompt on."""
        place = self._place(number)
        item = self.items[place]
        last = min(item.row - max(self.network.config.delays), int(self.state.eos_B[place]) - 1)
        return self._codes(place, item.prompt_frames + begin, last)

    def remove(self, number: int) -> None:
        """Remove an item that nobody waits for; it has no result."""
        self._select([place for place, item in enumerate(self.items) if item.number != number])

    def _place(self, number: int) -> int:
        return next(place for place, item in enumerate(self.items) if item.number == number)

    def _last_row(self) -> int:
        return max(item.row for item in self.items)

    def _release_ended(self) -> None:
        """Move items that have ended from the batch to ``results``, or to ``failures``.

        The last channel ends one step before its EOS would be drawn, which nothing needs.
        """
        rows_B, tail = self.state.eos_B.tolist(), max(self.network.config.delays) - 1
        ended = [
            place
            for place, (item, eos) in enumerate(zip(self.items, rows_B, strict=True))
            if eos + tail <= item.row
        ]
        for place in ended:
            item, eos = self.items[place], rows_B[place]
            if eos == FAILED:
                self.failures[item.number] = UserError(self._failure(item))
                continue
            codes_TC = self._codes(place, item.prompt_frames, eos - 1)
            by_itself = eos < int(self.state.last_eos_B[place])
            self.results[item.number] = Generated(codes_TC, ended=by_itself)
        if ended:
            self._select([place for place in range(len(self.items)) if place not in ended])

    def _failure(self, item: RunningItem) -> str:
        dtype = str(next(self.network.parameters()).dtype).removeprefix("torch.")
        remedy = (
            "float16 overflows; open it with compute_dtype=bfloat16 or float32"
            if dtype == "float16"
            else "take another checkpoint, or guide less (cfg_scale)"
        )
        return (
            f"the model's logits for text {item.number + 1} of {self.count} are not finite by step "
            f"{item.row}, so that no code can be drawn; {remedy}. `python -m dia.weights doctor` "
            "examines the weights"
        )

    def _select(self, places: list[int]) -> None:
        self.items = [self.items[place] for place in places]
        if not places:
            return
        rows = rows_per_item(self.sampling)
        chosen_B = torch.tensor(places, device=self.device)
        self.state.select(chosen_B)
        self.cache.select((chosen_B[:, None] * rows + torch.arange(rows, device=self.device)).flatten())
        if not self.compiled:  # a compiled step is compiled again for every shape
            self.cache.trim(self._last_row(), max(item.text_length for item in self.items))

    def _codes(self, place: int, begin: int, end: int) -> Tensor:
        """Return the codes (T, C) of frames ``begin`` to ``end`` of an item; row 0 of the canvas is BOS."""
        canvas_TC = self.state.canvas_BTC[place]
        if end <= begin:
            return canvas_TC[:0]
        delays = self.network.config.delays
        return undelay(canvas_TC[None, 1 + begin : 1 + end + max(delays)], delays)[0]


def _problems(network: DiaNetwork, requests: list[Request], max_tokens: int) -> list[str]:
    config = network.config
    if not requests:
        return ["there is no text; give one or more"]
    problems = []
    if max_tokens > config.decoder.max_positions:
        problems.append(
            f"max_tokens={max_tokens} is above the model's {config.decoder.max_positions} steps; lower it"
        )
    for frames, steps in {(request.prompt_frames, request.steps(max_tokens)) for request in requests}:
        if frames + 2 + max(config.delays) > steps:
            problems.append(
                f"max_tokens={steps} leaves no room after a prompt of {frames} frames and the delays; "
                "raise it"
            )
    return problems
