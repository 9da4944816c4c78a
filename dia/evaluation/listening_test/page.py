"""The page of a listening test and its key.

Blind: sounds, trials and the test itself have random names from the operating system, sounds stand in the order of these
names, and what a name stands for is in the key alone. The page opens no connection, and its policy forbids it to.
"""

import base64
import hashlib
import json
import random
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import Wave, flac_bytes
from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.listening_test.design import Form, Trial, blocks, comparisons, forms
from dia.evaluation.listening_test.recorded import Clip, System
from dia.evaluation.listening_test.settings import ListenConfig
from dia.evaluation.listening_test.sound import SAMPLE_RATE, NotComparable, match, prepare_clip, spoil

KEY_FORMAT = "dia-listening-key/1"
SPOILT = "\0spoilt"  # stands for a system in trials that check attention
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A listening test: the page, what its names stand for, FLAC by name, and what could not be put into it."""

    html: str
    key: dict[str, Any]
    sounds: dict[str, bytes]
    left_out: list[str]


@dataclass(frozen=True)
class _Material:
    """Prompts in order; by prompt and system the sounds that are heard, with those that checks need."""

    waves: dict[str, dict[str, Wave]]
    checked: list[tuple[str, str]]
    left_out: list[str]


def make_page(systems: list[System], config: ListenConfig, reference: str = "") -> Page:
    """Return the test of these systems; ``reference`` names the one that is real. Raises ``UserError`` without any pair."""
    source = random.SystemRandom()
    material = _material(systems, config, source)
    heard = {prompt: [name for name in waves if name != SPOILT] for prompt, waves in material.waves.items()}
    made = comparisons(heard, source)
    if not made:
        raise UserError("no prompt has two sounds to compare:\n" + "\n".join(f"  - {line}" for line in material.left_out))
    checks = [Trial(prompt, system, SPOILT, check=True) for prompt, system in material.checked]
    laid = forms(blocks(made, config.trials), checks, source)
    names = _opaque([(prompt, system) for prompt, waves in material.waves.items() for system in waves])
    trials = _opaque([*made, *checks])
    sounds = {
        names[prompt, system]: flac_bytes(wave, SAMPLE_RATE)
        for prompt, waves in material.waves.items()
        for system, wave in waves.items()
    }
    test = secrets.token_hex(4)
    scripts = {prompt: clip.script for system in systems for prompt, clip in system.clips.items()}
    html = _html(test, config, _laid_out(laid, trials, names, scripts), sounds)
    return Page(html, _key(test, systems, reference, config, names, trials, laid, html), sounds, material.left_out)


def _material(systems: list[System], config: ListenConfig, source: random.Random) -> _Material:
    """Read, trim and match the sounds of the prompts that every system was asked for."""
    common = [prompt for prompt in systems[0].clips if all(prompt in system.clips for system in systems)]
    missing = {prompt for system in systems for prompt in system.clips} - set(common)
    left_out = [f"{prompt}: not every system was asked for it" for prompt in sorted(missing)]
    prompts = common[: config.prompts or None]
    raw: dict[str, dict[str, Wave]] = {}
    for prompt in prompts:
        raw[prompt] = {}
        for system in systems:
            wave = _sound(system, system.clips[prompt], left_out)
            raw[prompt] |= {} if wave is None else {system.name: wave}
    candidates = [(prompt, name) for prompt, waves in raw.items() if len(waves) > 1 for name in waves]
    checked = source.sample(_one_a_prompt(candidates, source), min(config.checks, len({prompt for prompt, _ in candidates})))
    for prompt, name in checked:
        raw[prompt][SPOILT] = spoil(raw[prompt][name], np.random.default_rng(source.getrandbits(64)))
    return _Material({prompt: match(waves) for prompt, waves in raw.items() if len(waves) > 1}, checked, left_out)


def _one_a_prompt(candidates: list[tuple[str, str]], source: random.Random) -> list[tuple[str, str]]:
    """Return one clip of each prompt, of a system drawn by chance."""
    return list(dict(source.sample(candidates, len(candidates))).items())


def _sound(system: System, clip: Clip, left_out: list[str]) -> Wave | None:
    if clip.failure or clip.path is None:
        left_out.append(f"{clip.prompt_id} of {system.name}: {clip.failure}")
        return None
    try:
        return prepare_clip(clip.path)
    except NotComparable as reason:
        left_out.append(f"{clip.prompt_id} of {system.name}: {reason}")
        return None


def _opaque(things: list[Any]) -> dict[Any, str]:
    return {thing: secrets.token_hex(8) for thing in things}


def _laid_out(
    laid: list[Form], trials: dict[Any, str], names: dict[Any, str], scripts: dict[str, str]
) -> list[list[dict[str, Any]]]:
    """Return the forms as the page reads them: trials with two opaque sounds and the lines of the script."""
    return [
        [
            {"id": trials[trial], "left": left, "right": right, "script": _lines(scripts[trial.prompt_id])}
            for trial, swapped in form
            for left, right in [_sides(trial, swapped, names)]
        ]
        for form in laid
    ]


def _sides(trial: Trial, swapped: bool, names: dict[Any, str]) -> tuple[str, str]:
    first, second = names[trial.prompt_id, trial.first], names[trial.prompt_id, trial.second]
    return (second, first) if swapped else (first, second)


def _lines(script: str) -> list[str]:
    """Return a script as a reader sees it, a line a turn; a text without speakers stays one line."""
    try:
        turns = Script.parse(script).turns
    except ValueError:
        return [script]
    return [f"Speaker {turn.speaker}: {turn.render().partition(']')[2].strip()}" for turn in turns]


def _html(test: str, config: ListenConfig, laid: list[list[dict[str, Any]]], sounds: dict[str, bytes]) -> str:
    places = {name: _address(name, sounds[name], config) for name in sorted(sounds)}
    content = {"test": test, "question": config.question, "forms": laid, "sounds": places}
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; script-src {_source_hash(script)}; style-src {_source_hash(style)}; "
        "media-src 'self' data: file:; base-uri 'none'; form-action 'none'"
    )
    html = (HERE / "page.html").read_text(encoding="utf-8")
    data = json.dumps(content).replace("<", "\\u003c")  # a script may not end the element that it stands in
    for mark, text in (("@POLICY@", policy), ("@STYLE@", style), ("@SCRIPT@", script), ("@TEST@", data)):
        html = html.replace(mark, text)
    return html


def _address(name: str, flac: bytes, config: ListenConfig) -> str:
    if config.sounds == "beside":
        return f"{config.sound_folder.name}/{name}.flac"
    return f"data:audio/flac;base64,{base64.b64encode(flac).decode()}"


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _key(
    test: str, systems: list[System], reference: str, config: ListenConfig, names: dict[Any, str], trials: dict[Any, str],
    laid: list[Form], html: str,
) -> dict[str, Any]:  # fmt: skip
    """Return what the names stand for. The check's spoilt clip has no system."""
    recorded = {system.name: system for system in systems}
    return {
        "format": KEY_FORMAT,
        "test": test,
        "question": config.question,
        "page_sha256": hashlib.sha256(html.encode()).hexdigest(),
        "forms": [[trials[trial] for trial, _ in form] for form in laid],
        "systems": {
            system.name: {
                "folder": str(system.folder),
                "outputs_sha256": system.outputs_sha256,
                "reference": system.name == reference,
                "failures": sum(bool(clip.failure) for clip in system.clips.values()),
            }
            for system in systems
        },
        "sounds": {
            name: {"prompt_id": prompt, "system": None, "spoilt": True} if system == SPOILT else _origin(recorded[system], prompt)
            for (prompt, system), name in names.items()
        },
        "trials": {
            name: {
                "prompt_id": trial.prompt_id,
                "sounds": list(_sides(trial, False, names)),
                "better": names[trial.prompt_id, trial.first] if trial.check else None,
            }
            for trial, name in trials.items()
        },
    }


def _origin(system: System, prompt: str) -> dict[str, Any]:
    clip = system.clips[prompt]
    return {"prompt_id": prompt, "system": system.name, "take": clip.take, "wav_sha256": clip.sha256}
