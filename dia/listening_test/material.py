"""What is heard: the sounds of every prompt that all systems were asked for, made comparable, and the spoilt
ones of checks.
"""

import random
from dataclasses import dataclass

import numpy as np

from dia.config.listening_test import ListenConfig
from dia.listening_test.recorded import Clip, System
from dia.listening_test.sound import NotComparable, match, prepare_clip, spoil
from dia.types import Waveform

SPOILT = "\0spoilt"  # stands for a system in trials that check attention


@dataclass(frozen=True)
class Material:
    """Waves by prompt, in order, and system, spoilt ones too; prompt and system of each check; why others are
    not heard.
    """

    waveforms: dict[str, dict[str, Waveform]]
    checked: list[tuple[str, str]]
    left_out: list[str]


def material_of(systems: list[System], config: ListenConfig, source: random.Random) -> Material:
    """Read, trim and match the sounds of the prompts that every system was asked for."""
    common = [prompt for prompt in systems[0].clips if all(prompt in system.clips for system in systems)]
    missing = {prompt for system in systems for prompt in system.clips} - set(common)
    left_out = [f"{prompt}: not every system was asked for it" for prompt in sorted(missing)]
    prompts = common[: config.prompts or None]
    raw: dict[str, dict[str, Waveform]] = {}
    for prompt in prompts:
        raw[prompt] = {}
        for system in systems:
            waveform = _sound(system, system.clips[prompt], left_out)
            raw[prompt] |= {} if waveform is None else {system.name: waveform}
    candidates = [
        (prompt, name) for prompt, waveforms in raw.items() if len(waveforms) > 1 for name in waveforms
    ]
    checked = source.sample(
        _one_a_prompt(candidates, source), min(config.checks, len({prompt for prompt, _ in candidates}))
    )
    for prompt, name in checked:
        raw[prompt][SPOILT] = spoil(raw[prompt][name], np.random.default_rng(source.getrandbits(64)))
    return Material(
        {prompt: match(waveforms) for prompt, waveforms in raw.items() if len(waveforms) > 1},
        checked,
        left_out,
    )


def _one_a_prompt(candidates: list[tuple[str, str]], source: random.Random) -> list[tuple[str, str]]:
    """Return one clip of each prompt, of a system drawn by chance."""
    return list(dict(source.sample(candidates, len(candidates))).items())


def _sound(system: System, clip: Clip, left_out: list[str]) -> Waveform | None:
    if clip.failure or clip.path is None:
        left_out.append(f"{clip.prompt_id} of {system.name}: {clip.failure}")
        return None
    try:
        return prepare_clip(clip.path)
    except NotComparable as reason:
        left_out.append(f"{clip.prompt_id} of {system.name}: {reason}")
        return None
