"""Faults of the file system that tests inject for real: a limit of file size, folders without permission."""

import ctypes
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.processes import Finished, _run_module, start_process

CAPABILITY_VERSION_3 = 0x20080522
OVERRIDES = 0b111  # CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Refuse to let this process write files beyond ``size`` bytes (EFBIG), as a full disk refuses it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the permission to write into a folder; root has it until :func:`obey_permissions`."""
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def obey_permissions() -> None:
    """Make this process obey the permissions of files, even as root; it cannot be undone."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice 32 capabilities
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    for place in range(3):
        sets[place] &= ~OVERRIDES
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def forked(task: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a copy of this process that runs ``task``; it costs no imports."""
    process = multiprocessing.get_context("fork").Process(target=task, args=arguments)
    process.start()
    return process


def ended(process: BaseProcess) -> int | None:
    """Wait for a process and return its exit code."""
    process.join()
    return process.exitcode


def run_without_space(door: str, *arguments: str, cwd: Path, size: int = 8192) -> Finished:
    """Run a door that cannot write files beyond ``size`` bytes."""
    return start_process(_with_limit, size, f"dia.{door}", arguments, cwd=cwd).wait()


def run_obeying(door: str, *arguments: str, cwd: Path) -> Finished:
    """Run a door that obeys the permissions of files."""
    return start_process(_obeying, f"dia.{door}", arguments, cwd=cwd).wait()


def _with_limit(size: int, module: str, arguments: tuple[str, ...]) -> None:
    with file_size_limit(size):
        _run_module(module, arguments)


def _obeying(module: str, arguments: tuple[str, ...]) -> None:
    obey_permissions()
    _run_module(module, arguments)
