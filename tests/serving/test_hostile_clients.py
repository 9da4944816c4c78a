"""Clients that are slow, many, huge or malicious are refused, and the server goes on to speak."""

import io
import os
import signal
import socket
import time

import httpx
import numpy as np
import pytest
import soundfile

from tests.processes import start_door
from tests.serving.conftest import client_of
from tests.serving.test_server import RATE, speak


def address_of(server):
    host, _, port = server[0].removeprefix("http://").partition(":")
    return host, int(port)


def closed_within(connection, seconds):
    """Return whether the server closes a connection, without an answer or after one."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def test_headers_that_never_end_are_cut_off(server):
    with socket.create_connection(address_of(server)) as connection:
        for line in (b"GET /health HTTP/1.1\r\n", b"X-Slow: 1\r\n", b"X-Slower: 2\r\n"):
            connection.sendall(line)
            time.sleep(0.2)
        assert closed_within(connection, 5)
    assert httpx.get(f"{server[0]}/health").status_code == 200


def test_a_second_request_that_never_ends_is_cut_off(server):
    with socket.create_connection(address_of(server)) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in connection.recv(65_536)
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        assert closed_within(connection, 5)


def test_a_client_that_does_not_read_is_cut_off(server):
    """The answer is larger than the buffers of the sockets."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address_of(server))
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(request)
        for _ in range(200):
            try:
                connection.sendall(request)
            except (ConnectionResetError, BrokenPipeError):
                break
        time.sleep(2.5)
        connection.setblocking(False)
        received, lost = 0, False
        try:
            while part := connection.recv(1 << 20):
                received += len(part)
        except ConnectionResetError:
            lost = True
        except BlockingIOError:
            pass
        assert lost or received < 200 * 40_000
    assert httpx.get(f"{server[0]}/health").status_code == 200


def test_five_hundred_connections(server):
    """Some are refused, none is left waiting, and all places are free afterwards."""
    connections = [socket.create_connection(address_of(server)) for _ in range(500)]
    try:
        answer = httpx.get(f"{server[0]}/health", timeout=20)
        assert answer.status_code in (200, 503)
        assert all(closed_within(connection, 5) for connection in connections)
    finally:
        for connection in connections:
            connection.close()
    assert httpx.get(f"{server[0]}/health", timeout=20).status_code == 200
    assert speak(client_of(server[0]), extra_body={"seed": 27})


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/audio/lint"])
def test_a_text_of_a_megabyte_is_refused(server, path):
    answer = httpx.post(f"{server[0]}{path}", json={"input": "a" * 1_000_000}, timeout=60)
    assert answer.status_code in (400, 413) and answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/audio/voices", "/v1/audio/transcriptions", "/v1/audio/alignment"])
def test_an_upload_of_100_megabytes_is_refused_before_it_is_read(server, path):
    def body():
        for _ in range(100):
            yield bytes(1_000_000)

    begin = time.monotonic()
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "100000000"}
    try:
        answer = httpx.post(f"{server[0]}{path}", content=body(), headers=headers, timeout=60)
        assert answer.status_code == 413
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        pass  # the server closes the connection while the client still sends
    assert time.monotonic() - begin < 20
    assert httpx.get(f"{server[0]}/health").status_code == 200


@pytest.mark.parametrize("name", ["..%2fx", "%2e%2e", "a%00b", "x" * 300, "<script>", "default"])
def test_a_name_that_is_no_voice_has_no_recording(server, name):
    for path in (f"/v1/audio/voices/{name}", f"/v1/audio/voices/{name}/audio"):
        assert httpx.get(f"{server[0]}{path}").status_code in (307, 404)


def recording():
    times = np.arange(6 * RATE) / RATE
    file = io.BytesIO()
    soundfile.write(file, (0.3 * np.sin(2 * np.pi * 150 * times)).astype(np.float32), RATE, format="WAV")
    return file.getvalue()


def test_a_killed_server_loses_no_voice(tmp_path):
    """SIGKILL while voices are saved: every confirmed one is there, whole, after the next start."""
    confirmed, form = [], {"transcript": "[S1] We walked along the river until the light was gone, and more."}
    running, address = start_server(tmp_path)
    os.kill(running.process.pid, 0)
    for number in range(4):
        answer = httpx.post(
            f"{address}/v1/audio/voices",
            data=form | {"name": f"voice-{number}"},
            files={"file": ("x.wav", recording())},
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        confirmed.append(f"voice-{number}")
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
        connection.sendall(b"POST /v1/audio/voices HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
        os.kill(running.process.pid, signal.SIGKILL)
    running.process.join()
    again, address = start_server(tmp_path)
    try:
        voices = httpx.get(f"{address}/v1/audio/voices").json()["voices"]
        assert voices == ["default", *confirmed]
        for name in confirmed:
            described = httpx.get(f"{address}/v1/audio/voices/{name}").json()
            assert described["seconds"] == pytest.approx(6, abs=0.1)
    finally:
        os.kill(again.process.pid, signal.SIGTERM)
        again.process.join()


def start_server(folder):
    """Start the command on a free port; return the process and its address."""
    running = start_door("serve", "dia_nano", "port=0", "voices=voices", cwd=folder)
    output = running.streams / "stdout"
    until = time.monotonic() + 120
    while not output.is_file() or "http://" not in output.read_text():
        assert running.process.exitcode is None and time.monotonic() < until, running.wait(1)
        time.sleep(0.05)
    address = next(word for word in output.read_text().split() if word.startswith("http://"))
    while True:
        try:
            httpx.get(f"{address}/health")
            return running, address
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)
