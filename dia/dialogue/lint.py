"""A linter for scripts: reports what a model cannot speak, and what it speaks badly, each with a remedy.

Errors are what cannot be spoken. Warnings are what people write and Dia was not made for: it is spoken,
though perhaps not as meant.
"""

import re
import unicodedata
from dataclasses import dataclass

from dia.dialogue.foreign_marks import foreign_marks, without_foreign_marks
from dia.dialogue.language import foreign_language
from dia.dialogue.script import SPEAKER, Script, normalize_text
from dia.dialogue.tags import canonical_tag, known_tags, nearest_tag
from dia.dialogue.text import MAX_BYTES, encode_text
from dia.dialogue.vocabulary import Vocabulary
from dia.resources import declaration

CHARACTERS_PER_SECOND = 14.5  # read English; the two demo voices speak 14 to 15 characters a second
SECONDS_PER_NONVERBAL = 1.0
CONTROLS = re.compile(r"[\x03-\x1f\x7f-\x9f]")  # 0, 1 and 2 are errors of the encoding
FIRST_PICTURE = 0x2600  # code point from which symbols are pictures: weather signs, notes, emoji


@dataclass(frozen=True)
class Limits:
    """What a model can speak in one pass: seconds of speech, number of speakers, bytes of text.

    The defaults are those of Dia-1.6B: "under 5 s sounds unnatural, above 20 s unnaturally fast"
    (nari-labs/dia, README.md).
    """

    shortest_seconds: float = 5.0
    longest_seconds: float = 20.0
    speakers: float = 2
    longest_bytes: float = MAX_BYTES


NO_LIMITS = Limits(0.0, float("inf"), float("inf"), float("inf"))


@dataclass(frozen=True)
class LintResult:
    """The judgement of a text.

    Attributes:
        text: The text that the model reads: white space runs are one space, aliases of tags their tags.
        errors: Why it cannot be spoken, one sentence each with its remedy.
        warnings: What may not be spoken as meant, one sentence each with its remedy.
    """

    text: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Errors and warnings."""
        return self.errors + self.warnings


def estimated_seconds(script: Script) -> float:
    """Return the estimated duration of a script at an ordinary pace, in seconds."""
    nonverbals = sum(len(turn.nonverbals) for turn in script.turns)
    return len(script.words()) / CHARACTERS_PER_SECOND + nonverbals * SECONDS_PER_NONVERBAL


def lint(text: str, limits: Limits = Limits(), vocabulary: Vocabulary | None = None) -> LintResult:
    """Return the judgement of a text.

    Args:
        text: A script as a user wrote it.
        limits: What the model can speak in one pass.
        vocabulary: The words that the model knows; None for a model of open vocabulary.
    """
    ready = normalize_text(text)
    script = Script.read(ready)
    errors = (*_encoding_errors(ready, limits), *_speaker_errors(script, limits))
    if all(turn.silent for turn in script.turns):
        return LintResult(ready, (*errors, "the text is empty; write a script: [S1] Hello there."), ())
    plain = Script.read(without_foreign_marks(ready))
    warnings = [
        *_turn_warnings(ready, script),
        *dict.fromkeys(mark.problem() for mark in foreign_marks(text)),
        *_bracket_warnings(plain),
        *_tag_warnings(plain),
        *_character_warnings(ready),
        *_length_warnings(script, limits),
    ]
    if language := foreign_language(plain.words()):
        warnings.append(
            f"the text seems to be {language}; Dia-1.6B speaks English only, and other languages only after "
            "training on them"
        )
    elif vocabulary is not None:
        warnings += vocabulary.problems(plain.render())
    return LintResult(ready, errors, tuple(warnings))


def _encoding_errors(text: str, limits: Limits) -> list[str]:
    try:
        encode_text(text, limits.longest_bytes)
    except ValueError as error:
        return [str(error)]
    return []


def _speaker_errors(script: Script, limits: Limits) -> list[str]:
    return [
        f"[S{speaker}] is not a speaker of this model; it has [S1] to [S{limits.speakers}]"
        for speaker in sorted({turn.speaker for turn in script.turns})
        if speaker > limits.speakers
    ]


def _turn_warnings(text: str, script: Script) -> list[str]:
    warnings = []
    if not SPEAKER.match(text):
        warnings.append(
            f"the script does not begin with a speaker: {text[:40]!r}; write [S1] before the first words"
        )
    return warnings + [
        f"turn {place} ([S{turn.speaker}]) is empty; give it words or a nonverbal tag, or remove it"
        for place, turn in enumerate(script.turns[:-1], start=1)  # a tag at the end prevents a clipped end
        if turn.silent
    ]


def _bracket_warnings(script: Script) -> list[str]:
    stray = sorted({mark for turn in script.turns for mark in turn.text if mark in "()[]{}"})
    if not stray:
        return []
    return [f"a stray {' '.join(stray)} would be read as text; write tags as (laughs), speakers as [S1]"]


def _tag_warnings(script: Script) -> list[str]:
    tags = [nonverbal.tag for turn in script.turns for nonverbal in turn.nonverbals]
    warnings = (
        ["a tag is empty; write a tag such as (laughs), or remove the parentheses"] if "" in tags else []
    )
    emotions = declaration("data/emotions.yaml")
    warnings += [
        f"{{{turn.emotion}}} is not a known emotion; choose one of {', '.join(emotions)}"
        for turn in script.turns
        if turn.emotion and turn.emotion not in emotions
    ]
    return warnings + [_aside(tag) for tag in dict.fromkeys(tags) if tag and canonical_tag(tag) is None]


def _aside(tag: str) -> str:
    near = nearest_tag(tag)
    remedy = f"the nearest is ({near})" if near else "write an aside between commas"
    return (
        f"({tag}) is not a tag that Dia knows, and may be spoken, left out or become a noise; {remedy}, and "
        f"all {len(known_tags())} tags are listed in data/tags.yaml"
    )


def _character_warnings(text: str) -> list[str]:
    warnings = []
    if controls := sorted({f"U+{ord(mark):04X}" for mark in CONTROLS.findall(text)}):
        warnings.append(
            f"the text has the control characters {', '.join(controls)}; remove them, unless the model was "
            "trained on them"
        )
    pictures = {mark for mark in text if ord(mark) >= FIRST_PICTURE and unicodedata.category(mark) == "So"}
    if pictures := pictures - {"♪"}:  # a mark of another system
        warnings.append(
            f"{' '.join(sorted(pictures))} is not read as anything that Dia knows; write a tag such as "
            "(laughs), or remove it"
        )
    return warnings


def _length_warnings(script: Script, limits: Limits) -> list[str]:
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
