"""Connections of the server: how many, and how long a client may take to send a request or to read an answer.

uvicorn waits for ever for the end of a request's headers and for a client that does not read. Clients that do
either, on purpose or not, would hold all places.
"""

import asyncio
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256  # further ones are answered with 503
KEEP_ALIVE = 10  # seconds that an idle connection stays open
HEADER_SECONDS = 10.0  # until the headers of a request have arrived
READ_SECONDS = 120.0  # in which a client reads nothing of an answer; a paused player does that, too
GRACE = 5  # seconds that requests have to end when the server stops


class TimedProtocol(H11Protocol):
    """HTTP/1.1 with limits on the time of a client."""

    header_seconds, read_seconds = HEADER_SECONDS, READ_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for the first headers."""
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Handle bytes, and wait for further headers where they are incomplete."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_headers()
        else:
            self._header_timer = self._cancelled(self._header_timer)

    def pause_writing(self) -> None:
        """Wait for a client that does not read."""
        super().pause_writing()
        self._read_timer = self._cancelled(self._read_timer)
        self._read_timer = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue to write."""
        super().resume_writing()
        self._read_timer = self._cancelled(self._read_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._header_timer = self._cancelled(self._header_timer)
        self._read_timer = self._cancelled(self._read_timer)
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_seconds, self.transport.abort)

    @staticmethod
    def _cancelled(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def server_settings(app: FastAPI, protocol: type[TimedProtocol] = TimedProtocol) -> uvicorn.Config:
    """Return the settings of uvicorn for an application."""
    return uvicorn.Config(
        app,
        http=protocol,
        log_level="warning",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
