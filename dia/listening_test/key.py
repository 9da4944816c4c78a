"""The key of a listening test: the systems, prompts and trials behind the random names on its page."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dia.listening_test.design import Form, Trial
from dia.listening_test.read_runs import RecordedRun

KEY_FORMAT = "dia-listening-key/2"
KEY_FORMAT_1 = "dia-listening-key/1"  # named clips `sounds`, degraded ones `spoilt`, expected ones `better`


@dataclass(frozen=True)
class RandomNames:
    """Random names of the test, of clips (by prompt and system), and of trials."""

    test: str
    clips: dict[tuple[str, str], str]
    trials: dict[Trial, str]

    @classmethod
    def draw(cls, clips: Sequence[tuple[str, str]], forms: list[Form]) -> "RandomNames":
        """Draw all names from the operating system's random source."""
        trials = dict.fromkeys(trial for form in forms for trial, _ in form)
        return cls(
            secrets.token_hex(4),
            {clip: secrets.token_hex(8) for clip in clips},
            {trial: secrets.token_hex(8) for trial in trials},
        )

    def clips_of(self, trial: Trial) -> list[str]:
        """Return the names of a trial's two clips."""
        return [self.clips[trial.prompt_id, trial.first], self.clips[trial.prompt_id, trial.second]]


def build_key(
    names: RandomNames, forms: list[Form], runs: list[RecordedRun], reference: str
) -> dict[str, Any]:
    """Return the key as plain values.

    The degraded clip of a check has no system, and the check's ``expected`` names the original clip.
    """
    by_name = {run.name: run for run in runs}
    return {
        "format": KEY_FORMAT,
        "test": names.test,
        "systems": {name: _describe_run(run, name == reference) for name, run in by_name.items()},
        "clips": {
            name: _describe_clip(prompt, by_name.get(system))
            for (prompt, system), name in names.clips.items()
        },
        "trials": {
            name: {
                "prompt_id": trial.prompt_id,
                "clips": names.clips_of(trial),
                "expected": names.clips_of(trial)[0] if trial.check else None,
            }
            for trial, name in names.trials.items()
        },
        "forms": [[names.trials[trial] for trial, _ in form] for form in forms],
    }


def upgrade_key(key: dict[str, Any]) -> dict[str, Any]:
    """Return a key of format 1 in the current format; other content is returned unchanged.

    Raises ``KeyError``, ``TypeError`` or ``AttributeError`` for a damaged key.
    """
    if key.get("format") != KEY_FORMAT_1:
        return key
    renamed = {"sounds": "clips", "spoilt": "degraded", "better": "expected"}

    def rename(content: dict[str, Any]) -> dict[str, Any]:
        return {renamed.get(name, name): value for name, value in content.items()}

    upgraded = rename(key) | {"format": KEY_FORMAT}
    for part in ("clips", "trials"):
        upgraded[part] = {name: rename(content) for name, content in upgraded[part].items()}
    return upgraded


def _describe_run(run: RecordedRun, is_reference: bool) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "outputs_sha256": run.outputs_sha256,
        "reference": is_reference,
        "failures": sum(bool(clip.failure) for clip in run.clips.values()),
    }


def _describe_clip(prompt: str, run: RecordedRun | None) -> dict[str, Any]:
    if run is None:
        return {"prompt_id": prompt, "system": None, "degraded": True}
    clip = run.clips[prompt]
    return {"prompt_id": prompt, "system": run.name, "take": clip.take, "wav_sha256": clip.sha256}
