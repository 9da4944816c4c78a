"""Continuous batching: requests join a batch that is being decoded, and leave it when they end.

Each call of :meth:`ContinuousBatch.step` feeds a piece of the prompt of the next request and decodes one step
of those that run, so that a long prompt does not stall the others.

Legend: T step, C codec channel.
"""

from collections import deque

import torch
from torch import Tensor

from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.inference.batch import DecodingBatch
from dia.inference.request import Generated, Request
from dia.network import DiaNetwork

PREFILL_ROWS = 64  # of a prompt that are fed between two steps


class ContinuousBatch:
    """Decodes requests that arrive at any time; each gets the codes that it would get alone.

    Not safe for threads: one thread calls all methods.

    Args:
        network: The model, in eval mode.
        sampling: Sampling values of all requests.
        capacity: The largest number of requests that run at a time; the others wait in their order.
        compiled: As in :func:`dia.inference.generate_codes`.
    """

    def __init__(
        self, network: DiaNetwork, sampling: Sampling, capacity: int, compiled: bool = False
    ) -> None:
        self.network, self.sampling, self.capacity, self.compiled = network, sampling, capacity, compiled
        self.max_tokens = network.config.decoder.max_positions
        self._waiting = deque[tuple[int, Request]]()
        self._prefilling: tuple[int, DecodingBatch] | None = None
        self._running: DecodingBatch | None = None
        self._places = dict[int, int]()  # the item in the running batch, by number
        self._count = 0

    def __len__(self) -> int:
        """Return how many requests wait or run."""
        return len(self._waiting) + (self._prefilling is not None) + len(self._places)

    def add(self, request: Request) -> int:
        """Add a request and return its number; its values are checked when its turn comes."""
        self._count += 1
        self._waiting.append((self._count, request))
        return self._count

    def remove(self, number: int) -> None:
        """Remove a request that nobody waits for. Nothing happens when it has ended."""
        self._waiting = deque(item for item in self._waiting if item[0] != number)
        if self._prefilling is not None and self._prefilling[0] == number:
            self._prefilling = None
        if self._running is not None and number in self._places:
            with torch.inference_mode():
                self._running.remove(self._places.pop(number))

    @torch.inference_mode()
    def step(self) -> dict[int, Generated | UserError]:
        """Decode one step and return, by number, the results of requests that have ended."""
        finished = self._admit()
        if self._running is not None and self._places:
            self._running.decode(1)
            finished |= self._finished(self._running)
        return finished

    def complete_codes(self, number: int, begin: int) -> Tensor:
        """Return the complete codes (T, C) of a request that runs, from frame ``begin`` on."""
        if self._running is None or number not in self._places:
            return torch.zeros(0, self.network.config.channels, dtype=torch.long)
        return self._running.complete_codes(self._places[number], begin)

    def frames(self, number: int) -> int:
        """Return how many frames of a request that runs are complete, without a wait for the device."""
        if self._running is None or number not in self._places:
            return 0
        return self._running.complete_frames(self._places[number])

    def _admit(self) -> dict[int, Generated | UserError]:
        """Feed a piece of the next request's prompt; return the error of a request that cannot run."""
        if self._prefilling is None and self._waiting and len(self._places) < self.capacity:
            number, request = self._waiting.popleft()
            try:
                batch = DecodingBatch(
                    self.network, [request], self.sampling, self.max_tokens, self.compiled, prefilled=False
                )
            except UserError as error:
                return {number: error}
            self._prefilling = number, batch
        if self._prefilling is not None and self._prefilling[1].prefill(PREFILL_ROWS):
            self._start(*self._prefilling)
            self._prefilling = None
        return {}

    def _start(self, number: int, batch: DecodingBatch) -> None:
        if self._running is None or not self._places:
            self._running = batch
            self._running.isolated = True
            self._places = {number: 0}
            return
        self._places[number] = self._running.count
        self._running.join(batch)

    def _finished(self, running: DecodingBatch) -> dict[int, Generated | UserError]:
        ended: dict[int, Generated | UserError] = running.results | running.failures
        running.results, running.failures = {}, {}
        numbers = [number for number, item in self._places.items() if item in ended]
        return {number: ended[self._places.pop(number)] for number in numbers}
