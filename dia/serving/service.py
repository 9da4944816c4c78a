"""From a text to the events of its speech: the steps between the HTTP endpoint and the worker.

A text that fits one pass of the model is streamed while it is generated. A longer one is split into pieces
(:mod:`dia.inference.long_form`), of which the next is generated while the last is played. Another speed, and
retries after the guard, need the whole take.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from dia.audio.stretch import require_speed, stretch
from dia.config.sampling import Sampling
from dia.dialogue.lint import NO_LIMITS, estimated_seconds, lint
from dia.dialogue.script import SPEAKER, Script
from dia.errors import UserError
from dia.inference.generation import one_seed_each
from dia.inference.guard import GuardedSpeech, better_take, check_speech, warn_of_retry
from dia.inference.long_form import edged, silence
from dia.inference.request import Generated, Request
from dia.inference.synthesizer import Speech
from dia.inference.voice import Voice
from dia.model import Dia
from dia.serving.job import Event, SpeechJob
from dia.serving.worker import SpeechWorker
from dia.types import Waveform

PAUSE = 0.25  # seconds of silence between the pieces of a long text
AHEAD = 2  # pieces of a long text that are generated at a time


@dataclass(frozen=True)
class SpeechOrder:
    """What a client wants to hear.

    Attributes:
        text: A script.
        voice: The voice, or None.
        sampling: Sampling values.
        seed: Seed; None draws one.
        speed: Pace relative to the generated one, .5 to 2.
        retries: How often a failed take is generated again.
        lint: As in :meth:`dia.Dia.generate`.
        deadline: Seconds until the request is given up.
    """

    text: str
    voice: Voice | None
    sampling: Sampling
    seed: int | None = None
    speed: float = 1.0
    retries: int = 0
    lint: str = "warn"
    deadline: float = 300.0


@dataclass(frozen=True)
class TextReview:
    """The judgement of a text: its errors and warnings, estimated seconds, and the number of its pieces."""

    text: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    pieces: int


def as_script(text: str, speaker: int = 1) -> str:
    """Return a text as a script: words without a speaker are spoken by ``speaker``."""
    return text if SPEAKER.match(text.lstrip()) else f"[S{speaker}] {text}"


class SpeechService:
    """Speaks orders with a model and a worker. All methods run in one event loop."""

    def __init__(self, dia: Dia, worker: SpeechWorker) -> None:
        self.dia, self.worker = dia, worker

    def pieces_of(self, order: SpeechOrder) -> list[str]:
        """Return the scripts that are spoken one after the other.

        Raises:
            UserError: When the text cannot be spoken, and for an impossible speed.
        """
        require_speed(order.speed)
        if problems := order.sampling.problems():
            raise UserError("; ".join(problems))
        text = self.dia.check_text(order.text, order.voice, order.lint, one_pass=False)
        return self._split(text, order.voice)

    def review(self, text: str, voice: Voice | None) -> TextReview:
        """Return the judgement of a script that a voice is to speak; nothing is generated."""
        result = lint(text, NO_LIMITS, self.dia.vocabulary)
        errors, pieces = list(result.errors), 0
        if not errors:
            try:
                pieces = len(self._split(result.text, voice))
            except UserError as error:
                errors.append(str(error))
        seconds = estimated_seconds(Script.read(result.text))
        return TextReview(result.text, tuple(errors), result.warnings, seconds, pieces)

    def _split(self, text: str, voice: Voice | None) -> list[str]:
        """Return a text as one piece where one pass can speak it, else in pieces."""
        if len(self.dia.split_text(text, voice, piece_seconds=float("inf"), lint="off")) == 1:
            return [text]
        return self.dia.split_text(text, voice, lint="off")

    async def speak(self, order: SpeechOrder) -> AsyncGenerator[Waveform, None]:
        """Yield the audio of an order; nothing of it is generated any longer when the caller stops.

        Raises:
            UserError: As :meth:`pieces_of` does, and for logits that are not finite.
            QueueFullError, DeadlineError: Of the worker.
        """
        pieces = self.pieces_of(order)
        (seed,) = one_seed_each(order.seed, 1)
        end = time.monotonic() + order.deadline
        if len(pieces) == 1 and order.speed == 1 and not order.retries:
            async for event in self._events(self._request(pieces[0], seed, order), order, end, streamed=True):
                if not isinstance(event, Generated):
                    yield event
            return
        async for waveform in self._takes(pieces, seed, order, end):
            yield waveform

    async def _takes(
        self, pieces: list[str], seed: int, order: SpeechOrder, end: float
    ) -> AsyncGenerator[Waveform, None]:
        """Yield the takes of pieces in their order, stretched and with pauses between them."""
        rate = self.dia.codec.sample_rate
        running: list[asyncio.Task[Speech]] = []
        spoken = False
        try:
            for number in range(len(pieces)):
                while len(running) < AHEAD and number + len(running) < len(pieces):
                    ahead = number + len(running)
                    take = self._take(pieces[ahead], seed + ahead, order, end)
                    running.append(asyncio.create_task(take))
                waveform = (await running.pop(0)).waveform
                if len(pieces) > 1:
                    waveform = edged(waveform, rate)
                    if not len(waveform):
                        continue
                    if spoken:
                        yield silence(PAUSE, rate)
                spoken = True
                yield await asyncio.to_thread(stretch, waveform, rate, order.speed)
        finally:
            for task in running:
                task.cancel()

    async def _take(self, text: str, seed: int, order: SpeechOrder, end: float) -> Speech:
        """Return the take of a piece with the fewest failures of ``1 + order.retries``."""
        speech = await self._whole(text, seed, order, end)
        if not order.retries:
            return speech
        best = GuardedSpeech(speech, check_speech(speech, text), attempts=1)
        for retry in range(1, 1 + order.retries):
            if not best.findings:
                break
            warn_of_retry(text, best, seed + retry)
            speech = await self._whole(text, seed + retry, order, end)
            best = better_take(best, GuardedSpeech(speech, check_speech(speech, text), retry + 1))
        return best.speech

    async def _whole(self, text: str, seed: int, order: SpeechOrder, end: float) -> Speech:
        chunks, result = list[Waveform](), None
        async for event in self._events(self._request(text, seed, order), order, end, streamed=False):
            if isinstance(event, Generated):
                result = event
            else:
                chunks.append(event)
        assert result is not None
        waveform = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.float32)
        return Speech(waveform, self.dia.codec.sample_rate, result.codes_TC, seed, result.ended)

    def _request(self, text: str, seed: int, order: SpeechOrder) -> Request:
        if order.voice is None:
            return Request(text, seed)
        return Request(order.voice.script(text), seed, self.dia.voice_codes(order.voice))

    async def _events(
        self, request: Request, order: SpeechOrder, end: float, *, streamed: bool
    ) -> AsyncGenerator[Waveform | Generated, None]:
        """Yield what the worker delivers for a request, and cancel it when the caller stops."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def deliver(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = SpeechJob(request, order.sampling, deliver, streamed, end)
        self.worker.submit(job)
        ended = False
        try:
            while not ended:
                event = await events.get()
                ended = not isinstance(event, np.ndarray)
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            if not ended:
                self.worker.cancel(job)
