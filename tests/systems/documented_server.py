"""A local vendor whose requests a mock validates against the vendor's document, with answers that are set.

Prism (npm's `@stoplight/prism-cli`) serves the document; it answers a request that violates it with the list
of violations. The server passes every request on to Prism, notes the violations, and gives its own answer:
Prism has no sound.
"""

import json
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HOP_BY_HOP = ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")
START_SECONDS = 120.0


@dataclass
class Answer:
    """A response in chunks of ``chunk`` bytes, with a stated length for 0; ``cut`` breaks the connection."""

    status: int = 200
    content_type: str = "application/octet-stream"
    content: bytes = b""
    headers: dict = field(default_factory=dict)
    chunk: int = 0
    cut: bool = False


class DocumentedServer:
    """The state: ``answer`` is given to every request, ``bodies`` and ``violations`` are collected."""

    def __init__(self, prism):
        self.mock = httpx.Client(base_url=prism, timeout=60)
        self.answer = Answer()
        self.bodies, self.violations = [], []

    def documented_error(self, path, headers, body, status):
        """Return the error that the document describes for a status, as Prism generates it."""
        preferred = {**headers, "prefer": f"code={status}, dynamic=true"}
        response = self.mock.post(path, json=body, headers=preferred)
        if response.status_code != status:
            raise AssertionError(f"the mock has no {status}: {response.status_code} {response.text[:500]}")
        return Answer(status, response.headers.get("content-type", ""), response.content)


@contextmanager
def serving_document(folder, document, temporary):
    """Serve a document; yields a :class:`DocumentedServer` with its ``url``."""
    with _prism(folder, document, temporary) as prism:
        state = DocumentedServer(prism)
        handler = type("Handler", (_Handler,), {"state": state})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def _prism(folder, document, temporary):
    path = temporary / "document.json"
    path.write_text(json.dumps(document.content))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = folder / "node_modules" / ".bin" / "prism"
    command = [program, "mock", path, "--host", "127.0.0.1", "--port", str(port), "--errors"]
    log = temporary / "prism.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(port, process, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"Prism does not listen: {log.read_text()[-2000:]}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Log nothing."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        response = self.state.mock.post(self.path, content=body, headers=headers)
        self.state.bodies.append({"path": self.path, **json.loads(body)})
        if response.status_code >= 300:
            self.state.violations.append(f"{self.path}: {response.status_code} {response.text[:1000]}")
        self._give(self.state.answer)

    def _give(self, answer):
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not answer.chunk:
            self.send_header("content-length", str(len(answer.content) + 100 * answer.cut))
            self.end_headers()
            self.wfile.write(answer.content)
        else:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for start in range(0, len(answer.content), answer.chunk):
                piece = answer.content[start : start + answer.chunk]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"" if answer.cut else b"0\r\n\r\n")
        if answer.cut:
            self.close_connection = True
