"""A request to the worker, what it delivers, and why it may end early."""

from collections.abc import Callable
from dataclasses import dataclass

from dia.config.sampling import Sampling
from dia.inference.request import Generated, Request
from dia.types import Waveform


class QueueFullError(Exception):
    """As many requests wait as the queue holds."""


class WorkerEndedError(Exception):
    """The worker has ended by a defect, or because the server stops."""


class DeadlineError(Exception):
    """A request was not finished before its deadline."""


Event = Waveform | Generated | Exception  # a chunk of audio, the end, or the error that is the end


@dataclass(eq=False)
class SpeechJob:
    """A request with what happens to its audio.

    Attributes:
        request: Text, seed, prompt and length limit.
        sampling: Sampling values.
        deliver: Called from another thread with each chunk of audio, then with the codes; or with the error
            that ended the request. It must return at once.
        streamed: Whether audio is delivered while it is generated; otherwise in one chunk.
        deadline: Time of ``time.monotonic`` at which the request is given up.
    """

    request: Request
    sampling: Sampling
    deliver: Callable[[Event], None]
    streamed: bool = True
    deadline: float = float("inf")
