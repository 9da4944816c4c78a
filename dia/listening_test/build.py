"""Build the page of a listening test and its key.

The test is blind: clips, trials and the test itself have random names, clips are ordered by these names, and
only the key maps them to systems. The page opens no network connection, and its content security policy
forbids any.
"""

import hashlib
import random
from dataclasses import dataclass
from typing import Any

from dia.audio.files import flac_bytes
from dia.config.choices import AudioPlacement
from dia.config.listening_test import ListenConfig
from dia.dialogue import Script
from dia.errors import UserError
from dia.html import data_block, flac_url, render_page
from dia.listening_test.clip_audio import SAMPLE_RATE
from dia.listening_test.clip_set import DEGRADED, ClipSet, prepare_clips
from dia.listening_test.design import Form, Trial, build_forms, pairwise_trials, split_into_blocks
from dia.listening_test.key import RandomNames, build_key
from dia.listening_test.read_runs import RecordedRun


@dataclass(frozen=True)
class ListeningTest:
    """A listening test: the page, its key, FLAC files by name, and the reasons of excluded clips."""

    html: str
    key: dict[str, Any]
    clips: dict[str, bytes]
    excluded: list[str]


def build_test(runs: list[RecordedRun], config: ListenConfig, reference: str = "") -> ListeningTest:
    """Return the test of these runs; ``reference`` names the one with real recordings.

    Raises ``UserError`` when no prompt has two usable clips.
    """
    rng = random.SystemRandom()
    clip_set = prepare_clips(runs, config, rng)
    forms = _design_forms(clip_set, config, rng)
    places = [(prompt, name) for prompt, waveforms in clip_set.waveforms.items() for name in waveforms]
    names = RandomNames.draw(places, forms)
    clips = {
        names.clips[prompt, system]: flac_bytes(clip_set.waveforms[prompt][system], SAMPLE_RATE)
        for prompt, system in places
    }
    scripts = {prompt: clip.script for run in runs for prompt, clip in run.clips.items()}
    data = {"test": names.test, "question": config.question, "forms": _page_forms(forms, names, scripts)}
    html = _render(data, clips, config)
    key = build_key(names, forms, runs, reference) | {
        "question": config.question,
        "page_sha256": hashlib.sha256(html.encode()).hexdigest(),
    }
    return ListeningTest(html, key, clips, clip_set.excluded)


def _design_forms(clip_set: ClipSet, config: ListenConfig, rng: random.Random) -> list[Form]:
    systems = {
        prompt: [name for name in waveforms if name != DEGRADED]
        for prompt, waveforms in clip_set.waveforms.items()
    }
    trials = pairwise_trials(systems, rng)
    if not trials:
        reasons = "\n".join(f"  - {reason}" for reason in clip_set.excluded)
        raise UserError(f"no prompt has two clips to compare:\n{reasons}")
    checks = [Trial(prompt, system, DEGRADED, check=True) for prompt, system in clip_set.checked]
    return build_forms(split_into_blocks(trials, config.trials), checks, rng)


def _page_forms(forms: list[Form], names: RandomNames, scripts: dict[str, str]) -> list[list[dict[str, Any]]]:
    """Return the forms for the page: trials with two random clip names and the lines of the script."""
    return [[_page_trial(trial, swapped, names, scripts) for trial, swapped in form] for form in forms]


def _page_trial(trial: Trial, swapped: bool, names: RandomNames, scripts: dict[str, str]) -> dict[str, Any]:
    left, right = reversed(names.clips_of(trial)) if swapped else names.clips_of(trial)
    return {
        "id": names.trials[trial],
        "left": left,
        "right": right,
        "script": _script_lines(scripts[trial.prompt_id]),
    }


def _script_lines(script: str) -> list[str]:
    """Return a script for readers, one line for each turn; a text without speakers stays one line."""
    try:
        turns = Script.parse(script).turns
    except ValueError:
        return [script]
    return [f"Speaker {turn.speaker}: {turn.render().partition(']')[2].strip()}" for turn in turns]


def _render(data: dict[str, Any], clips: dict[str, bytes], config: ListenConfig) -> str:
    """Return the page with the data of the test inside."""
    addresses = {name: _clip_address(name, clips[name], config) for name in sorted(clips)}
    return render_page(
        "listening_test.html.j2",
        styles=("listening_test.css",),
        scripts=("listening_test.js",),
        media="'self' data: file:",
        title="Listening test",
        test=data_block(data | {"clips": addresses}),
    )


def _clip_address(name: str, flac: bytes, config: ListenConfig) -> str:
    if config.audio is AudioPlacement.beside:
        return f"{config.audio_folder.name}/{name}.flac"
    return flac_url(flac)
