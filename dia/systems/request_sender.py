"""Send requests with retries: every attempt is logged before it is sent and after its response arrives."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dia.config.systems import RetryConfig
from dia.errors import StorageError, UserError
from dia.systems.planning import TakeJob
from dia.systems.protocol import RequestFailed, System, SystemResponse
from dia.systems.recording_files import JsonRow, bytes_sha256
from dia.systems.recording_folder import FAILED, SENT, SUCCEEDED, RecordingFolder
from dia.systems.rescue import ResponseRescue
from dia.systems.response_audio import InvalidAudio, decode_audio, file_extension


class RunStopped(Exception):
    """The run is ending; the request was not sent."""


def retry_delay(failure: RequestFailed, attempt: int, retry: RetryConfig, jitter: float) -> float | None:
    """Return the seconds to wait after attempt number ``attempt``, None for no further attempt.

    A delay that the service requests is extended by up to a tenth. Otherwise the delay doubles with each
    attempt and is reduced by up to a half (exponential backoff with "equal jitter"). ``jitter`` is in 0..1.
    """
    if not failure.retryable or attempt >= retry.attempts:
        return None
    if failure.retry_after is not None:
        allowed = failure.retry_after <= retry.max_wait_seconds
        return failure.retry_after * (1 + jitter / 10) if allowed else None
    return min(retry.max_wait_seconds, retry.min_wait_seconds * 2.0 ** (attempt - 1)) * (1 + jitter) / 2


@dataclass
class RequestSender:
    """Send the requests of takes; safe to use from several threads."""

    system: System
    folder: RecordingFolder
    format: str
    retry: RetryConfig
    redact: Callable[[str], str]
    stop: threading.Event
    sdk_version: str
    rescue: ResponseRescue
    not_before: float = 0.0
    """Seconds of `time.monotonic`; a delay that the service requests applies to all threads."""

    def send(self, job: TakeJob, index: int) -> JsonRow:
        """Return the log row of the response, or of the last failure.

        Raises :class:`RunStopped` when the run is ending, and ``UserError`` for a fatal failure and when the
        folder cannot be written.
        """
        earlier = self.folder.attempts_before(job.key, index)
        for attempt in range(1, self.retry.attempts + 1):
            self._wait()
            row, failure = self._send_once(job, index, earlier + attempt)
            if failure is None:
                return row
            delay = retry_delay(failure, attempt, self.retry, random.random())
            self.folder.log.append({**row, "retry_in_seconds": delay})
            if failure.fatal:
                self.stop.set()
                message = f"the service refused with {failure.status} ({failure.kind}): {failure.message}"
                raise UserError(self.redact(message))
            if delay is None:
                break
            self.not_before = max(self.not_before, time.monotonic() + delay)
        return row

    def _wait(self) -> None:
        if self.stop.wait(max(0.0, self.not_before - time.monotonic())):
            raise RunStopped

    def _send_once(self, job: TakeJob, index: int, attempt: int) -> tuple[JsonRow, RequestFailed | None]:
        """Send once. A response is on disk and in the log before anything else happens."""
        row: JsonRow = {
            "prompt_id": job.prompt.id,
            "take": job.take,
            "part": index,
            "attempt": attempt,
            "requested_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "sdk_version": self.sdk_version,
        }
        self.folder.log.append({"event": SENT, **row})
        start = time.perf_counter()
        try:
            response = self._redacted(self.system.send(job.requests[index]))
        except RequestFailed as failure:
            row |= {
                "latency_ms": _milliseconds_since(start),
                "http_status": failure.status,
                "request_id": failure.request_id,
                "request": failure.request or job.requests[index].body,
                "error_kind": failure.kind,
                "message": failure.message,
            }
            return {"event": FAILED, **row}, failure
        content = response.audio
        name = f"{self.folder.file_name(job.prompt.id)}-take{job.take}-part{index}-try{attempt}"
        name = f"{name}.{file_extension(content, self.format) or 'bin'}"
        row |= {"latency_ms": _milliseconds_since(start)} | self._describe(
            job, index, response, name, content
        )
        try:
            self.folder.write_raw(name, content)
            try:
                decode_audio(response.audio, self.format)
            except InvalidAudio as error:
                # not retryable: the response was billed, and a second one would be billed as well
                invalid = RequestFailed(error.kind, str(error), response.status)
                return {"event": FAILED, **row, "error_kind": error.kind, "message": str(error)}, invalid
            self.folder.log.append({"event": SUCCEEDED, **row})
        except StorageError as error:
            self.stop.set()
            self.rescue.save(name, content, self.folder.log.line_of({"event": SUCCEEDED, **row}), error)
            raise
        self.folder.responses[(*job.key, index)] = row
        return row, None

    def _redacted(self, response: SystemResponse) -> SystemResponse:
        """Return a response without the key, which an error page may repeat; messages quote parts of it."""
        content = response.audio.decode("latin-1")  # maps all bytes, so that other content does not change
        return replace(response, audio=self.redact(content).encode("latin-1"))

    def _describe(
        self, job: TakeJob, index: int, response: SystemResponse, name: str, content: bytes
    ) -> JsonRow:
        cost = response.cost_units
        return {
            "http_status": response.status,
            "request_id": response.request_id,
            "request": response.request,
            "cost_units": float(job.requests[index].characters) if cost is None else cost,
            "cost_from": "characters sent" if cost is None else "response",
            "turn_times": response.turn_times,
            "raw_path": f"raw/{name}",
            "raw_sha256": bytes_sha256(content),
            "bytes": len(content),
        }


def _milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)
