"""What went over the wire: hooks of an httpx client that keep the body as it was sent, the status and the
headers.

The vendors' SDKs differ in what they tell of a request, and all take a client of httpx (or of its successor
httpx2): what is recorded is therefore what was sent, not what was meant. Redirects are not followed, as a key
in a header would go along.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from dia.errors import one_line
from dia.systems.declaration import Declaration
from dia.systems.protocol import Answer, Refusal

STOPPING = {401: "unauthorized", 402: "payment_required", 403: "forbidden"}
AGAIN = {408, 409, 425, 429}  # and all of 500 and above
KINDS = {429: "rate_limited"}


@dataclass
class Exchange:
    """One request and what is known of its answer."""

    request: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


class Wire:
    """Keeps the last exchange of each thread, and turns what an SDK raises into a :class:`Refusal`."""

    def __init__(self, declaration: Declaration, errors: tuple[type[Exception], ...]) -> None:
        """``errors`` are what the SDK raises when no sound comes."""
        self.declaration, self.errors = declaration, errors
        self._thread = threading.local()

    @property
    def options(self) -> dict[str, Any]:
        """Arguments for the client of httpx or httpx2."""
        hooks = {"request": [self._asked], "response": [self._answered]}
        return {"event_hooks": hooks, "timeout": self.declaration.timeout_seconds, "follow_redirects": False}

    def ask(self, send: Callable[[], bytes]) -> Answer:
        """Return the answer of one request. Raises :class:`Refusal`; what is no failure of the exchange is
        raised as it is.
        """
        self._thread.exchange = Exchange()
        try:
            raw = send()
        except self.errors as error:
            raise self._refusal(error) from error
        exchange = self._thread.exchange
        if exchange.status is None or not 200 <= exchange.status < 300:
            raise self._refusal(ValueError("the answer is no success"))
        headers, cost = exchange.headers, exchange.headers.get(self.declaration.cost_header)
        return Answer(
            raw, exchange.request, exchange.status, _request_id(headers, self.declaration), _number(cost)
        )

    def _asked(self, request: Any) -> None:
        self._thread.exchange.request = {**dict(request.url.params), **json.loads(request.content)}

    def _answered(self, response: Any) -> None:
        exchange = self._thread.exchange
        exchange.status, exchange.headers = response.status_code, response.headers
        if not 200 <= response.status_code < 300:
            exchange.text = response.read()[:2000].decode("utf-8", "replace")

    def _refusal(self, error: Exception) -> Refusal:
        exchange, status = self._thread.exchange, self._thread.exchange.status
        stops = status in STOPPING or any(word in exchange.text for word in self.declaration.stops)
        broken = status is None or 200 <= status < 300  # no answer, or one that broke off
        told = exchange.text or f"{type(error).__name__}: {error}"
        return Refusal(
            kind="connection" if broken else STOPPING.get(status, KINDS.get(status, f"http_{status}")),
            message=one_line(ValueError(told)),
            status=status,
            request_id=_request_id(exchange.headers, self.declaration),
            retry_after=retry_after(exchange.headers),
            again=not stops and (broken or status in AGAIN or (status or 0) >= 500),
            stops=stops,
            request=exchange.request,
        )


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that an answer asks to wait (RFC 9110, 10.2.3: seconds or a date), None when it does
    not say.
    """
    written = headers.get("retry-after", "").strip()
    if not written:
        return None
    if written.isdigit():
        return float(written)
    try:
        until = parsedate_to_datetime(written).timestamp()
    except ValueError:
        return None
    return max(0.0, until - (time.time() if now is None else now))


def _request_id(headers: Mapping[str, str], declaration: Declaration) -> str:
    return str(headers.get(declaration.request_id_header, "")) if declaration.request_id_header else ""


def _number(written: str | None) -> float | None:
    try:
        return None if written is None else float(written)
    except ValueError:
        return None
