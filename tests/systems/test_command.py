"""`python -m dia.eval record` in a process of its own: exit codes, and a run that is killed in the middle and
goes on.
"""

import signal
import threading
from pathlib import Path

import pytest

from tests.processes import run_door, start_door
from tests.systems.conftest import lines_of
from tests.systems.vendor import KEY


def command(*arguments):
    return ["record", *arguments]


@pytest.fixture
def asked(suite, vendor, tmp_path):
    return command("system=elevenlabs", f"system.base_url={vendor.url}", f"suite={suite}", f"out={tmp_path / 'out'}", "takes=3",
                   "confirm=true", "retry.min_wait_seconds=0", "retry.attempts=2", "system.concurrency=1")  # fmt: skip


def run(line):
    done = run_door("eval", *line, cwd=Path.cwd())
    assert KEY not in done.stdout + done.stderr
    return done


def test_a_killed_run_goes_on_and_nothing_is_paid_for_twice(asked, vendor, tmp_path):
    vendor.gate = threading.Event()  # every answer but the first waits: it is killed while it is being served
    running = start_door("eval", *asked, cwd=tmp_path).process
    try:
        while len(vendor.requests) < 2:
            assert running.exitcode is None, "it ended before it could be killed"
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
    done = run(asked)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (
        "5 requests to ask" in done.stdout and len(vendor.requests) == 7
    )  # six takes, and the one that was cut off
    rows = lines_of(folder / "outputs.jsonl")
    assert len(rows) == 6 and {row["error_kind"] for row in rows} == {""}
    assert all(path.read_bytes() == content for path, content in raw.items())
    log = [
        (row["event"], row["prompt_id"], row["take"], row["attempt"])
        for row in lines_of(folder / "attempts.jsonl")
    ]
    assert log[2:4] == [
        ("asked", "two/b", 0, 1),
        ("asked", "two/b", 0, 2),
    ]  # the first of them was never answered


def test_exit_codes_say_what_came_of_it(asked, vendor, tmp_path):
    vendor.script = ["html"]
    done = run(asked)
    assert done.returncode == 3 and "failed, 1 of 6 takes: not_audio 1" in done.stderr, done.stderr[-2000:]
    vendor.script = [401]
    done = run(asked)
    assert done.returncode == 2 and "401" in done.stderr and "Traceback" not in done.stderr
    assert (
        sum(b"sk-test" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()) == 0
    )
    done = run([*asked, "confirm=false", "takes=4"])
    assert done.returncode == 2 and "nothing spent" in done.stderr and "$" in done.stdout


def test_an_unknown_system_is_told_those_that_there_are():
    done = run(command("system=nope", "suite=x"))
    assert done.returncode == 2 and "elevenlabs" in done.stderr and "sesame_csm" in done.stderr
