"""Content that proves by a trace on disk that it ran or was read: pickles, programs and files that must stay
unread."""

import os
import pickle
import sys
from contextlib import contextmanager
from pathlib import Path


class Payload:
    """An object whose unpickling creates a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def write_pickle(path: Path, trace: Path, content: object = None) -> None:
    """Write a pickle of ``content`` that creates ``trace`` when it is loaded without restriction."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps([content, Payload(trace)]))


def write_program(path: Path, trace: Path) -> Path:
    """Write a program that creates ``trace`` when it runs, and return its path."""
    path.write_text(f"#!/bin/sh\ntouch {trace}\n")
    path.chmod(0o755)
    return path


_opened: list[str] | None = None


def _on_event(event: str, arguments: tuple) -> None:
    if _opened is not None and event == "open":
        _opened.append(
            os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else str(arguments[0])
        )


sys.addaudithook(_on_event)


@contextmanager
def opened_files():
    """Yield a list that receives the path of every file that Python opens in the block."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None
