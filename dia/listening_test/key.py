"""The key of a listening test: what the random names on its page stand for."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dia.listening_test.design import Form, Trial
from dia.listening_test.recorded import System

KEY_FORMAT = "dia-listening-key/1"


@dataclass(frozen=True)
class Names:
    """Random names: of the test, of sounds by prompt and system, and of trials."""

    test: str
    sounds: dict[tuple[str, str], str]
    trials: dict[Trial, str]

    @classmethod
    def drawn(cls, sounds: Sequence[tuple[str, str]], laid: list[Form]) -> "Names":
        """Draw a name from the operating system for everything."""
        trials = dict.fromkeys(trial for form in laid for trial, _ in form)
        return cls(
            secrets.token_hex(4),
            {one: secrets.token_hex(8) for one in sounds},
            {one: secrets.token_hex(8) for one in trials},
        )

    def of(self, trial: Trial) -> list[str]:
        """Return the names of a trial's two sounds."""
        return [self.sounds[trial.prompt_id, trial.first], self.sounds[trial.prompt_id, trial.second]]


def key_of(names: Names, laid: list[Form], systems: list[System], reference: str) -> dict[str, Any]:
    """Return the key as plain values. The spoilt sound of a check has no system, and ``better`` names its
    rival.
    """
    recorded = {system.name: system for system in systems}
    return {
        "format": KEY_FORMAT,
        "test": names.test,
        "systems": {name: _system(system, name == reference) for name, system in recorded.items()},
        "sounds": {
            name: _sound(prompt, recorded.get(system)) for (prompt, system), name in names.sounds.items()
        },
        "trials": {
            name: {
                "prompt_id": trial.prompt_id,
                "sounds": names.of(trial),
                "better": names.of(trial)[0] if trial.check else None,
            }
            for trial, name in names.trials.items()
        },
        "forms": [[names.trials[trial] for trial, _ in form] for form in laid],
    }


def _system(system: System, reference: bool) -> dict[str, Any]:
    failures = sum(bool(clip.failure) for clip in system.clips.values())
    return {
        "folder": str(system.folder), "outputs_sha256": system.outputs_sha256, "reference": reference, "failures": failures
    }  # fmt: skip


def _sound(prompt: str, system: System | None) -> dict[str, Any]:
    if system is None:
        return {"prompt_id": prompt, "system": None, "spoilt": True}
    clip = system.clips[prompt]
    return {"prompt_id": prompt, "system": system.name, "take": clip.take, "wav_sha256": clip.sha256}
