"""Signals that end a command: SIGTERM, Ctrl-C and SIGUSR1 raise an exception, so that everything is closed.

A command that a signal ended exits with 128 + its number, as shells report it: 143 for SIGTERM, 130 for
Ctrl-C. After SIGUSR1, which SLURM sends before a time limit, it exits with 75 (EX_TEMPFAIL): run it again.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
REPEAT_SECONDS = 0.05  # after which an ignored interruption is raised again
EXIT_CODES = {signal.SIGUSR1: 75, signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGINT: 128 + signal.SIGINT}


class Interrupted(SystemExit):
    """A signal ends this command. ``state`` says what was reached, such as "stopped at step 7"."""

    def __init__(self, number: int, state: str = "stopped") -> None:
        super().__init__(EXIT_CODES[signal.Signals(number)])
        self.number, self.state = number, state

    def __str__(self) -> str:
        return f"{self.state} by {signal_name(self.number)}"


def signal_name(number: int) -> str:
    """Return the name of a signal as users know it."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def signal_of_exit(code: int) -> int | None:
    """Return the signal that ended a command with this exit code (negative: before it could handle it)."""
    return next((int(number) for number, known in EXIT_CODES.items() if code in (known, -number)), None)


def raise_interrupted(number: int, frame: FrameType | None) -> None:
    """Raise :class:`Interrupted`; a handler of signals."""
    raise Interrupted(number)


def handle_signals(handler: Handler) -> dict[int, Any]:
    """Call ``handler`` for each of ``EXIT_CODES`` from now on; return the handlers before.

    A signal that this process ignores (`nohup`, a background job of a script) stays ignored. Only the main
    thread can set handlers; in another one nothing happens. A forked process, such as a worker of a data
    loader, leaves all but SIGTERM to its parent: a terminal sends Ctrl-C to both.
    """
    process = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            handler(number, frame)
        elif number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [number for number in EXIT_CODES if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handle) for number in numbers}


@contextmanager
def signals_handled(handler: Handler = raise_interrupted) -> Iterator[None]:
    """Call ``handler`` for each of ``EXIT_CODES`` while the block runs.

    Python ignores exceptions in finalizers and callbacks of weak references. An :class:`Interrupted` that is
    raised there is raised again, and so is one that a library replaces by an exception of its own.
    """
    before, report_ignored = handle_signals(handler), sys.unraisablehook

    def repeat_ignored(ignored: "sys.UnraisableHookArgs") -> None:
        if isinstance(ignored.exc_value, Interrupted):
            threading.Timer(REPEAT_SECONDS, os.kill, (os.getpid(), ignored.exc_value.number)).start()
        else:
            report_ignored(ignored)

    sys.unraisablehook = repeat_ignored
    try:
        yield
    except Exception as error:
        if interruption := interruption_behind(error):
            raise interruption from None
        raise
    finally:
        sys.unraisablehook = report_ignored
        for number, earlier in before.items():
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)


def interruption_behind(error: BaseException) -> Interrupted | None:
    """Return the interruption that was being raised when a cleanup of a library failed with ``error``.

    OmegaConf's context managers, for example, fail when they leave a half-built configuration. A refused
    write (:class:`OSError`) is a failure of its own: the result is None.
    """
    context: BaseException | None = error
    while context is not None and not isinstance(context, Interrupted | OSError):
        context = context.__context__
    return context if isinstance(context, Interrupted) else None


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer signals that arrive during the block until it ends or fails; the usual handler follows."""
    received: list[int] = []
    try:
        with signals_handled(lambda number, frame: received.append(number)):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)
