"""The commands `dia.eval listen` (write a listening test's page) and `dia.eval votes` (count the answers)."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from dia.config.choices import AudioPlacement
from dia.config.listening_test import ListenConfig, VotesConfig
from dia.errors import UserError
from dia.files import make_folder, write_bytes
from dia.home import existing
from dia.listening_test.answers import CollectedAnswers, read_answers
from dia.listening_test.build import ListeningTest, build_test
from dia.listening_test.read_runs import read_runs
from dia.listening_test.result import listening_results, print_results


def write_test(config: ListenConfig) -> ListeningTest:
    """Write the page, its key, and clips stored beside it. Raises :class:`UserError` with all problems."""
    _raise_problems("cannot build a listening test", config.problems())
    runs = read_runs([str(existing(folder)) for folder in (*config.folders, config.reference) if folder])
    test = build_test(runs, config, runs[-1].name if config.reference else "")
    if config.audio is AudioPlacement.beside:
        make_folder(config.audio_folder)
        for name, flac in test.clips.items():
            write_bytes(config.audio_folder / f"{name}.flac", flac)
    write_bytes(config.key, (json.dumps(test.key, indent=1) + "\n").encode())
    write_bytes(Path(config.out), test.html.encode())  # last: a page is never without its key and clips
    return test


def count_votes(config: VotesConfig, console: Console) -> CollectedAnswers:
    """Count the answers, print and write the results. Raises :class:`UserError` with all problems."""
    _raise_problems("cannot count the votes", config.problems())
    answers = read_answers(config.files, config.key, config.checks)
    if not answers.votes:
        raise UserError(
            f"no votes: {len(answers.listeners)} listeners, {len(answers.failed)} of whom failed the checks"
        )
    try:
        results = listening_results(answers)
    except ValueError as error:
        raise UserError(f"cannot count the votes: {error}") from error
    print_results(results, console)
    if config.out:
        write_bytes(Path(config.out), (json.dumps(results, indent=2, allow_nan=False) + "\n").encode())
    return answers


def _raise_problems(summary: str, problems: Iterable[str]) -> None:
    if listed := "\n".join(f"  - {problem}" for problem in problems):
        raise UserError(f"{summary}:\n{listed}")
