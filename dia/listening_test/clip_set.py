"""Select the clips of a listening test: the usable clips of common prompts, and degraded ones for checks."""

import random
from dataclasses import dataclass

import numpy as np

from dia.config.listening_test import ListenConfig
from dia.listening_test.clip_audio import UnusableClip, degrade, match_loudness, prepare_clip
from dia.listening_test.read_runs import RecordedClip, RecordedRun
from dia.types import Waveform

DEGRADED = "\0degraded"  # in place of a system's name in trials that check attention


@dataclass(frozen=True)
class ClipSet:
    """Waveforms by prompt and system, (prompt, system) of each attention check, and reasons of exclusions."""

    waveforms: dict[str, dict[str, Waveform]]
    checked: list[tuple[str, str]]
    excluded: list[str]


def prepare_clips(runs: list[RecordedRun], config: ListenConfig, rng: random.Random) -> ClipSet:
    """Read, trim and match the clips of the prompts that all runs have in common."""
    common = [prompt for prompt in runs[0].clips if all(prompt in run.clips for run in runs)]
    missing = {prompt for run in runs for prompt in run.clips} - set(common)
    excluded = [f"{prompt}: not every system recorded it" for prompt in sorted(missing)]
    usable: dict[str, dict[str, Waveform]] = {}
    for prompt in common[: config.prompts or None]:
        read = {run.name: _read_waveform(run, run.clips[prompt], excluded) for run in runs}
        waveforms = {name: waveform for name, waveform in read.items() if waveform is not None}
        if len(waveforms) > 1:
            usable[prompt] = waveforms
    checked = _choose_checks(usable, config.checks, rng)
    for prompt, name in checked:
        noise = np.random.default_rng(rng.getrandbits(64))
        usable[prompt][DEGRADED] = degrade(usable[prompt][name], noise)
    matched = {prompt: match_loudness(waveforms) for prompt, waveforms in usable.items()}
    return ClipSet(matched, checked, excluded)


def _choose_checks(
    usable: dict[str, dict[str, Waveform]], count: int, rng: random.Random
) -> list[tuple[str, str]]:
    """Return ``count`` random prompts (all if there are fewer), each with a random system."""
    candidates = [(prompt, name) for prompt, waveforms in usable.items() for name in waveforms]
    one_per_prompt = list(dict(rng.sample(candidates, len(candidates))).items())
    return rng.sample(one_per_prompt, min(count, len(one_per_prompt)))


def _read_waveform(run: RecordedRun, clip: RecordedClip, excluded: list[str]) -> Waveform | None:
    if clip.failure or clip.path is None:
        excluded.append(f"{clip.prompt_id} of {run.name}: {clip.failure}")
        return None
    try:
        return prepare_clip(clip.path)
    except UnusableClip as reason:
        excluded.append(f"{clip.prompt_id} of {run.name}: {reason}")
        return None
