"""Controlled versions of a script: the same words with a tag, without, with another; high and low arousal.

In a data set's own test split the words do not determine the tags. Generating the same words in these
versions separates the effect of the tag from the effect of the words.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dia.dialogue import Script, Turn
from dia.evaluation.prompts import Prompt

SENTINEL = "yodels"  # no system knows it, and no data here has it
AROUSED, CALM = "activated", "calm"  # data/emotions.yaml: emotions defined by their sound alone


def tag_versions(prompts: Iterable[Prompt], tags: Sequence[str]) -> Iterator[Prompt]:
    """Yield four versions of each prompt with one tag: unchanged, without, with another tag, with a sentinel.

    The other tag is the next of ``tags``, so that each tag replaces exactly one other tag.
    """
    for prompt in prompts:
        script = Script.parse(prompt.script)
        own_tags = sorted({nonverbal.tag for turn in script.turns for nonverbal in turn.nonverbals})
        if len(own_tags) != 1 or own_tags[0] not in tags:
            continue
        (tag,) = own_tags
        other = tags[(tags.index(tag) + 1) % len(tags)]
        for version, new_tag in (("tag", tag), ("plain", ""), ("swapped", other), ("sentinel", SENTINEL)):
            text = replace_tags(script, new_tag).render()
            yield replace(
                prompt, id=f"{prompt.id}-{version}", script=text, group=prompt.id, version=version, tag=tag
            )


def arousal_versions(prompts: Iterable[Prompt]) -> Iterator[Prompt]:
    """Yield each prompt twice, without tags: with every turn activated, and with every turn calm."""
    for prompt in prompts:
        plain = replace_tags(Script.parse(prompt.script), "")
        for level, emotion in (("high", AROUSED), ("low", CALM)):
            turns = tuple(replace(turn, emotion=emotion) for turn in plain.turns)
            yield replace(
                prompt,
                id=f"{prompt.id}-{level}",
                script=Script(turns).render(),
                group=prompt.id,
                arousal=level,
            )


def replace_tags(script: Script, tag: str) -> Script:
    """Return the script with ``tag`` in place of every tag, or without tags where it is empty."""
    return Script(tuple(_replace_tags_of_turn(turn, tag) for turn in script.turns))


def _replace_tags_of_turn(turn: Turn, tag: str) -> Turn:
    nonverbals = tuple(replace(nonverbal, tag=tag) for nonverbal in turn.nonverbals) if tag else ()
    return replace(turn, nonverbals=nonverbals)
