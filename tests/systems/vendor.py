"""A local server that speaks the vendors' wire formats, and does what it is told to next: the failures of
real services.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from dia.systems.sound import wav_bytes

KEY = "sk-test-0123456789abcdef"
RATE = 24_000
# what each vendor is asked, and where it looks for the key
ROUTES = {
    "/v1/text-to-dialogue": "xi-api-key", "/v1/text-to-speech/": "xi-api-key", "/v1/audio/speech": "authorization",
    "/v0/tts/file": "x-hume-api-key",
}  # fmt: skip


def spoken(seconds=0.6):
    """A sound of 24 kHz, WAV."""
    time = np.arange(round(seconds * RATE)) / RATE
    return wav_bytes((0.1 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), RATE)


class Vendor:
    """Answers with sound; what stands in ``script`` is done first, one entry a request: a status, or a
    word.
    """

    def __init__(self, script=(), headers=None):
        self.script, self.headers = list(script), headers or {}
        self.requests, self.lock = [], threading.Lock()
        self.answer = spoken()
        self.gate = None  # an event that the answers from the second one on wait for

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(vendor):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"vendor": vendor}))
    server.daemon_threads = True
    vendor.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Quiet."""

    def do_POST(self):
        vendor, route, _, query = self.vendor, *self.path.partition("?")
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        header = next(name for begin, name in ROUTES.items() if route.startswith(begin))
        key = self.headers.get(header, "").removeprefix("Bearer ")
        with vendor.lock:
            vendor.requests.append({"path": route, "query": query, "body": body, "key": key})
            todo = vendor.script.pop(0) if vendor.script else 200
            number = len(vendor.requests)
        if vendor.gate and number > 1:
            vendor.gate.wait()
        getattr(self, f"_{todo}", self._status)(todo, key, number)

    def _status(self, todo, key, number):
        if todo == 200:
            headers = {
                "request-id": f"request-{number}",
                "x-request-id": f"request-{number}",
                "x-character-count": "42",
            }
            return self._send(200, "audio/wav", self.vendor.answer, headers)
        said = {
            "detail": {"status": "refused", "message": f"no, {key}"},
            "error": {"message": f"no, {key}", "code": "refused"},
        }
        return self._send(todo, "application/json", json.dumps(said).encode(), self.vendor.headers)

    def _html(self, todo, key, number):
        self._send(200, "text/html", f"<html><body>Sign in, {key}</body></html>".encode())

    def _truncated(self, todo, key, number):
        """A whole answer of half a file: only its header tells."""
        self._send(200, "audio/wav", self.vendor.answer[: len(self.vendor.answer) // 2])

    def _empty(self, todo, key, number):
        self._send(200, "audio/wav", b"")

    def _redirect(self, todo, key, number):
        self._send(307, "text/plain", b"", {"location": "http://127.0.0.1:9/elsewhere"})

    def _cut(self, todo, key, number):
        """The connection ends in the middle of what was promised."""
        self.send_response(200)
        self.send_header("content-type", "audio/wav")
        self.send_header("content-length", str(len(self.vendor.answer)))
        self.end_headers()
        self.wfile.write(self.vendor.answer[:5000])
        self.wfile.flush()
        self.connection.close()
        self.close_connection = True

    def _send(self, status, kind, content, headers=None):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
