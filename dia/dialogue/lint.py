"""A linter for scripts: reports what makes Dia speak badly, with a remedy for each problem."""

from dataclasses import dataclass
from itertools import pairwise

from dia.dialogue.script import Script
from dia.dialogue.tags import canonical_tag, known_tags, nearest_tag
from dia.dialogue.text import encode_text
from dia.resources import declaration

CHARACTERS_PER_SECOND = 14.5  # read English; the two demo voices speak 14 to 15 characters a second
SECONDS_PER_NONVERBAL = 1.0


@dataclass(frozen=True)
class Limits:
    """What a model can speak in one pass: seconds of speech, and number of speakers.

    The defaults are those of Dia-1.6B: "under 5 s sounds unnatural, above 20 s unnaturally fast"
    (nari-labs/dia, README.md).
    """

    shortest_seconds: float = 5.0
    longest_seconds: float = 20.0
    speakers: int = 2


def estimated_seconds(script: Script) -> float:
    """Return the estimated duration of a script at an ordinary pace, in seconds."""
    nonverbals = sum(len(turn.nonverbals) for turn in script.turns)
    return len(script.words()) / CHARACTERS_PER_SECOND + nonverbals * SECONDS_PER_NONVERBAL


def lint(text: str, limits: Limits = Limits()) -> list[str]:
    """Return the problems of a script, one sentence each with its remedy; an empty list means none."""
    try:
        script = Script.parse(text)
    except ValueError as error:
        return [str(error)]
    return [
        *_encoding_problems(text),
        *_turn_problems(script, limits),
        *_tag_problems(script),
        *_length_problems(script, limits),
    ]


def require_clean(text: str, limits: Limits = Limits()) -> Script:
    """Return the parsed script. Raises ``ValueError`` with all problems that :func:`lint` reports."""
    if problems := lint(text, limits):
        raise ValueError("the script has problems:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return Script.parse(text)


def _encoding_problems(text: str) -> list[str]:
    try:
        encode_text(text)
    except ValueError as error:
        return [str(error)]
    return []


def _turn_problems(script: Script, limits: Limits) -> list[str]:
    speakers = [turn.speaker for turn in script.turns]
    problems = []
    if speakers[0] != 1:
        problems.append(f"the first turn is [S{speakers[0]}]; begin with [S1]")
    for place, (before, after) in enumerate(pairwise(speakers), start=2):
        if before == after:
            problems.append(
                f"turns {place - 1} and {place} are both [S{after}]; join them, or alternate the speakers"
            )
    for speaker in sorted(set(speakers)):
        if not 1 <= speaker <= limits.speakers:
            problems.append(
                f"[S{speaker}] is not a speaker of this model; it has [S1] to [S{limits.speakers}]"
            )
    problems += [
        f"turn {place} ([S{turn.speaker}]) is empty; give it words or a nonverbal tag, or remove it"
        for place, turn in enumerate(script.turns, start=1)
        if not turn.text and not turn.nonverbals
    ]
    return problems


def _tag_problems(script: Script) -> list[str]:
    tags = [nonverbal.tag for turn in script.turns for nonverbal in turn.nonverbals]
    stray = sorted({mark for turn in script.turns for mark in turn.text if mark in "()[]{}"})
    problems = []
    if stray:
        problems.append(
            f"a stray {' '.join(stray)} would be read as text; write tags as (laughs), speakers as [S1]"
        )
    if "" in tags:
        problems.append("a tag is empty; write a tag such as (laughs), or remove the parentheses")
    emotions = declaration("data/emotions.yaml")
    problems += [
        f"{{{turn.emotion}}} is not a known emotion; choose one of {', '.join(emotions)}"
        for turn in script.turns
        if turn.emotion and turn.emotion not in emotions
    ]
    return problems + [
        f"({tag}) is not a tag that Dia knows; the nearest is ({nearest_tag(tag)}), "
        f"and all {len(known_tags())} are listed in data/tags.yaml"
        for tag in dict.fromkeys(tags)
        if tag and canonical_tag(tag) is None
    ]


def _length_problems(script: Script, limits: Limits) -> list[str]:
    seconds = estimated_seconds(script)
    if seconds < limits.shortest_seconds:
        return [
            f"about {seconds:.1f} s of speech is too short for one pass; write at least "
            f"{limits.shortest_seconds:g} s"
        ]
    if seconds > limits.longest_seconds:
        return [
            f"about {seconds:.1f} s of speech is too long for one pass; cut it at a turn, at most "
            f"{limits.longest_seconds:g} s"
        ]
    return []
