"""The two commands of a listening test: write the page, count the votes."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from dia.config.choices import AudioPlacement
from dia.config.listening_test import ListenConfig, VotesConfig
from dia.errors import UserError
from dia.files import write_bytes
from dia.home import existing
from dia.listening_test.answers import Answers, read_answers
from dia.listening_test.page import Page, make_page
from dia.listening_test.recorded import read_systems
from dia.listening_test.result import listening_results, show_results


def write_test(config: ListenConfig) -> Page:
    """Write the page, its sounds where they lie beside it, and the key. Raises :class:`UserError` with all
    that is wrong.
    """
    _raise("cannot make a listening test", config.problems())
    systems = read_systems(
        [str(existing(folder)) for folder in (*config.folders, config.reference) if folder]
    )
    page = make_page(systems, config, systems[-1].name if config.reference else "")
    if config.audio is AudioPlacement.beside:
        config.audio_folder.mkdir()
        for name, flac in page.sounds.items():
            write_bytes(config.audio_folder / f"{name}.flac", flac)
    write_bytes(config.key, (json.dumps(page.key, indent=1) + "\n").encode())
    write_bytes(Path(config.out), page.html.encode())  # last: with it the test is whole
    return page


def count_votes(config: VotesConfig, console: Console) -> Answers:
    """Read answers, print what they say, and write it where ``out`` says. Raises :class:`UserError` with all
    that is wrong.
    """
    _raise("cannot count the votes", config.problems())
    answers = read_answers(config.files, config.key, config.checks)
    if not answers.votes:
        raise UserError(
            f"no votes: {len(answers.listeners)} listeners, of whom {len(answers.failed)} failed the checks"
        )
    try:
        results = listening_results(answers)
    except ValueError as error:
        raise UserError(f"cannot count the votes: {error}") from error
    show_results(results, console)
    if config.out:
        write_bytes(Path(config.out), (json.dumps(results, indent=2, allow_nan=False) + "\n").encode())
    return answers


def _raise(what: str, problems: Iterable[str]) -> None:
    if found := list(problems):
        raise UserError(f"{what}:\n" + "\n".join(f"  - {problem}" for problem in found))
