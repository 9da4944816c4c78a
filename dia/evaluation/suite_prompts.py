"""The first step of an evaluation: the prompts of a suite, with the recordings of those that have one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.controlled_versions import arousal_versions, tag_versions
from dia.evaluation.ground_truth import ground_truth, language_of
from dia.evaluation.prompt_clips import prompt_clips
from dia.evaluation.prompts import Prompt, suite_prompts
from dia.evaluation.suites import Suite
from dia.evaluation.voice_prompts import read_voice_prompts
from dia.judges.recording import Recording
from dia.resources import resource


class NoPrompts(UserError):
    """A suite without prompts for this data: an error on its own, not measured among other suites."""


@dataclass(frozen=True)
class PromptItem:
    """A prompt, its own recording (system `ground truth`) where there is one with the same script, and the
    recording of its voice prompt where it has one.
    """

    prompt: Prompt
    reference: Recording | None = None
    voice: Recording | None = None


def load_prompt_items(suite: Suite, splits: Mapping[str, Dataset] | None) -> list[PromptItem]:
    """Return the prompts of a suite; ``splits`` are those of a prepared data set, where there is one.

    Raises :class:`UserError` for a missing split, :class:`NoPrompts` where no clip of it suits the suite.
    """
    if suite.file:
        items = _limit(suite, [PromptItem(prompt) for prompt in suite_prompts(suite.file)])
        return _with_voices(items, suite.file)
    if splits is None or suite.split not in splits:
        known = "there is no prepared data" if splits is None else f"the data has only {', '.join(splits)}"
        raise UserError(
            f"suite {suite.name} needs the split {suite.split!r}, but {known}; give data=... or another suite"
        )
    rows = splits[suite.split].select_columns(["id", "source", "script", "licence", "turns", "audio"])
    items = [_item_of_row(row) for row in rows]
    if suite.voice_prompts:
        items = _with_prompt_clips(suite, items, splits[suite.split])
    if suite.versions:
        items = _versions(suite, items)
    if not items:
        raise NoPrompts(
            f"suite {suite.name} needs clips with one nonverbal, but the split {suite.split!r} has none; "
            "give other data"
        )
    return _limit(suite, items)


def _with_voices(items: list[PromptItem], file: str) -> list[PromptItem]:
    """Return prompts with their voice prompts. Raises :class:`UserError` with all unusable files."""
    folder = Path(file).parent if file.endswith(".jsonl") else resource("eval/prompts")
    voices = read_voice_prompts([item.prompt for item in items], folder, file)
    return [replace(item, voice=voices.get(item.prompt.id)) for item in items]


def _with_prompt_clips(suite: Suite, items: list[PromptItem], rows: Dataset) -> list[PromptItem]:
    """Return the items of rows with another clip of their voices as voice prompt, those that have one.

    Raises :class:`NoPrompts` when no clip has one.
    """
    labels = list(rows.select_columns(["turns", "nonverbals"]))
    prompted = []
    for place, other in prompt_clips(labels).items():
        if (recording := items[other].reference) is not None:
            names = tuple(turn["voice"] for turn in labels[other]["turns"])
            voice = replace(recording, system="voice prompt", voice_names=names)
            prompted.append(replace(items[place], voice=voice))
    if not prompted:
        raise NoPrompts(
            f"suite {suite.name} needs recordings of the same voices, but the split {suite.split!r} has none "
            "that state them; give other data"
        )
    return prompted


def _item_of_row(row: dict[str, Any]) -> PromptItem:
    language = language_of(str(row["source"]))
    prompt = Prompt(str(row["id"]), str(row["script"]), str(row["licence"]), language=language)
    return PromptItem(prompt, ground_truth(row) if row["audio"]["bytes"] is not None else None)


def _versions(suite: Suite, items: list[PromptItem]) -> list[PromptItem]:
    """Return the versions of prompts; the unchanged version has the recording."""
    prompts = [item.prompt for item in items]
    voices = {item.prompt.id: item.voice for item in items}
    if suite.versions == "arousal":
        return [PromptItem(prompt, voice=voices[prompt.group]) for prompt in arousal_versions(prompts)]
    tags = sorted(
        {
            nonverbal.tag
            for prompt in prompts
            for turn in Script.parse(prompt.script).turns
            for nonverbal in turn.nonverbals
        }
    )
    references = {item.prompt.id: item.reference for item in items}
    return [
        PromptItem(
            prompt,
            _rename(references[prompt.group], prompt.id) if prompt.version == "tag" else None,
            voices[prompt.group],
        )
        for prompt in tag_versions(prompts, tags)
    ]


def _rename(recording: Recording | None, prompt_id: str) -> Recording | None:
    return replace(recording, prompt_id=prompt_id) if recording else None


def _limit(suite: Suite, items: list[PromptItem]) -> list[PromptItem]:
    """Return the first prompts of the suite; the versions of one text count as one and stay together."""
    groups = list(dict.fromkeys(item.prompt.group or item.prompt.id for item in items))
    chosen = set(groups[: suite.prompts] if suite.prompts else groups)
    return [item for item in items if (item.prompt.group or item.prompt.id) in chosen]
