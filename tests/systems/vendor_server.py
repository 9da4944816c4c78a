"""A local server with the vendors' HTTP interfaces that can fail in the ways real services fail."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from dia.systems.response_audio import pcm16_wav_bytes

KEY = "sk-test-0123456789abcdef"
RATE = 24_000
# the paths of each vendor's requests, and the header of its key
ROUTES = {
    "/v1/text-to-dialogue": "xi-api-key",
    "/v1/text-to-speech/": "xi-api-key",
    "/v1/audio/speech": "authorization",
    "/v0/tts/file": "x-hume-api-key",
    "/acme/": "x-acme-key",
}


def tone(seconds=0.6):
    """Return a sine tone of 24 kHz as a WAV file."""
    time = np.arange(round(seconds * RATE)) / RATE
    return pcm16_wav_bytes((0.1 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), RATE)


class Vendor:
    """A service; ``failures`` come first, one for each request: a status, or the name of a failure."""

    def __init__(self, failures=(), headers=None):
        self.failures, self.headers = list(failures), headers or {}
        self.requests, self.lock = [], threading.Lock()
        self.audio = tone()
        self.content_type = "audio/wav"
        self.gate = None  # an event that responses from the second one on wait for

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


def _error(path, status, message):
    """Return the body of an error in the notation that the vendor of a path documents."""
    if path.startswith("/v1/audio"):
        return {"error": {"message": message, "type": "refused", "param": None, "code": "refused"}}
    if status == 422:
        return {"detail": [{"loc": ["body", "text"], "msg": message, "type": "value_error"}]}
    if path.startswith("/v0"):
        return {"error": "refused", "message": message, "code": "refused"}
    detail = {"type": "refused", "code": "refused", "status": "refused", "message": message}
    return {"detail": {**detail, "request_id": "request-0", "param": None}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Log nothing."""

    def do_POST(self):
        vendor, route, _, query = self.vendor, *self.path.partition("?")
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        header = next(name for begin, name in ROUTES.items() if route.startswith(begin))
        key = self.headers.get(header, "").removeprefix("Bearer ")
        with vendor.lock:
            vendor.requests.append({"path": route, "query": query, "body": body, "key": key})
            behaviour = vendor.failures.pop(0) if vendor.failures else 200
            number = len(vendor.requests)
        if vendor.gate and number > 1:
            vendor.gate.wait()
        getattr(self, f"_{behaviour}", self._status)(behaviour, key, number)

    def _status(self, status, key, number):
        if status == 200:
            headers = {
                "request-id": f"request-{number}",
                "x-request-id": f"request-{number}",
                "character-cost": "42",
            }
            return self._respond(200, self.vendor.content_type, self.vendor.audio, headers)
        content = _error(self.path, status, f"no, {key}")
        return self._respond(status, "application/json", json.dumps(content).encode(), self.vendor.headers)

    def _html(self, _, key, number):
        self._respond(200, "text/html", f"<html><body>Sign in, {key}</body></html>".encode())

    def _truncated(self, _, key, number):
        """Send half of a file in a complete response; only the WAV header shows that it is truncated."""
        self._respond(200, "audio/wav", self.vendor.audio[: len(self.vendor.audio) // 2])

    def _empty(self, _, key, number):
        self._respond(200, "audio/wav", b"")

    def _redirect(self, _, key, number):
        self._respond(307, "text/plain", b"", {"location": "http://127.0.0.1:9/elsewhere"})

    def _disconnect(self, _, key, number):
        """Close the connection before the promised length is sent."""
        self.send_response(200)
        self.send_header("content-type", "audio/wav")
        self.send_header("content-length", str(len(self.vendor.audio)))
        self.end_headers()
        self.wfile.write(self.vendor.audio[:5000])
        self.wfile.flush()
        self.connection.close()
        self.close_connection = True

    def _respond(self, status, kind, content, headers=None):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
