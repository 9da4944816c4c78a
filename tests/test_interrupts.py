"""A signal ends a command with its exit code and one message; nothing else handles it differently."""

import os
import signal
import sys
import time
import weakref
from contextlib import contextmanager

import pytest
from omegaconf import OmegaConf, flag_override

from dia.cli.run import run_arguments
from dia.errors import UserError
from dia.interrupts import EXIT_CODES, Interrupted, signal_of_exit, signals_deferred, signals_handled


@pytest.fixture(autouse=True)
def in_the_foreground():
    """A background job of a shell ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send(number):
    """Return a task of a command that receives a signal."""

    def task(arguments):
        os.kill(os.getpid(), number)
        time.sleep(10)

    return task


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C"), (signal.SIGUSR1, 75, "SIGUSR1")],
)
@pytest.mark.parametrize("door", ["train", "prepare", "eval", "sweep", "generate", "weights"])
def test_a_signal_ends_a_command_with_its_code_and_says_how_to_continue(number, code, name, door, capsys):
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    with pytest.raises(SystemExit) as left:
        run_arguments(door, send(number), ["x=1"])
    said = capsys.readouterr().err
    assert left.value.code == code and f"stopped by {name}" in said and "same command again" in said
    assert said.count("\n") == 1 and {number: signal.getsignal(number) for number in EXIT_CODES} == before


def test_what_was_begun_is_closed(tmp_path):
    try:
        with signals_handled(), (tmp_path / "file").open("w") as file:
            send(signal.SIGTERM)([])
    except Interrupted as stop:
        assert stop.code == 143 and file.closed
    else:
        pytest.fail("the signal was ignored")


def test_a_signal_during_a_callback_of_a_weak_reference_ends_the_command():
    """Python ignores the exception there."""

    class Item:
        pass

    item = Item()
    reference = weakref.ref(item, lambda _: send(signal.SIGTERM)([]))
    with pytest.raises(Interrupted) as stop, signals_handled():
        del item
        time.sleep(10)
    assert stop.value.code == 143 and reference() is None


@pytest.mark.parametrize(("failure", "raised"), [(KeyError, Interrupted), (OSError, OSError)])
def test_a_signal_ends_the_command_although_a_cleanup_fails(failure, raised):
    """A refused write is reported, as without a signal."""

    @contextmanager
    def library():
        try:
            yield
        finally:
            raise failure("cleanup")

    with pytest.raises(raised), signals_handled():
        try:
            with library():
                send(signal.SIGTERM)([])
        except Exception as error:
            if failure is KeyError:  # as the composition reports what it catches
                raise UserError("the configuration is wrong") from error
            raise


def test_an_interrupted_composition_ends_the_command():
    """OmegaConf raises another exception when a signal stops it while it builds a node."""
    config = OmegaConf.create({"a": {"b": 1}})
    with pytest.raises(Interrupted), signals_handled(), flag_override(config, "readonly", True):
        config._content["a"] = None  # as a node is while it is built
        send(signal.SIGTERM)([])


def test_a_deferred_signal_is_handled_after_the_block():
    reached = []
    with pytest.raises(Interrupted) as stop, signals_handled():
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("end of the block")
        reached.append("after the block")
    assert stop.value.code == 143 and reached == ["end of the block"]


def test_a_deferred_signal_is_not_lost_when_the_block_fails():
    with pytest.raises(Interrupted), signals_handled(), signals_deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_handled():
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_forked_worker_leaves_ctrl_c_to_its_parent(number, code):
    with signals_handled():
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code


def test_exit_codes_name_their_signal():
    for number, code in EXIT_CODES.items():
        assert signal_of_exit(code) == signal_of_exit(-number) == number
    assert all(signal_of_exit(code) is None for code in (0, 1, 2, 3, -signal.SIGKILL))


@pytest.mark.parametrize("code", ["print('x' * 100_000)", "raise BrokenPipeError"])
def test_a_reader_that_stops_early_ends_a_command_quietly(code, capfd):
    reader, writer = os.pipe()
    os.close(reader)
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        try:
            run_arguments("weights", lambda given: exec(code), ["x=1"])
        except SystemExit as left:
            os._exit(int(left.code))
        os._exit(0)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 141
    assert "Traceback" not in capfd.readouterr().err
