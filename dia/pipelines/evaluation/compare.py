"""Compare runs: from the folders on the command line to the evaluation that scores them side by side.

A folder is a recording (`dia-eval record`) or a checkpoint. Takes and scores that an evaluation has stored
come from its cache, so that comparing evaluated runs takes seconds.
"""

from dataclasses import replace
from pathlib import Path

from dia.config.checks import bullet_list
from dia.config.eval import CompareConfig
from dia.errors import UserError
from dia.evaluation.results import SCORES
from dia.evaluation.suites import suite_names
from dia.home import existing
from dia.systems.recording_folder import OUTPUTS, read_manifest

DEFAULT_SUITE = "quick"


def evaluation_of(config: CompareConfig) -> CompareConfig:
    """Return the configuration with what its folders are: recorded systems, checkpoint, baseline, and suite.

    The suite is that of the recordings where the command line names none. Raises :class:`UserError` with
    every problem of the folders.
    """
    if problems := _problems(config):
        raise UserError(bullet_list("the runs cannot be compared:", problems))
    recorded = [folder for folder in config.folders if _is_recording(folder)]
    checkpoints = [folder for folder in config.folders if folder not in recorded]
    ckpt, baseline = (*checkpoints, "", "")[:2]
    return replace(
        config,
        ckpt=ckpt,
        baseline=baseline,
        systems=[*config.systems, *recorded],
        suite=config.suite or _suite_of(recorded),
    )


def _problems(config: CompareConfig) -> list[str]:
    problems = []
    if len(config.folders) < 2:
        problems.append("name two or more runs: recordings such as outputs/SYSTEM/RUN, or checkpoints")
    if config.ckpt or config.baseline:
        problems.append("name checkpoints as plain words, without ckpt= and baseline=")
    repeated = sorted({folder for folder in config.folders if config.folders.count(folder) > 1})
    problems += [f"{folder} is named twice" for folder in repeated]
    problems += [
        f"{folder} holds an evaluation; name the run or the recording that was evaluated"
        for folder in config.folders
        if (existing(folder) / SCORES).is_file()
    ]
    checkpoints = [folder for folder in config.folders if not _is_recording(folder)]
    if len(checkpoints) > 2:
        problems.append(
            f"{', '.join(checkpoints)} are no recordings, and at most two checkpoints can be compared; "
            "record others with system=dia_transformers, or compare two at a time"
        )
    return problems


def _is_recording(folder: str) -> bool:
    return (existing(folder) / OUTPUTS).is_file()


def _suite_of(recorded: list[str]) -> str:
    """Return the suite that all recordings state; a path in a manifest is not followed."""
    stated = {str(read_manifest(existing(folder)).get("suite") or "") for folder in recorded}
    if not stated:
        return DEFAULT_SUITE
    known = stated & set(suite_names())
    if len(stated) == 1 and known:
        return known.pop()
    listed = ", ".join(Path(name).name or "no suite" for name in sorted(stated))
    raise UserError(f"the recordings are of {listed}; name the suite, or its file of prompts: suite=...")
