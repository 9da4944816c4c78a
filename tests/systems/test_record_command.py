"""`python -m dia.eval record` as a separate process: exit codes, and resuming a killed run."""

import signal
import threading
from pathlib import Path

import pytest

from tests.processes import run_door, start_door
from tests.systems.conftest import read_rows
from tests.systems.vendor_server import KEY


def command(*arguments):
    return ["record", *arguments]


@pytest.fixture
def record_command(suite, vendor, tmp_path):
    return command(
        "system=elevenlabs",
        f"system.base_url={vendor.url}",
        f"suite={suite}",
        f"out={tmp_path / 'out'}",
        "takes=3",
        "confirm=true",
        "retry.min_wait_seconds=0",
        "retry.attempts=2",
        "system.concurrency=1",
    )


def run(line):
    done = run_door("eval", *line, cwd=Path.cwd())
    assert KEY not in done.stdout + done.stderr
    return done


def test_a_killed_run_resumes_and_nothing_is_billed_twice(record_command, vendor, tmp_path):
    vendor.gate = threading.Event()  # holds every response but the first, so that the kill hits a request
    running = start_door("eval", *record_command, cwd=tmp_path).process
    try:
        while len(vendor.requests) < 2:
            assert running.exitcode is None, "the command ended before it was killed"
            threading.Event().wait(0.05)
        running.kill()
        running.join()
        assert running.exitcode == -signal.SIGKILL
    finally:
        running.kill()
        vendor.gate.set()
    (folder,) = (tmp_path / "out" / "elevenlabs").iterdir()
    raw = {path: path.read_bytes() for path in (folder / "raw").iterdir()}
    assert not (folder / "outputs.jsonl").exists() and len(raw) == 1
    vendor.gate = None
    done = run(record_command)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (
        "5 requests to send" in done.stdout and len(vendor.requests) == 7
    )  # six takes, and the interrupted request
    rows = read_rows(folder / "outputs.jsonl")
    assert len(rows) == 6 and {row["error_kind"] for row in rows} == {""}
    assert all(path.read_bytes() == content for path, content in raw.items())
    log = [
        (row["event"], row["prompt_id"], row["take"], row["attempt"])
        for row in read_rows(folder / "attempts.jsonl")
    ]
    # the first of these two requests has no response
    assert log[2:4] == [("sent", "two/b", 0, 1), ("sent", "two/b", 0, 2)]


def test_exit_codes_distinguish_success_failed_takes_and_errors(record_command, vendor, tmp_path):
    vendor.failures = ["html"]
    done = run(record_command)
    assert done.returncode == 3 and "1 of 6 takes failed (not_audio 1)" in done.stderr, done.stderr[-2000:]
    vendor.failures = [401]
    done = run(record_command)
    assert done.returncode == 2 and "401" in done.stderr and "Traceback" not in done.stderr
    assert (
        sum(b"sk-test" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()) == 0
    )
    done = run([*record_command, "confirm=false", "takes=4"])
    assert done.returncode == 2 and "no request was sent" in done.stderr and "$" in done.stdout


def test_an_unknown_system_is_rejected_with_the_known_ones():
    done = run(command("system=nope", "suite=x"))
    assert done.returncode == 2 and "elevenlabs" in done.stderr and "sesame_csm" in done.stderr
