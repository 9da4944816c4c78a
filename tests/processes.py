"""Processes for tests, forked from a server that has imported the package once: a process costs no import.

A front door runs in a process of its own, with its own working folder, arguments, streams and exit code, as a
user's shell would start it. Use a plain ``subprocess`` where the interpreter's start is what is tested.
"""

import atexit
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from typing import Any

PRELOADED = [  # front doors, and what they import when they need it
    "dia.train",
    "dia.eval",
    "dia.generate",
    "dia.prepare",
    "dia.sweep",
    "dia.weights",
    "dia.voice",
    "dia.model",
    "dia.pipelines.train_dia",
    "dia.pipelines.train_codec",
    "dia.pipelines.evaluation.evaluate",
    "dia.data.prepare",
    "dia.config.compose",  # registers the schemas and recipes, which takes as long as a tiny run
    "dac",
    "torch.utils.tensorboard",
    "distributed",
    "tests.processes",
]
# The server imports this package whatever the working folder in which the first test starts it.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parents[1]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
)
# The package preloads fewer modules for its workers. In a process of tests both share one server.
forkserver.set_forkserver_preload(PRELOADED)
forkserver.set_forkserver_preload = lambda modules: None


@dataclass(frozen=True)
class Finished:
    """The end of a process: exit code (negative for a signal) and both streams."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Running:
    """A started process whose streams go to files."""

    process: multiprocessing.Process
    streams: Path

    def wait(self, timeout: float = 600) -> Finished:
        """Return the end of the process. Kills it and raises :class:`TimeoutError` after ``timeout`` s."""
        self.process.join(timeout)
        out, err = (
            (self.streams / name).read_text(errors="replace") if (self.streams / name).is_file() else ""
            for name in ("stdout", "stderr")
        )
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"the process ran longer than {timeout} s:\n{out[-1000:]}\n{err[-3000:]}")
        shutil.rmtree(self.streams, ignore_errors=True)
        return Finished(self.process.exitcode, out, err)


def start_process(
    task: Callable[..., Any], *arguments: Any, cwd: Path | str, environment: Mapping[str, str] | None = None
) -> Running:
    """Start ``task(*arguments)`` in a forked process. ``task`` is a function of a module, as it is pickled.

    The process has the variables of this one and those of ``environment``, applied after the imports: a
    variable that a library reads when it is imported needs a plain subprocess.
    """
    context = multiprocessing.get_context("forkserver")
    streams = Path(tempfile.mkdtemp(prefix="streams-"))
    process = context.Process(
        target=_enter, args=(str(cwd), {**os.environ, **(environment or {})}, str(streams), task, arguments)
    )
    process.start()
    return Running(process, streams)


def start_door(
    door: str, *arguments: str, cwd: Path | str, environment: Mapping[str, str] | None = None
) -> Running:
    """Start ``python -m dia.DOOR ARGUMENTS``."""
    return start_process(_run_module, f"dia.{door}", arguments, cwd=cwd, environment=environment)


def run_door(
    door: str,
    *arguments: str,
    cwd: Path | str,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> Finished:
    """Run ``python -m dia.DOOR ARGUMENTS`` to its end."""
    return start_door(door, *arguments, cwd=cwd, environment=environment).wait(timeout)


def children(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    lists: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            lists += path.read_text().split()
        except OSError:
            continue  # the thread has ended
    return [int(child) for child in lists]


def descendants(pid: int) -> list[int]:
    """Return the process ids of all processes below a process."""
    return [item for child in children(pid) for item in (child, *descendants(child))]


def kill_tree(process: multiprocessing.Process) -> None:
    """Kill a process and everything below it, as the end of a cluster's job does."""
    assert process.pid is not None
    for pid in descendants(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.join()


def run_script(
    script: Path,
    *arguments: str,
    cwd: Path | str,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> Finished:
    """Run ``python SCRIPT ARGUMENTS`` to its end, in a process that has the package imported."""
    return start_process(_run_path, str(script), arguments, cwd=cwd, environment=environment).wait(timeout)


def run_ranks(script: Path, *arguments: str, cwd: Path | str, count: int = 2) -> list[Finished]:
    """Run a script in ``count`` processes that torchrun would have started, to the end of all."""
    ranks = [
        start_process(_run_path, str(script), arguments, cwd=cwd, environment=environment)
        for environment in rank_environments(count)
    ]
    return [rank.wait() for rank in ranks]


def rank_environments(count: int) -> list[dict[str, str]]:
    """Return the environment variables that torchrun gives each of ``count`` processes on one machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test",
    }
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _run_path(script: str, arguments: tuple[str, ...]) -> None:
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


def _run_module(module: str, arguments: tuple[str, ...]) -> None:
    _fork_a_fork_server()
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)  # imported by the server; `python -m` starts with a fresh one
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _fork_a_fork_server() -> None:
    """Fork the fork server of this process, whose modules are imported.

    ``multiprocessing`` would start one from a fresh interpreter. Call it while this process has one thread.
    """
    resource_tracker.ensure_running()
    address = connection.arbitrary_address("AF_UNIX")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    alive_reader, alive_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(alive_writer)
        try:
            forkserver.main(listener.detach(), alive_reader, [])
        finally:
            os._exit(0)
    listener.close()
    os.close(alive_reader)
    server = forkserver._forkserver
    server._forkserver_address = address
    server._forkserver_alive_fd = alive_writer
    server._forkserver_pid = pid


def _enter(
    cwd: str, environment: dict[str, str], streams: str, task: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        with open(os.path.join(streams, name), "ab") as file:
            os.dup2(file.fileno(), number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = open(number, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    multiprocessing.set_start_method(None, force=True)  # the default again, as in a fresh interpreter
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:] = [item for item in sys.path if item]
    try:
        task(*arguments)
    finally:
        atexit._run_exitfuncs()  # a forked process of multiprocessing ends without them
        sys.stdout.flush()
        sys.stderr.flush()
