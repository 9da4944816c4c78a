"""Checks of voices: whether a recording and its transcript fit each other, and whether codes are valid.

Legend: T codec frame, C codec channel.
"""

import torch
from torch import Tensor

from dia.config.voice import LONGEST, SHORTEST
from dia.dialogue.lint import Limits, LintResult
from dia.dialogue.lint import lint as judge
from dia.dialogue.script import Script

SLOWEST = 4.0  # characters per second; outside of these the transcript is not that of the recording
FASTEST = 30.0


def code_problems(codes_TC: Tensor, codebook_size: int) -> list[str]:
    """Return why a tensor holds no codes (T, C)."""
    if codes_TC.ndim != 2 or not codes_TC.numel():
        return [f"its codes have the shape {tuple(codes_TC.shape)}, not (frames, channels)"]
    if codes_TC.is_floating_point() or codes_TC.is_complex() or codes_TC.dtype is torch.bool:
        return [f"its codes have the type {codes_TC.dtype}, not an integer"]
    lowest, highest = int(codes_TC.min()), int(codes_TC.max())
    if not 0 <= lowest <= highest < codebook_size:
        return [f"its codes are {lowest} to {highest}, those of its codec 0 to {codebook_size - 1}"]
    return []


def transcript_problems(transcript: str) -> list[str]:
    """Return why a transcript is no script, one sentence each."""
    try:
        Script.parse(transcript)
    except ValueError as error:
        return [str(error)]
    return []


def lint_transcript(transcript: str) -> LintResult:
    """Return what the linter says of a transcript of any length."""
    return judge(transcript, Limits(0.0, float("inf")))


def transcript_warnings(transcript: str) -> tuple[str, ...]:
    """Return what a model may not read as meant in a transcript, one sentence each with its remedy."""
    return lint_transcript(transcript).warnings


def voice_problems(
    transcript: str, seconds: float, shortest: float = SHORTEST, longest: float = LONGEST
) -> list[str]:
    """Return why a recording and its transcript make a bad voice, one sentence each with its remedy."""
    if not transcript.strip():
        return [
            "the transcript is missing; without it the model drops words or answers with noise: write the "
            "words of the recording, beginning with [S1]"
        ]
    problems = [*lint_transcript(transcript).errors, *transcript_problems(transcript)]
    if not shortest <= seconds <= longest:
        problems.append(
            f"the recording is {seconds:.1f} s long; give {shortest:g} to {longest:g} s of speech"
        )
    if problems:
        return problems
    pace = pace_of(transcript, seconds)
    if not SLOWEST <= pace <= FASTEST:
        problems.append(
            f"the transcript has {pace:.1f} characters per second of the recording, speech about 14; write "
            "all words of the recording and no others"
        )
    return problems


def pace_of(transcript: str, seconds: float) -> float:
    """Return the spoken characters per second."""
    return len(Script.parse(transcript).words()) / seconds
