"""Functions of jobs for tests of the engines, in a module that a fresh interpreter imports quickly."""

import os
import signal
import threading
import time
import uuid
from pathlib import Path

from dia.errors import UserError


class Shared:
    """A function that notes in a folder how often it is unpickled, and returns its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = state
        (self.folder / uuid.uuid4().hex).touch()

    def __call__(self, job: int) -> int:
        """Return the process, after a time in which another worker starts."""
        time.sleep(0.1)
        return os.getpid()


class Dying:
    """A function whose process is killed at the first attempt of job 3."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, job: int) -> int:
        """Return the job, noted in the folder."""
        attempted = self.folder / "attempted"
        if job == 3 and not attempted.exists():
            attempted.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"done-{job}").touch()
        return job


class LongResult:
    """A result of 32 MB, whose process is killed while it is sent."""

    def __reduce__(self) -> tuple:
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return bytes, (bytes(1 << 25),)


def long_result(job: int) -> LongResult:
    """Return a result during whose sending this process dies."""
    return LongResult()


class Refused:
    """A function that cannot be sent to a worker."""

    def __reduce__(self) -> str:
        raise AssertionError("a worker has started")

    def __call__(self, job: int) -> int:
        """Return the job."""
        return job


def threads_of(job: int) -> int:
    """Return the number of torch's threads."""
    import torch

    return torch.get_num_threads()


def refuse(job: int) -> None:
    """Raise an error that a user can mend."""
    raise UserError(f"job {job} is refused")


def sleep_after_first(job: int) -> int:
    """Return the first job at once, and others after five minutes."""
    time.sleep(300 if job else 0)
    return job
