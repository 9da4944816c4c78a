"""A response that was paid for is never lost: it is stored elsewhere, and can be added to its recording."""

import os
import subprocess
import threading

import pytest

from dia.errors import UserError
from dia.systems.http_recorder import HttpRecorder
from tests.systems.conftest import read_rows
from tests.systems.vendor_server import KEY


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def breaking(monkeypatch, harm):
    """Call ``harm`` once, after the first response has arrived and before it is stored."""
    usual, harms = HttpRecorder.send, [harm]

    def send(self, send):
        response = usual(self, send)
        if harms:
            harms.pop()()
        return response

    monkeypatch.setattr(HttpRecorder, "send", send)


def commands_of(message):
    return next(line for line in message.splitlines() if line.startswith("  cp "))


def test_a_response_that_cannot_be_stored_is_rescued_and_not_requested_again(
    recording, vendor, home, tmp_path, monkeypatch
):
    out = tmp_path / "out" / "elevenlabs" / "one"

    def harm():
        (out / "raw").rename(out / "raw-before")
        (out / "raw").write_text("no folder")

    breaking(monkeypatch, harm)
    with pytest.raises(UserError) as caught:
        recording(run_id="one", system={"concurrency": 1})
    assert "cannot be written; responses that were paid for are stored in" in str(caught.value)
    (rescued,) = home.iterdir()
    assert str(rescued) in str(caught.value)
    (response,) = (rescued / "raw").iterdir()
    assert response.read_bytes() == vendor.audio
    assert all(KEY.encode() not in path.read_bytes() for path in rescued.rglob("*") if path.is_file())
    sent = len(vendor.requests)
    assert sent == 1, "nothing is sent after the folder failed"
    (out / "raw").unlink()
    (out / "raw-before").rename(out / "raw")
    subprocess.run(commands_of(str(caught.value)), shell=True, check=True)
    summary, lines = recording(run_id="one", system={"concurrency": 1})
    assert not summary.failed and len(vendor.requests) == 2, "the rescued response is not requested again"
    assert "1 requests to send" in lines[0] and len(read_rows(out / "outputs.jsonl")) == 2


def test_a_full_disk_after_the_response_was_stored_rescues_its_row(
    recording, vendor, home, tmp_path, monkeypatch
):
    from dia.systems.recording_files import AppendOnlyLog

    out = tmp_path / "out" / "elevenlabs" / "one"
    usual, lock = AppendOnlyLog.append, threading.Lock()

    def append(self, row):
        with lock:  # the rows of the other thread must not go to the full disk
            if row["event"] != "succeeded":
                return usual(self, row)
            kept, self._file = self._file, os.open("/dev/full", os.O_WRONLY)
            try:
                return usual(self, row)
            finally:
                os.close(self._file)
                self._file = kept

    monkeypatch.setattr(AppendOnlyLog, "append", append)
    with pytest.raises(UserError, match="responses that were paid for") as caught:
        recording(run_id="one", system={"concurrency": 2})
    monkeypatch.setattr(AppendOnlyLog, "append", usual)
    sent = len(vendor.requests)
    subprocess.run(commands_of(str(caught.value)), shell=True, check=True)
    assert len(read_rows(out / "attempts.jsonl")) == 2 * sent
    summary, _ = recording(run_id="one", system={"concurrency": 2})
    assert not summary.failed and len(vendor.requests) == 2, "no response is paid for twice"


def test_the_next_place_is_used_when_the_home_cannot_be_written(recording, tmp_path, monkeypatch):
    out = tmp_path / "out" / "elevenlabs" / "one"
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def harm():
        (out / "raw").rmdir()
        (out / "raw").write_text("no folder")

    breaking(monkeypatch, harm)
    with pytest.raises(UserError, match="responses that were paid for"):
        recording(run_id="one", system={"concurrency": 1})
    assert len(list((tmp_path / "temporary").glob("dia-responses-*/raw/*"))) == 1
