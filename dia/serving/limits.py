"""Limits on requests: the size of a body, the time until it has arrived, the page it comes from, the key."""

import asyncio
import hmac
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dia.serving.errors import error_response

BODY_SECONDS = 30.0  # until a whole body has arrived


class BodyLimits:
    """ASGI middleware that refuses bodies that are too large, or that arrive too slowly."""

    def __init__(self, app: ASGIApp, largest: int, seconds: float = BODY_SECONDS) -> None:
        self.app, self.largest, self.seconds = app, largest, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body before the endpoint runs, within the limits."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            if not stated.isdigit() or int(stated) > self.largest:
                raise OverflowError
            body = await asyncio.wait_for(self._read(receive), self.seconds)
        except OverflowError:
            message = f"the request is larger than {self.largest / 1e6:.1f} MB"
            await error_response(413, message)(scope, receive, send)
            return
        except TimeoutError:
            await error_response(408, "the request took too long to arrive")(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the body; None when the client has gone. Raises ``OverflowError`` when it is too large."""
        parts, size = list[bytes](), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.largest:
                raise OverflowError
            if not message.get("more_body"):
                return b"".join(parts)


class SameOrigin:
    """ASGI middleware that refuses requests that pages of other hosts make a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compare the host of the header `Origin`, which only browsers send, with that of the request."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = headers.get(b"origin")
        if origin is not None and origin.split(b"//")[-1] != headers.get(b"host"):
            message = "the request comes from a page of another host; use the server's own page, or a program"
            await error_response(403, message)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel with the whole body first, and then what ``receive`` has."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def has_key(headers: Any, key: str) -> bool:
    """Return whether a request carries the key, as `Authorization: Bearer KEY`."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), key.encode())
