"""Record HTTP exchanges through hooks of an httpx client: the body as sent, the status and the headers.

All vendors' SDKs accept a client of httpx (or of its successor httpx2), so a recording stores the request
that was sent rather than the one that was intended. Redirects are not followed, because they would forward
the header that holds the API key.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from dia.errors import one_line
from dia.systems.clients import redactor_of
from dia.systems.declaration import SystemDeclaration
from dia.systems.protocol import RequestFailed, SystemResponse

FATAL_STATUS = {401: "unauthorized", 402: "payment_required", 403: "forbidden"}
RETRYABLE_STATUS = {408, 409, 425, 429}  # and all of 500 and above
KINDS = {**FATAL_STATUS, 429: "rate_limited"}


@dataclass
class HttpExchange:
    """One request and what is known of its response."""

    request: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


class HttpRecorder:
    """Record the last exchange of each thread, and convert SDK exceptions to :class:`RequestFailed`."""

    def __init__(self, declaration: SystemDeclaration, errors: tuple[type[Exception], ...]) -> None:
        """``errors`` are the exceptions that the SDK raises when a request fails."""
        self.declaration, self.errors = declaration, errors
        self._thread = threading.local()

    @property
    def client_options(self) -> dict[str, Any]:
        """Arguments for the client of httpx or httpx2."""
        hooks = {"request": [self._on_request], "response": [self._on_response]}
        return {"event_hooks": hooks, "timeout": self.declaration.timeout_seconds, "follow_redirects": False}

    def send(self, send: Callable[[], bytes]) -> SystemResponse:
        """Call ``send`` and return its audio with the recorded exchange.

        Raises :class:`RequestFailed` for the SDK's errors and for any status outside 200..299.
        """
        self._thread.exchange = HttpExchange()
        try:
            audio = send()
        except self.errors as error:
            raise self._failure(error) from error
        exchange = self._thread.exchange
        if exchange.status is None or not 200 <= exchange.status < 300:
            raise self._failure(ValueError("the response has no success status"))
        return SystemResponse(
            audio,
            exchange.request,
            exchange.status,
            _request_id(exchange.headers, self.declaration),
            _number(exchange.headers.get(self.declaration.cost_header)),
        )

    def _on_request(self, request: Any) -> None:
        self._thread.exchange.request = {**dict(request.url.params), **json.loads(request.content)}

    def _on_response(self, response: Any) -> None:
        exchange = self._thread.exchange
        exchange.status, exchange.headers = response.status_code, response.headers
        if not 200 <= response.status_code < 300:
            # redacted before it is cut: a part of the key would not be found
            exchange.text = redactor_of(self.declaration)(response.read().decode("utf-8", "replace"))[:2000]

    def _failure(self, error: Exception) -> RequestFailed:
        exchange = self._thread.exchange
        status: int | None = exchange.status
        fatal = status in FATAL_STATUS or any(word in exchange.text for word in self.declaration.stops)
        broken = status is None or 200 <= status < 300  # no response, or an incomplete one
        text = exchange.text or redactor_of(self.declaration)(f"{type(error).__name__}: {error}")
        return RequestFailed(
            kind="connection"
            if broken
            else FATAL_STATUS.get(status or 0, KINDS.get(status or 0, f"http_{status}")),
            message=one_line(ValueError(text)),
            status=status,
            request_id=_request_id(exchange.headers, self.declaration),
            retry_after=parse_retry_after(exchange.headers),
            retryable=not fatal and (broken or _may_succeed_later(status or 0, exchange.headers)),
            fatal=fatal,
            request=exchange.request,
        )


def parse_retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a response requests to wait, None when it does not.

    `Retry-After` holds seconds or a date (RFC 9110, 10.2.3). As OpenAI's SDK, it reads fractions and
    `retry-after-ms` before it.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None and seconds >= 0:
            return seconds / unit
    try:
        until = parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except ValueError:
        return None
    return max(0.0, until - (time.time() if now is None else now))


def _may_succeed_later(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether another attempt may succeed: as OpenAI's `x-should-retry` says, else by the status."""
    advice = headers.get("x-should-retry")
    return advice == "true" if advice in ("true", "false") else status in RETRYABLE_STATUS or status >= 500


def _request_id(headers: Mapping[str, str], declaration: SystemDeclaration) -> str:
    return str(headers.get(declaration.request_id_header, "")) if declaration.request_id_header else ""


def _number(text: str | None) -> float | None:
    """Return a header's finite number, None for a missing header and for other text."""
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
