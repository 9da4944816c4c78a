"""Run a command line: help and version at once, else arguments, configuration and the task.

Everything that the user can correct exits with code 2 after one message. A signal ends a command with one
message as well, which says how to continue; see ``dia/interrupts.py`` for the exit codes.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dia
from dia.cli.arguments import choose_command, name_words, read_script
from dia.cli.command import Command, program
from dia.cli.commands import commands_of
from dia.cli.completion import candidates, completion_script
from dia.cli.help import help_text
from dia.errors import EXIT_USER_ERROR, UserError, one_line
from dia.files import refused_anywhere
from dia.interrupts import Interrupted, signals_handled
from dia.log import configure_logging, global_rank

EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE  # as shells report a program that a reader such as `head` ended
CONTINUE = {
    "train": "run the same command again to resume from the last checkpoint",
    "prepare": "finished shards are reused: run the same command again to resume",
    "sweep": "finished trials count and interrupted ones resume: run the same command again",
    "serve": "requests that were being generated ended with an error",
    "eval": "takes, scores and responses so far are stored: run the same command again to continue",
}
AGAIN = "run the same command again; it starts from the beginning"
HELP = ("--help", "-h", "help", "--hydra-help")
Task = Callable[[Any], None]


def run(door: str, tasks: Mapping[str, Task], arguments: Sequence[str] | None = None) -> None:
    """Run a command line of a door; ``tasks`` has a function of the configuration for each command word.

    Exits with 2, after one message on standard error, for whatever raises :class:`UserError`, and with the
    codes of ``dia/interrupts.py`` after a signal.
    """

    def enter(given: list[str]) -> None:
        command, rest = choose_command(door, given)
        shown = "--cfg" in rest
        if shown:  # Hydra's own option has a value, `--cfg job`
            place = rest.index("--cfg")
            del rest[place : place + (2 if rest[place + 1 : place + 2] == ["job"] else 1)]
        rest = name_words(command, rest)
        if shown:
            show(configuration_text(command, rest))
        else:
            config = read_config(command, rest)
            tasks[command.word](config)

    run_arguments(door, enter, arguments)


def run_arguments(
    door: str, task: Callable[[list[str]], None], arguments: Sequence[str] | None = None
) -> None:
    """Run a door whose ``task`` reads the arguments itself; everything else is as in :func:`run`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with signals_handled():
            if (text := information(door, given)) is not None:
                show(text)
            else:
                configure_logging()
                task(given)
            sys.stdout.flush()
    except UserError as error:
        _fail(error)
    except Interrupted as stop:
        _leave(door, stop)
    except KeyboardInterrupt:  # of a library that set its own handler
        _leave(door, Interrupted(signal.SIGINT))
    except BrokenPipeError:
        _discard_output()
        sys.exit(EXIT_BROKEN_PIPE)
    except OSError as error:
        refused = refused_anywhere(error)
        if refused is None:
            raise
        _discard_output()
        _fail(refused)


def _fail(error: UserError) -> None:
    print(error, file=sys.stderr)
    sys.exit(EXIT_USER_ERROR)


def _leave(door: str, stop: Interrupted) -> None:
    """Say how to continue, once for all processes of a run, and exit with the code of the signal."""
    if global_rank() == 0:
        print(f"{stop}; {CONTINUE.get(door, AGAIN)}", file=sys.stderr)
    sys.exit(stop.code)


def information(door: str, arguments: Sequence[str]) -> str | None:
    """Return the text that options such as ``--help`` ask for, or None when there is work to do.

    Raises:
        UserError: For an unknown topic or shell.
    """
    options = [argument.partition("=")[0] for argument in arguments]
    following = dict(zip(options, [*arguments[1:], ""], strict=False))
    if options and options[0] == "--complete":
        return "".join(f"{item}\n" for item in candidates(arguments[1] if len(arguments) > 1 else ""))
    if "--completion" in options:
        given = arguments[options.index("--completion")].partition("=")[2]
        return completion_script(given or following["--completion"])
    if "--version" in options:
        return f"{program(door)} {dia.__version__}\n"
    place = next((place for place, option in enumerate(options) if _asks_for_help(place, option)), None)
    if place is None:
        return None
    return _help(
        door, options[:place], arguments[place].partition("=")[2] or " ".join(arguments[place + 1 :])
    )


def _asks_for_help(place: int, option: str) -> bool:
    return option in HELP and (option != "help" or place == 0)


def _help(door: str, before: Sequence[str], after: str) -> str:
    """Return the help of the command that is named before or after the option, or of a topic after it."""
    known, topic = commands_of(door), (after.split() or [""])[0]
    word = next((item for item in before if item in known and item), "")
    if not word and topic in known and topic:
        word, topic = topic, " ".join(after.split()[1:])
    if word or "" in known:
        return help_text(known[word], topic)
    listed = "\n".join(help_text(command) for command in known.values())
    return f"Usage: {program(door)} {'|'.join(known)} PATH [KEY=VALUE ...]\n\n{listed}"


def read_config(command: Command, arguments: Sequence[str]) -> Any:
    """Return the configuration that the arguments compose.

    Raises:
        UserError: For unknown keys, presets and recipes, and for values of a wrong type.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from dia.config.compose import typed

    try:
        return typed(_compose(command, arguments))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_reason(error)) from error


def configuration_text(command: Command, arguments: Sequence[str]) -> str:
    """Return the composed configuration as YAML. Raises as :func:`read_config` does."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_yaml(_compose(command, arguments))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_reason(error)) from error


def _compose(command: Command, arguments: Sequence[str]) -> Any:
    from dia.config.compose import compose

    if command.door == "generate":
        arguments = read_script(arguments)
    return compose(command.config, list(arguments))


def _reason(error: Exception) -> str:
    """Return Hydra's message and, where it has one, that of OmegaConf below it."""
    causes = [error, *([error.__cause__] if isinstance(error.__cause__, Exception) else [])]
    return "; ".join(dict.fromkeys(one_line(cause) for cause in causes))


def show(text: str) -> None:
    """Print a text; a reader that stops early, such as ``head``, is no error."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    """Write nothing more to standard output if it refuses output: its buffer is flushed at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
