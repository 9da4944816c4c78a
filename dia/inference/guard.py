"""A guard against known failures of Dia: no end, silence, wrong pace, loops, and a clipped end.

All of them show in the waveform and the codes, without any model. A batch is checked, and the takes that
failed are generated again with the next seed. Results report what was detected in the returned take and how
many attempts there were, so that no evaluation counts a retried take as a first one.

Legend: T codec frame, C codec channel.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dia.dialogue.lint import estimated_seconds
from dia.dialogue.script import Script
from dia.inference.synthesizer import Speech
from dia.types import Waveform

KINDS = ("no_end", "silence", "too_fast", "too_slow", "loop", "clipped_end")
WINDOW = 0.02  # seconds over which a level is measured
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuardLimits:
    """Thresholds beyond which a take counts as failed."""

    fastest: float = 1.7
    """Multiple of the ordinary pace (14.5 characters per second, one second per nonverbal sound)."""
    slowest: float = 0.25
    """Multiple of the ordinary pace."""
    loudness_of_silence: float = 1e-3
    """Root mean square below which audio counts as silent."""
    longest_silence: float = 3.0
    """Seconds."""
    shortest_loop: float = 2.0
    """Seconds of repetition that count as a loop."""
    loop_rounds: int = 4
    """Number of consecutive repetitions of the same codes that count as a loop."""
    clipped_end: float = 0.5
    """Level of the last 20 ms relative to the loud level of the take (its 90th percentile)."""


@dataclass(frozen=True)
class Finding:
    """One detected failure: its kind (one of ``KINDS``) and a sentence that describes it."""

    kind: str
    message: str


@dataclass(frozen=True)
class GuardedSpeech:
    """The best take of a text, the failures detected in it, and the number of attempts."""

    speech: Speech
    findings: list[Finding]
    attempts: int


def check_speech(speech: Speech, text: str, limits: GuardLimits = GuardLimits()) -> list[Finding]:
    """Return the failures of a take of a text."""
    findings = check_waveform(speech.waveform, speech.sample_rate, text, speech.ended, limits)
    if any(finding.kind == "silence" for finding in findings):
        return findings
    return findings + _loop(speech, limits)


def check_waveform(
    waveform: Waveform,
    sample_rate: int,
    text: str,
    ended: bool,
    limits: GuardLimits = GuardLimits(),
) -> list[Finding]:
    """Return the failures that a waveform (samples,) of any system shows: all ``KINDS`` but `loop`."""
    findings = [] if ended else [Finding("no_end", "the length limit was reached before EOS")]
    levels = levels_of(waveform, sample_rate)
    if silence := _silence(levels, limits):
        return findings + silence
    return [*findings, *_pace(len(waveform) / sample_rate, text, limits), *_end(levels, limits)]


def levels_of(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    """Return the root mean square of each 20 ms of a waveform (samples,), including a shorter last window."""
    if not len(waveform):
        return np.zeros(0)
    size = max(1, round(WINDOW * sample_rate))
    squares = np.square(np.asarray(waveform, dtype=np.float64))
    starts = np.arange(0, len(squares), size)
    levels: NDArray[np.float64] = np.sqrt(np.add.reduceat(squares, starts) / np.diff([*starts, len(squares)]))
    return levels


def _silence(levels: NDArray[np.float64], limits: GuardLimits) -> list[Finding]:
    quiet = levels < limits.loudness_of_silence
    if quiet.all():
        return [Finding("silence", "the audio is silent")]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(int), [0]))))
    longest = max((edges[1::2] - edges[::2]) * WINDOW, default=0.0)
    if longest > limits.longest_silence:
        return [Finding("silence", f"{longest:.1f} s of uninterrupted silence")]
    return []


def _pace(seconds: float, text: str, limits: GuardLimits) -> list[Finding]:
    pace = estimated_seconds(Script.read(text)) / seconds
    if pace > limits.fastest:
        return [Finding("too_fast", f"{pace:.1f} times the ordinary pace: hurried, or words are missing")]
    if pace < limits.slowest:
        return [Finding("too_slow", f"{pace:.2f} times the ordinary pace: drawn out, or more than the text")]
    return []


def _loop(speech: Speech, limits: GuardLimits) -> list[Finding]:
    frames = len(speech.codes_TC)
    frame_rate = frames * speech.sample_rate / len(speech.waveform)
    # a waveform is a whole number of frames
    levels = np.sqrt(np.square(speech.waveform.astype(np.float64)).reshape(frames, -1).mean(1))
    loud_T = torch.from_numpy(levels >= limits.loudness_of_silence)
    period = loop_period(
        speech.codes_TC.cpu(), loud_T, round(limits.shortest_loop * frame_rate), limits.loop_rounds
    )
    if period is None:
        return []
    return [Finding("loop", f"the same {period / frame_rate:.2f} s are repeated")]


def loop_period(codes_TC: Tensor, loud_T: Tensor, frames: int, rounds: int) -> int | None:
    """Return the shortest period, in frames, at which loud codes repeat exactly, or None.

    The repetition must cover at least ``frames`` frames and ``rounds`` rounds. In a stretch of period p every
    frame equals the frame p before it; in a stretch of r rounds, this holds for (r - 1) p frames.
    """
    for period in range(1, len(codes_TC) // rounds + 1):
        same_T = (codes_TC[period:] == codes_TC[:-period]).all(-1) & loud_T[period:]
        if _longest_run(same_T) >= max(frames - period, (rounds - 1) * period):
            return period
    return None


def _longest_run(flags: Tensor) -> int:
    edges = torch.cat((torch.zeros(1), flags.float(), torch.zeros(1))).diff().nonzero().flatten()
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _end(levels: NDArray[np.float64], limits: GuardLimits) -> list[Finding]:
    share = levels[-1] / np.percentile(levels, 90)
    if share > limits.clipped_end:
        return [Finding("clipped_end", f"the end has {share:.0%} of the loud level")]
    return []


def synthesize_guarded(
    synthesize: Callable[[list[int], list[int]], list[Speech]],
    texts: list[str],
    seeds: list[int],
    retries: int,
    limits: GuardLimits = GuardLimits(),
) -> list[GuardedSpeech]:
    """Generate a batch, and generate failed takes again with the next seed, up to ``retries`` times.

    ``synthesize(places, seeds)`` returns takes of the texts at these places. The take with the fewest
    findings is returned, the earliest of equals. Each retry is logged as a warning.
    """
    first_takes = synthesize(list(range(len(texts))), seeds)
    best = [
        GuardedSpeech(speech, check_speech(speech, text, limits), attempts=1)
        for speech, text in zip(first_takes, texts, strict=True)
    ]
    for retry in range(1, retries + 1):
        failed = [place for place, item in enumerate(best) if item.findings]
        if not failed:
            break
        for place in failed:
            warn_of_retry(texts[place], best[place], seeds[place] + retry)
        takes = synthesize(failed, [seeds[place] + retry for place in failed])
        for place, speech in zip(failed, takes, strict=True):
            take = GuardedSpeech(speech, check_speech(speech, texts[place], limits), attempts=retry + 1)
            best[place] = better_take(best[place], take)
    return best


def warn_of_retry(text: str, item: GuardedSpeech, seed: int) -> None:
    """Log why a take is generated again, and with which seed."""
    findings = "; ".join(finding.message for finding in item.findings)
    logger.warning("%r, attempt %d: %s; trying seed %d", text[:40], item.attempts, findings, seed)


def better_take(before: GuardedSpeech, after: GuardedSpeech) -> GuardedSpeech:
    """Return the take with fewer findings, the earlier of equals, with the number of attempts so far."""
    if len(after.findings) < len(before.findings):
        return after
    return replace(before, attempts=after.attempts)
