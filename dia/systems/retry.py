"""Asking: each try is logged before it is sent and after it is answered; some refusals are asked again, some
end the run.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dia.config.systems import RetryConfig
from dia.errors import UserError
from dia.systems.jobs import Job
from dia.systems.protocol import Answer, Refusal, System
from dia.systems.run_folder import RunFolder
from dia.systems.sound import BadSound, decode, ending

Row = dict[str, Any]


class Stopped(Exception):
    """The run is being ended; this request was not asked."""


def wait_before_next(refusal: Refusal, attempt: int, retry: RetryConfig, rng: float) -> float | None:
    """Return the seconds before try ``attempt + 1``, None when there is none. ``rng`` in 0..1 is the jitter.

    A wait that the service asks for is kept to, and lengthened by up to a tenth; else it doubles from try to
    try, and a chance of down to half of it keeps clients apart (exponential back-off with "equal jitter").
    """
    if not refusal.again or attempt >= retry.attempts:
        return None
    if refusal.retry_after is not None:
        return None if refusal.retry_after > retry.max_wait_seconds else refusal.retry_after * (1 + rng / 10)
    return min(retry.max_wait_seconds, retry.min_wait_seconds * 2.0 ** (attempt - 1)) * (1 + rng) / 2


@dataclass
class Asker:
    """Asks for parts of takes; several threads may use it at once."""

    system: System
    folder: RunFolder
    format: str
    retry: RetryConfig
    redact: Callable[[str], str]
    stop: threading.Event
    sdk_version: str
    not_before: float = 0.0
    """Seconds of `time.monotonic`: a service that says wait says it to all threads."""

    def ask(self, job: Job, part: int) -> Row:
        """Return the log's row of the answer, or of the last refusal.

        Raises :class:`Stopped` when the run ends meanwhile, and ``UserError`` for a refusal that ends it.
        """
        earlier = self.folder.attempts_of(job.key, part)
        for attempt in range(1, self.retry.attempts + 1):
            self._wait()
            row, refusal = self._once(job, part, earlier + attempt)
            if refusal is None:
                return row
            wait = wait_before_next(refusal, attempt, self.retry, random.random())
            self.folder.log.add({**row, "retry_in_seconds": wait})
            if refusal.stops:
                self.stop.set()
                raise UserError(
                    self.redact(
                        f"the service refused with {refusal.status} ({refusal.kind}): {refusal.message}"
                    )
                )
            if wait is None:
                break
            self.not_before = max(self.not_before, time.monotonic() + wait)
        return row

    def _wait(self) -> None:
        if self.stop.wait(max(0.0, self.not_before - time.monotonic())):
            raise Stopped

    def _once(self, job: Job, part: int, attempt: int) -> tuple[Row, Refusal | None]:
        """One try. An answer is on the disk and in the log before anything else is done."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row: Row = {
            "prompt_id": job.prompt.id,
            "take": job.take,
            "part": part,
            "attempt": attempt,
            "requested_at": now,
        }
        row["sdk_version"] = self.sdk_version
        self.folder.log.add({"event": "asked", **row})
        begin = time.perf_counter()
        try:
            answer = self.system.ask(job.calls[part])
        except Refusal as refusal:
            row |= {
                "latency_ms": _milliseconds(begin),
                "http_status": refusal.status,
                "request_id": refusal.request_id,
            }
            row |= {
                "request": refusal.request or job.calls[part].body,
                "error_kind": refusal.kind,
                "message": refusal.message,
            }
            return {"event": "refused", **row}, refusal
        row |= {"latency_ms": _milliseconds(begin)} | self._kept(job, part, attempt, answer)
        try:
            decode(answer.raw, self.format)
        except BadSound as error:
            told = Refusal(error.kind, str(error), answer.status)  # it was paid for, and would be again
            return {"event": "refused", **row, "error_kind": error.kind, "message": str(error)}, told
        self.folder.log.add({"event": "answered", **row})
        self.folder.answered[(*job.key, part)] = row
        return row, None

    def _kept(self, job: Job, part: int, attempt: int, answer: Answer) -> Row:
        raw = answer.raw
        if (redacted := self.redact(raw.decode("latin-1")).encode("latin-1")) != raw:
            raw = redacted  # a page that repeats the key
        name = f"{self.folder.file_name(job.prompt.id)}-take{job.take}-part{part}-try{attempt}"
        path, digest = self.folder.keep_raw(f"{name}.{ending(raw, self.format) or 'bin'}", raw)
        cost = answer.cost_units
        return {
            "http_status": answer.status, "request_id": answer.request_id, "request": answer.request,
            "cost_units": float(job.calls[part].characters) if cost is None else cost,
            "cost_from": "characters sent" if cost is None else "answer",
            "raw_path": path, "raw_sha256": digest, "bytes": len(raw),
        }  # fmt: skip


def _milliseconds(begin: float) -> float:
    return round((time.perf_counter() - begin) * 1000, 1)
