"""A guard for the known failures of Dia: it runs on to the limit, hurries, says nothing, loops, or is cut
off.

All of these are heard at once and told by a look at waveform and codes, so a batch is checked and what failed
is spoken again with the next seed. What is found is said, with the attempt that was kept: a guard that hides
its work would make numbers lie.

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
WINDOW = 0.02  # seconds of one level
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuardLimits:
    """From where on something is a failure."""

    fastest: float = 1.7
    """Times the ordinary pace (14.5 characters a second, a second for each nonverbal)."""
    slowest: float = 0.25
    """Times the ordinary pace."""
    loudness_of_silence: float = 1e-3
    """Root mean square below which there is nothing to hear."""
    longest_silence: float = 3.0
    """Seconds."""
    shortest_loop: float = 2.0
    """Seconds that have to be repetition."""
    loop_rounds: int = 4
    """Times that the same codes have to come one after another."""
    clipped_end: float = 0.5
    """Level of the last 20 ms as a share of the speech's loud level (its 90th percentile)."""


@dataclass(frozen=True)
class Finding:
    """One failure: its kind (of ``KINDS``) and a sentence."""

    kind: str
    message: str


@dataclass(frozen=True)
class Guarded:
    """The attempt that was kept, what is still wrong with it, and how many attempts there were."""

    speech: Speech
    findings: list[Finding]
    attempts: int


def findings(speech: Speech, text: str, limits: GuardLimits = GuardLimits()) -> list[Finding]:
    """Return what failed in a speech of a script. Raises ``ValueError`` when the text is no script."""
    found = sound_findings(speech.waveform, speech.sample_rate, text, speech.ended, limits)
    return found if any(finding.kind == "silence" for finding in found) else found + _loop(speech, limits)


def sound_findings(
    waveform: Waveform,
    sample_rate: int,
    text: str,
    ended: bool,
    limits: GuardLimits = GuardLimits(),
) -> list[Finding]:
    """Return what failed as far as a waveform (samples,) tells it, whoever made it: all of ``KINDS`` but
    `loop`, which codes tell.

    Raises ``ValueError`` when the text is no script.
    """
    found = [] if ended else [Finding("no_end", "the model did not end by itself")]
    levels = levels_of(waveform, sample_rate)
    return found + (
        _silence(levels, limits) or [*_pace(len(waveform) / sample_rate, text, limits), *_end(levels, limits)]
    )


def levels_of(waveform: Waveform, sample_rate: int) -> NDArray[np.float64]:
    """Return the root mean square of each 20 ms of a waveform (samples,); a rest at the end counts as one."""
    size = max(1, round(WINDOW * sample_rate))
    whole = np.square(np.asarray(waveform, dtype=np.float64))
    starts = np.arange(0, len(whole), size)
    return (
        np.sqrt(np.add.reduceat(whole, starts) / np.diff([*starts, len(whole)]))
        if len(whole)
        else np.zeros(0)
    )


def _silence(levels: NDArray[np.float64], limits: GuardLimits) -> list[Finding]:
    quiet = levels < limits.loudness_of_silence
    if quiet.all():
        return [Finding("silence", "there is nothing to hear")]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(int), [0]))))
    longest = max((edges[1::2] - edges[::2]) * WINDOW, default=0.0)
    return (
        [Finding("silence", f"{longest:.1f} s of silence on end")] if longest > limits.longest_silence else []
    )


def _pace(seconds: float, text: str, limits: GuardLimits) -> list[Finding]:
    pace = estimated_seconds(Script.parse(text)) / seconds
    if pace > limits.fastest:
        return [Finding("too_fast", f"{pace:.1f} times the ordinary pace: hurried, or words are missing")]
    return (
        [Finding("too_slow", f"{pace:.2f} times the ordinary pace: drawn out, or more than the text")]
        if pace < limits.slowest
        else []
    )


def _loop(speech: Speech, limits: GuardLimits) -> list[Finding]:
    frames = len(speech.codes_TC)
    frame_rate = frames * speech.sample_rate / len(speech.waveform)
    levels = np.sqrt(
        np.square(speech.waveform.astype(np.float64)).reshape(frames, -1).mean(1)
    )  # a waveform is whole frames
    loud_T = torch.from_numpy(levels >= limits.loudness_of_silence)
    period = loop_period(
        speech.codes_TC.cpu(), loud_T, round(limits.shortest_loop * frame_rate), limits.loop_rounds
    )
    return (
        []
        if period is None
        else [Finding("loop", f"the same {period / frame_rate:.2f} s come again and again")]
    )


def loop_period(codes_TC: Tensor, loud_T: Tensor, frames: int, rounds: int) -> int | None:
    """Return the shortest period, in frames, at which loud codes repeat exactly over ``frames`` or more and
    ``rounds`` rounds.

    In a stretch of period p every frame equals the one p before it; in one of r rounds, that holds for (r -
    1) p frames.
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
    return (
        [Finding("clipped_end", f"it ends at {share:.0%} of its loud level")]
        if share > limits.clipped_end
        else []
    )


def speak_guarded(
    speak: Callable[[list[int], list[int]], list[Speech]],
    texts: list[str],
    seeds: list[int],
    retries: int,
    limits: GuardLimits = GuardLimits(),
) -> list[Guarded]:
    """Speak a batch; speak what failed again, with the next seed, up to ``retries`` times.

    ``speak(places, seeds)`` speaks the texts of these places. The attempt with the fewest findings is kept,
    the earliest of equals. Each retry is logged as a warning.
    """
    spoken = speak(list(range(len(texts))), seeds)
    kept = [
        Guarded(speech, findings(speech, text, limits), 1) for speech, text in zip(spoken, texts, strict=True)
    ]
    for retry in range(1, retries + 1):
        failed = [place for place, item in enumerate(kept) if item.findings]
        if not failed:
            break
        for place in failed:
            _warn(texts[place], kept[place], seeds[place] + retry)
        again = speak(failed, [seeds[place] + retry for place in failed])
        for place, speech in zip(failed, again, strict=True):
            kept[place] = _better(
                kept[place], Guarded(speech, findings(speech, texts[place], limits), retry + 1)
            )
    return kept


def _warn(text: str, item: Guarded, seed: int) -> None:
    said = "; ".join(finding.message for finding in item.findings)
    log.warning("%r, attempt %d: %s; trying seed %d", text[:40], item.attempts, said, seed)


def _better(before: Guarded, after: Guarded) -> Guarded:
    return after if len(after.findings) < len(before.findings) else replace(before, attempts=after.attempts)
