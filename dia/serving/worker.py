"""The thread that generates the speech of all requests, by continuous batching, and the one that decodes it.

Requests with the same sampling values share a batch; batches with different values take turns, a step each.
Codes become audio in a second thread, so that a codec's decoding does not delay the next step. The two share
the cores: with a pool of threads for every core each, they would wait for each other in every operation.

Legend: T codec frame, C codec channel.
"""

import logging
import os
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor

from dia.codecs.protocol import Codec, frames_per_second
from dia.errors import UserError
from dia.inference.continuous import ContinuousBatch
from dia.inference.decoding import finite_waveform
from dia.inference.request import Generated
from dia.inference.streaming import CodecStream, Window, decode_windows, preview_frames
from dia.network import DiaNetwork
from dia.serving.job import DeadlineError, QueueFullError, SpeechJob, WorkerEndedError

LONGEST_PIECE = 2.0  # seconds of new codes that a stream decodes at a time; pieces grow to it by doubling
logger = logging.getLogger(__name__)


def shares_of_cores(cores: int) -> tuple[int, int]:
    """Return how many threads the model and the codec compute with."""
    decoding = max(1, cores // 4)
    return max(1, cores - decoding), decoding


Values = tuple[Any, ...]  # of a Sampling


@dataclass(eq=False)
class _Running:
    """The progress of a job: its number in its batch, its stream, and the frames of pieces.

    ``piece`` frames are read next, after ``read`` that were. The second piece is as long as the first; then
    their length doubles.
    """

    job: SpeechJob
    number: int
    stream: CodecStream
    piece: int
    read: int = 0
    started: bool = False


@dataclass
class WorkerCounts:
    """Totals since the start: requests by how they ended, and seconds of audio."""

    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    audio_seconds: float = 0.0


@dataclass(eq=False)
class _Decoding:
    """A window of a job's codes to decode; with a ``result`` the job ends."""

    job: SpeechJob
    stream: CodecStream
    window: Window | None
    result: Generated | None = None


class SpeechWorker:
    """Generates speech for jobs that arrive from any thread.

    Args:
        network: The model, in eval mode.
        codec: Its codec.
        capacity: Requests with the same sampling values that run at a time.
        waiting: Further requests that wait; more are refused.
        compiled: Whether the decoder step is compiled.
    """

    def __init__(
        self, network: DiaNetwork, codec: Codec, capacity: int, waiting: int, compiled: bool = False
    ) -> None:
        self.network, self.codec, self.compiled = network, codec, compiled
        self.capacity, self.waiting = capacity, waiting
        self.counts = WorkerCounts()
        self._longest_piece = round(LONGEST_PIECE * frames_per_second(codec))
        self._commands = queue.SimpleQueue[tuple[str, SpeechJob | None]]()
        self._batches = dict[Values, ContinuousBatch]()
        self._running = dict[SpeechJob, _Running]()
        self._accepted = set[SpeechJob]()
        self._lock = threading.Lock()
        self._threads, decoding = shares_of_cores(os.cpu_count() or 1)
        self._decoder = ThreadPoolExecutor(1, "dia-codec", torch.set_num_threads, (decoding,))
        self._thread = threading.Thread(target=self._run, name="dia-worker", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()

    def stop(self) -> None:
        """End the threads; jobs that run end with an error."""
        self._commands.put(("stop", None))
        self._thread.join()
        self._decoder.shutdown()

    @property
    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._thread.is_alive()

    def load(self) -> int:
        """Return the number of requests that wait or run."""
        return len(self._accepted)

    def submit(self, job: SpeechJob) -> None:
        """Add a job.

        Raises:
            QueueFullError: When as many wait as may.
            WorkerEndedError: When the worker does not run.
        """
        with self._lock:
            if not self.alive:
                raise WorkerEndedError
            if len(self._accepted) >= self.capacity + self.waiting:
                raise QueueFullError
            self._accepted.add(job)
        self._commands.put(("add", job))

    def cancel(self, job: SpeechJob) -> None:
        """Remove a job whose client has gone; its place is free at the next step."""
        self._commands.put(("cancel", job))

    def _run(self) -> None:
        torch.set_num_threads(self._threads)  # of this thread
        try:
            while self._read_commands():
                self._expire()
                for values, batch in list(self._batches.items()):
                    self._step(values, batch)
                self._read_streams()
        except Exception as error:  # a defect: the clients must not wait for ever
            logger.exception("the worker ended by an error")
            self._fail_all(error)
        else:
            self._fail_all(WorkerEndedError())

    def _read_commands(self) -> bool:
        """Apply the commands that wait, or wait for one when there is nothing to do; return False at the
        end."""
        while True:
            try:
                command, job = self._commands.get(block=not self._running)
            except queue.Empty:
                return True
            if job is None:
                return False
            if command == "add":
                self._add(job)
            elif self._drop(job):
                self.counts.cancelled += 1

    def _add(self, job: SpeechJob) -> None:
        values = astuple(job.sampling)
        if values not in self._batches:
            self._batches[values] = ContinuousBatch(self.network, job.sampling, self.capacity, self.compiled)
        number = self._batches[values].add(job.request)
        piece = self.codec.preview_context + preview_frames(self.codec)
        self._running[job] = _Running(job, number, CodecStream(self.codec, preview=True), piece)

    def _drop(self, job: SpeechJob) -> bool:
        """Forget a job; return whether it was there."""
        running = self._running.pop(job, None)
        with self._lock:
            self._accepted.discard(job)
        if running is not None:
            self._batches[astuple(job.sampling)].remove(running.number)
        return running is not None

    def _expire(self) -> None:
        now = time.monotonic()
        for job in [job for job in self._running if job.deadline < now]:
            self._drop(job)
            self.counts.expired += 1
            job.deliver(DeadlineError())

    def _step(self, values: Values, batch: ContinuousBatch) -> None:
        finished = batch.step()
        if not len(batch):
            del self._batches[values]
        if not finished:
            return
        by_number = {
            item.number: item for item in self._running.values() if astuple(item.job.sampling) == values
        }
        decodings = [
            decoding
            for number, result in finished.items()
            if number in by_number and (decoding := self._end(by_number[number], result)) is not None
        ]
        if decodings:
            self._decoder.submit(self._decode, decodings)

    def _end(self, running: _Running, result: Generated | UserError) -> _Decoding | None:
        job = running.job
        del self._running[job]
        with self._lock:
            self._accepted.discard(job)
        if isinstance(result, UserError):
            self.counts.failed += 1
            job.deliver(result)
            return None
        if len(rest_TC := result.codes_TC[running.read :]):
            running.stream.add(rest_TC)
        self.counts.finished += 1
        return _Decoding(job, running.stream, running.stream.take(ended=True), result)

    def _read_streams(self) -> None:
        """Hand codes of streams to the decoder where a piece is complete."""
        decodings = []
        for running in self._running.values():
            job = running.job
            batch = self._batches[astuple(job.sampling)]
            if not job.streamed or batch.frames(running.number) - running.read < running.piece:
                continue
            codes_TC: Tensor = batch.complete_codes(running.number, running.read)
            running.read += len(codes_TC)
            running.stream.add(codes_TC)
            if running.started:
                running.piece = min(2 * running.piece, max(running.piece, self._longest_piece))
            running.started = True
            if (window := running.stream.take(ended=False)) is not None:
                decodings.append(_Decoding(job, running.stream, window))
        if decodings:
            self._decoder.submit(self._decode, decodings)

    def _decode(self, decodings: list[_Decoding]) -> None:
        """Decode windows and deliver their audio (in the decoder's thread)."""
        windows = [(item.stream, item.window) for item in decodings if item.window is not None]
        try:
            decoded = iter(decode_windows(self.codec, windows))
        except Exception as error:
            self._decoding_failed(decodings, error)
            return
        for item in decodings:
            try:
                waveform = finite_waveform(self.codec, next(decoded)) if item.window is not None else None
            except UserError as error:  # the streams of the others have advanced
                self._decoding_failed([item], error)
                continue
            if waveform is not None and len(waveform):
                self.counts.audio_seconds += len(waveform) / self.codec.sample_rate
                item.job.deliver(waveform)
            if item.result is not None:
                item.job.deliver(item.result)

    def _decoding_failed(self, decodings: list[_Decoding], error: Exception) -> None:
        """Decode each window alone; end the job whose window cannot be decoded."""
        if len(decodings) > 1:
            for item in decodings:
                self._decode([item])
            return
        if not isinstance(error, UserError):
            logger.error("audio could not be decoded", exc_info=error)
        job = decodings[0].job
        self.cancel(job)
        job.deliver(error)

    def _fail_all(self, error: Exception) -> None:
        for job in list(self._accepted):
            self._drop(job)
            job.deliver(error)
