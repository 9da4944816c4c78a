"""From a suite to what is asked: prompts, and the recordings of those that have one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset

from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.controlled_versions import arousal_versions, tag_versions
from dia.evaluation.ground_truth import ground_truth
from dia.evaluation.prompts import Prompt, suite_prompts
from dia.evaluation.suites import Suite
from dia.judges.recording import Recording


class NothingAsked(UserError):
    """A suite that has nothing to ask here; among others it is not measured, alone it is an error."""


@dataclass(frozen=True)
class Asked:
    """A prompt, and its own recording (system `ground truth`) where there is one that says just this."""

    prompt: Prompt
    reference: Recording | None = None


def ask(suite: Suite, splits: Mapping[str, Dataset] | None) -> list[Asked]:
    """Return what a suite asks; ``splits`` are those of a prepared data set, where there is one.

    Raises :class:`NothingAsked` for a split that is not there or has no clip that the suite could ask for.
    """
    if suite.file:
        return _first(suite, [Asked(prompt) for prompt in suite_prompts(suite.file)])
    if splits is None or suite.split not in splits:
        known = "no prepared data" if splits is None else f"only {', '.join(splits)}"
        raise UserError(
            f"suite {suite.name} asks for the split {suite.split!r}, and there is {known}; name data, or another suite"
        )
    rows = splits[suite.split].select_columns(["id", "script", "licence", "turns", "audio"])
    asked = [_of_row(row) for row in rows]
    if suite.versions:
        asked = _versions(suite, asked)
    if not asked:
        raise NothingAsked(
            f"suite {suite.name} finds no clip with one nonverbal in the split {suite.split!r}; name other data"
        )
    return _first(suite, asked)


def _of_row(row: dict[str, Any]) -> Asked:
    prompt = Prompt(str(row["id"]), str(row["script"]), str(row["licence"]))
    return Asked(prompt, ground_truth(row) if row["audio"]["bytes"] is not None else None)


def _versions(suite: Suite, asked: list[Asked]) -> list[Asked]:
    """The versions of what is asked; the one that changes nothing keeps its recording."""
    prompts = [item.prompt for item in asked]
    if suite.versions == "arousal":
        return [Asked(prompt) for prompt in arousal_versions(prompts)]
    tags = sorted(
        {
            sound.tag
            for prompt in prompts
            for turn in Script.parse(prompt.script).turns
            for sound in turn.nonverbals
        }
    )
    known = {item.prompt.id: item.reference for item in asked}
    return [
        Asked(prompt, _renamed(known[prompt.group], prompt.id) if prompt.version == "tag" else None)
        for prompt in tag_versions(prompts, tags)
    ]


def _renamed(recording: Recording | None, prompt_id: str) -> Recording | None:
    return replace(recording, prompt_id=prompt_id) if recording else None


def _first(suite: Suite, asked: list[Asked]) -> list[Asked]:
    """The first prompts, whole groups of versions."""
    groups = list(dict.fromkeys(item.prompt.group or item.prompt.id for item in asked))
    chosen = set(groups[: suite.prompts] if suite.prompts else groups)
    return [item for item in asked if (item.prompt.group or item.prompt.id) in chosen]


def prompts_of(asked: Iterable[Asked]) -> list[Prompt]:
    """Return the prompts alone."""
    return [item.prompt for item in asked]
