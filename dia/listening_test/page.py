"""The page of a listening test.

Blind: sounds, trials and the test itself have random names from the operating system, sounds stand in the
order of these names, and what a name stands for is in the key alone. The page opens no connection, and its
policy forbids it to.
"""

import base64
import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dia.audio.files import flac_bytes
from dia.config.choices import AudioPlacement
from dia.config.listening_test import ListenConfig
from dia.dialogue import Script
from dia.errors import UserError
from dia.listening_test.design import Form, Trial, blocks, comparisons, forms
from dia.listening_test.key import Names, key_of
from dia.listening_test.material import SPOILT, Material, material_of
from dia.listening_test.recorded import System
from dia.listening_test.sound import SAMPLE_RATE

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A listening test: the page, what its names stand for, FLAC by name, and what could not be put into
    it.
    """

    html: str
    key: dict[str, Any]
    sounds: dict[str, bytes]
    left_out: list[str]


def make_page(systems: list[System], config: ListenConfig, reference: str = "") -> Page:
    """Return the test of these systems; ``reference`` names the one that is real. Raises ``UserError``
    without any pair.
    """
    source = random.SystemRandom()
    material = material_of(systems, config, source)
    laid = _laid_forms(material, config, source)
    names = Names.drawn(
        [(prompt, name) for prompt, waveforms in material.waveforms.items() for name in waveforms], laid
    )
    sounds = {
        names.sounds[prompt, system]: flac_bytes(waveform, SAMPLE_RATE)
        for prompt, waveforms in material.waveforms.items()
        for system, waveform in waveforms.items()
    }
    scripts = {prompt: clip.script for system in systems for prompt, clip in system.clips.items()}
    html = _html(
        {"test": names.test, "question": config.question, "forms": _as_read(laid, names, scripts)},
        sounds,
        config,
    )
    key = key_of(names, laid, systems, reference) | {
        "question": config.question,
        "page_sha256": hashlib.sha256(html.encode()).hexdigest(),
    }
    return Page(html, key, sounds, material.left_out)


def _laid_forms(material: Material, config: ListenConfig, source: random.Random) -> list[Form]:
    """Return who hears what in which order."""
    heard = {
        prompt: [name for name in waveforms if name != SPOILT]
        for prompt, waveforms in material.waveforms.items()
    }
    made = comparisons(heard, source)
    if not made:
        raise UserError(
            "no prompt has two sounds to compare:\n" + "\n".join(f"  - {line}" for line in material.left_out)
        )
    checks = [Trial(prompt, system, SPOILT, check=True) for prompt, system in material.checked]
    return forms(blocks(made, config.trials), checks, source)


def _as_read(laid: list[Form], names: Names, scripts: dict[str, str]) -> list[list[dict[str, Any]]]:
    """Return the forms as the page reads them: trials with two opaque sounds and the lines of the script."""
    return [
        [
            {
                "id": names.trials[trial],
                "left": left,
                "right": right,
                "script": _lines(scripts[trial.prompt_id]),
            }
            for trial, swapped in form
            for left, right in [names.of(trial)[:: -1 if swapped else 1]]
        ]
        for form in laid
    ]


def _lines(script: str) -> list[str]:
    """Return a script as a reader sees it, a line a turn; a text without speakers stays one line."""
    try:
        turns = Script.parse(script).turns
    except ValueError:
        return [script]
    return [f"Speaker {turn.speaker}: {turn.render().partition(']')[2].strip()}" for turn in turns]


def _html(content: dict[str, Any], sounds: dict[str, bytes], config: ListenConfig) -> str:
    """Return the page with its style, its script and its data inside, and a policy that lets nothing else
    in.
    """
    places = {name: _address(name, sounds[name], config) for name in sorted(sounds)}
    data = json.dumps(content | {"sounds": places}).replace(
        "<", "\\u003c"
    )  # data may not end the element that it stands in
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; script-src {_source_hash(script)}; style-src {_source_hash(style)}; "
        "media-src 'self' data: file:; base-uri 'none'; form-action 'none'"
    )
    html = (HERE / "page.html").read_text(encoding="utf-8")
    for mark, text in (("@POLICY@", policy), ("@STYLE@", style), ("@SCRIPT@", script), ("@TEST@", data)):
        html = html.replace(mark, text)
    return html


def _address(name: str, flac: bytes, config: ListenConfig) -> str:
    if config.audio is AudioPlacement.beside:
        return f"{config.audio_folder.name}/{name}.flac"
    return f"data:audio/flac;base64,{base64.b64encode(flac).decode()}"


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
