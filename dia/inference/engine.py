"""The decoding engine: texts and voice prompts to codec codes, a batch at a time.

A canvas holds the delayed ids of every item; each step reads row t and fills the free cells of row t + 1
(:mod:`dia.inference.step`). When channel 0 draws EOS, or the canvas is full, the other channels end at their
delays; the codes in between are undelayed and returned, and the item leaves the batch.

Each item has its own random numbers, so that a batch gives every item the codes that it would get alone:
exactly on a CPU in fp32 and int8, otherwise (GPU, compiled, half precision) up to the rounding of matrix
products of other sizes.

Legend: B item, T step, S text byte, C codec channel, V ids per channel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dia.codecs.delay import delay, undelay
from dia.config.sampling import Sampling
from dia.dialogue.text import PAD_ID, encode_text
from dia.errors import UserError
from dia.inference.compiled import StepRunner
from dia.inference.step import FAILED, FREE, DecodingState
from dia.network import DiaNetwork

# steps between two checks for items that have ended; on other devices a check synchronizes
CHECK_EVERY = {"cpu": 1}
CHECK_EVERY_DEFAULT = 16


@dataclass(frozen=True)
class Request:
    """One item to generate.

    Attributes:
        text: The script; with a prompt it begins with the prompt's transcript.
        seed: Seed of the item's random numbers.
        prompt_TC: Codes (T, C) of a voice prompt, or None.
    """

    text: str
    seed: int = 0
    prompt_TC: Tensor | None = None


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


@torch.inference_mode()
def generate_codes(
    network: DiaNetwork, requests: list[Request], sampling: Sampling, max_tokens: int, compiled: bool = False
) -> list[Generated]:
    """Generate the codes of a batch of requests.

    Args:
        network: The model, in eval mode.
        requests: The items; results come in the same order.
        sampling: Sampling values, the same for all items.
        max_tokens: Decoder steps, including the prompt and the delayed tail.
        compiled: Run the step through ``torch.compile``, and on a GPU as a CUDA graph; the first call takes
            about a minute.

    Raises:
        UserError: When sampling values are out of range, when a prompt leaves no room, and when the logits
        are not
            finite.
    """
    batch = DecodingBatch(network, requests, sampling, max_tokens, compiled)
    batch.decode(max_tokens)
    return [batch.results[item] for item in range(len(requests))]


@torch.inference_mode()
def stream_codes(
    network: DiaNetwork,
    request: Request,
    sampling: Sampling,
    max_tokens: int,
    frames: int,
    compiled: bool = False,
) -> Iterator[Generated]:
    """Yield the codes of one request as they become complete, ``frames`` at a time.

    A frame is complete when its last channel is drawn, so the first piece needs as many steps as the longest
    delay and ``frames``. Only the last piece may have ``ended``. Arguments and errors are those of
    :func:`generate_codes`.
    """
    batch = DecodingBatch(network, [request], sampling, max_tokens, compiled)
    yielded = 0
    batch.decode(max(network.config.delays))
    while not batch.results:
        batch.decode(frames)
        if not batch.results:
            codes_TC = batch.complete_codes(yielded)
            yielded += len(codes_TC)
            yield Generated(codes_TC, ended=False)
    last = batch.results[0]
    yield Generated(last.codes_TC[yielded:], last.ended)


def _problems(network: DiaNetwork, requests: list[Request], max_tokens: int) -> list[str]:
    config, problems = network.config, []
    if not requests:
        return ["there is no text; give one or more"]
    if max_tokens > config.decoder.max_positions:
        problems.append(
            f"max_tokens={max_tokens} is above the model's {config.decoder.max_positions} steps; lower it"
        )
    longest = max(_prompt_frames(request) for request in requests)
    if longest + 2 + max(config.delays) > max_tokens:
        problems.append(
            f"max_tokens={max_tokens} leaves no room after a prompt of {longest} frames and the delays; "
            "raise it"
        )
    return problems


def _prompt_frames(request: Request) -> int:
    return 0 if request.prompt_TC is None else len(request.prompt_TC)


class DecodingBatch:
    """A batch of requests while it is decoded; items that end leave the batch and appear in ``results``.

    Use it under ``torch.inference_mode``. Raises :class:`UserError` as :func:`generate_codes` does.
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
        self.network = network
        self.sampling = sampling
        self.steps = max_tokens
        self.device = next(network.parameters()).device
        self.check_every = CHECK_EVERY.get(self.device.type, CHECK_EVERY_DEFAULT)
        self.runner = StepRunner(compiled, self.device)
        self.state = self._initial_state(requests)
        text_BS, mask_BS = self._encoded_texts([request.text for request in requests])
        self.cache = network.new_cache(text_BS, mask_BS, max_tokens, self.runner.block)
        self.items = list(range(len(requests)))  # numbers of the requests that are still in the batch
        self.results = dict[int, Generated]()
        self.row = 0  # the last row of the canvas that is filled
        self._prefill(int(self.state.prompt_B.min()))

    def _initial_state(self, requests: list[Request]) -> DecodingState:
        config, steps = self.network.config, self.steps
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
            prompt_B=torch.tensor([_prompt_frames(request) for request in requests], device=self.device),
            eos_B=torch.full((len(requests),), steps, device=self.device),
            delays_C=torch.tensor(config.delays, device=self.device),
            last_eos=steps - max(config.delays),
        )

    def _encoded_texts(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Return conditional rows, then unconditional ones: all-zero ids under the conditional mask."""
        text_BS, mask_BS = (tensor.to(self.device) for tensor in encode_texts(texts))
        if not self.sampling.guided:
            return text_BS, mask_BS
        return torch.cat((text_BS, torch.zeros_like(text_BS))), torch.cat((mask_BS, mask_BS))

    def _prefill(self, known: int) -> None:
        """Feed the rows that are known for every item, all at once."""
        if known:
            self.cache.reserve(known)
            tokens_BTC = self.state.canvas_BTC[:, :known]
            self.network.prefill(
                torch.cat((tokens_BTC, tokens_BTC)) if self.sampling.guided else tokens_BTC, self.cache
            )
            self.row = known

    def decode(self, steps: int) -> None:
        """Decode up to ``steps`` more steps; stop early when every item has ended."""
        for _ in range(steps):
            if not self.items:
                return
            self.cache.reserve(self.row + 1)
            self.runner.run(self.network, self.state, self.cache, self.sampling)
            self.row += 1
            if self.row % self.check_every == 0 or self.row == self.steps - 1:
                self._release_ended()

    def complete_codes(self, begin: int) -> Tensor:
        """Return the complete codes (T, C) of the only item, from frame ``begin`` after its prompt on."""
        first = int(self.state.prompt_B[0])
        end = min(self.row - int(self.state.delays_C[-1]), int(self.state.eos_B[0]) - 1)
        return self._codes(0, first + begin, end)

    def _release_ended(self) -> None:
        """Move items that have ended from the batch to ``results``.

        The last channel ends one step before its EOS would be drawn, which nothing needs.
        Raises :class:`UserError` for an item whose logits were not finite.
        """
        ended = (self.state.eos_B + self.state.delays_C[-1] - 1 <= self.row).tolist()
        if not any(ended):
            return
        for place in (place for place, over in enumerate(ended) if over):
            eos = int(self.state.eos_B[place])
            if eos == FAILED:
                raise UserError(self._failure(self.items[place]))
            codes_TC = self._codes(place, int(self.state.prompt_B[place]), eos - 1)
            self.results[self.items[place]] = Generated(codes_TC, ended=eos < self.state.last_eos)
        self._select([place for place, over in enumerate(ended) if not over])

    def _failure(self, item: int) -> str:
        dtype = str(next(self.network.parameters()).dtype).removeprefix("torch.")
        remedy = (
            "float16 overflows; open it with compute_dtype=bfloat16 or float32"
            if dtype == "float16"
            else "take another checkpoint, or guide less (cfg_scale)"
        )
        return (
            f"the model's logits for text {item + 1} of {len(self.results) + len(self.items)} "
            "are not finite by step "
            f"{self.row}, so that no code can be drawn; {remedy}. `python -m dia.weights "
            "doctor` examines the weights"
        )

    def _select(self, places: list[int]) -> None:
        rows = torch.tensor(places, device=self.device, dtype=torch.long)
        cache_rows = torch.cat((rows, rows + len(self.items))) if self.sampling.guided else rows
        self.items = [self.items[place] for place in places]
        if places:
            self.state.select(rows)
            self.cache.select(cache_rows)

    def _codes(self, place: int, begin: int, end: int) -> Tensor:
        """Return the codes (T, C) of frames ``begin`` to ``end`` of an item; row 0 of the canvas is BOS."""
        canvas_TC = self.state.canvas_BTC[place]
        if end <= begin:
            return canvas_TC[:0]
        delays = self.network.config.delays
        return undelay(canvas_TC[None, 1 + begin : 1 + end + max(delays)], delays)[0]
