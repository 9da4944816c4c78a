"""Locks of files hold between processes, end with them, and leave nothing behind."""

import errno
import fcntl
import os
import signal
import time

import pytest

from dia.errors import StorageError
from dia.locks import file_lock
from tests.faults import ended, forked


def hold(path, held, seconds):
    with file_lock(path, lambda: None):
        held.touch()
        time.sleep(seconds)


def count_up(path, counter):
    for _ in range(20):
        with file_lock(path, lambda: None):
            counter.write_text(str(int(counter.read_text()) + 1))


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_process_waits_for_another(tmp_path):
    lock, held, order = tmp_path / "lock", tmp_path / "held", []
    other = forked(hold, lock, held, 0.3)
    wait_for(held)
    with file_lock(lock, lambda: order.append("busy")):
        order.append("mine")
    assert order == ["busy", "mine"] and ended(other) == 0 and not lock.exists()


def test_the_lock_of_a_killed_process_blocks_nobody(tmp_path):
    lock, held = tmp_path / "lock", tmp_path / "held"
    other = forked(hold, lock, held, 60)
    wait_for(held)
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    assert lock.exists()
    with file_lock(lock, lambda: pytest.fail("a dead process holds it")):
        pass
    assert not lock.exists()


def test_no_two_processes_hold_it_though_each_removes_the_file(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    others = [forked(count_up, tmp_path / "lock", counter) for _ in range(3)]
    assert [ended(other) for other in others] == [0, 0, 0] and counter.read_text() == "60"


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with file_lock(tmp_path / "lock", lambda: pytest.fail("it is not busy")):
        pass
    assert "cannot be locked (No locks available)" in caplog.text


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match=r"file/lock cannot be written"),
        file_lock(tmp_path / "file" / "lock", lambda: None),
    ):
        pass
