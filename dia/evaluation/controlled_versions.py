"""Versions of a script: what makes a test a controlled one. The same words with a sound, without, with
another; high and low.

A data set's own test split has scripts whose sounds nobody can tell from their words; asked again in these
versions, what the tag does and what the words do come apart (section "nonverbal adherence" of the README).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dia.dialogue import Script, Turn
from dia.evaluation.prompts import Prompt

SENTINEL = "yodels"  # no system knows it, and no data here has it
AROUSED, CALM = "activated", "calm"  # data/emotions.yaml: claims about sound alone


def tag_versions(prompts: Iterable[Prompt], tags: Sequence[str]) -> Iterator[Prompt]:
    """Yield each prompt that asks for one sound in four versions: as it is, without, with another of
    ``tags``, with a sentinel.

    The other sound is the next of ``tags``, so that each tag takes the place of one other tag.
    """
    for prompt in prompts:
        script = Script.parse(prompt.script)
        found = sorted({sound.tag for turn in script.turns for sound in turn.nonverbals})
        if len(found) != 1 or found[0] not in tags:
            continue
        (tag,) = found
        other = tags[(tags.index(tag) + 1) % len(tags)]
        for version, sound in (("tag", tag), ("plain", ""), ("swapped", other), ("sentinel", SENTINEL)):
            text = with_sound(script, sound).render()
            yield replace(
                prompt, id=f"{prompt.id}-{version}", script=text, group=prompt.id, version=version, tag=tag
            )


def arousal_versions(prompts: Iterable[Prompt]) -> Iterator[Prompt]:
    """Yield each prompt twice, without sounds: every turn activated, and every turn calm."""
    for prompt in prompts:
        silent = with_sound(Script.parse(prompt.script), "")
        for level, emotion in (("high", AROUSED), ("low", CALM)):
            turns = tuple(replace(turn, emotion=emotion) for turn in silent.turns)
            yield replace(
                prompt,
                id=f"{prompt.id}-{level}",
                script=Script(turns).render(),
                group=prompt.id,
                arousal=level,
            )


def with_sound(script: Script, tag: str) -> Script:
    """Return the script with ``tag`` in the place of every sound, or with none where it is empty."""
    return Script(tuple(_turn_with(turn, tag) for turn in script.turns))


def _turn_with(turn: Turn, tag: str) -> Turn:
    sounds = tuple(replace(sound, tag=tag) for sound in turn.nonverbals) if tag else ()
    return replace(turn, nonverbals=sounds)
