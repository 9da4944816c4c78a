"""Failures of autoregressive speech that a mean hides: cut off, looping, silent, hurried.

What the sound tells is what the guard of generation looks for (`dia/inference/guard.py`), with the same
limits; loops of other systems have no codes to compare, so they are heard in the words: a phrase that comes
more often in a row than the script has it. A voice that changes is counted in `turns.py`.
"""

from collections.abc import Sequence

from dia.evaluation.metrics.protocol import Clip, Context, Origin, Part, Row, Values, origin_of, rate, ratio
from dia.evaluation.shared_models import Hearing
from dia.evaluation.turn_alignment import ScriptWord
from dia.inference.guard import GuardLimits, sound_findings
from dia.judges.recording import Recording
from dia.judges.transcription import transcript
from dia.judges.words import reference_words, transcript_words

KINDS = ("no_end", "truncated", "loop", "silence", "too_fast", "too_slow", "clipped_end")
ROUNDS = 2  # more rounds of a phrase than the script has that are a loop
LONGEST_PHRASE = 8  # words
LAST_WORDS = 3  # of the script that are lost where it is cut off; a recogniser may miss one or two
FASTEST_WORDS = 4.5  # a second
NOTHING = "there are no clips"


class Failures:
    """The share of clips with each kind of failure, and with any."""

    name, reads = "failures", ("reference",)

    def __init__(self, hearing: Hearing, limits: GuardLimits = GuardLimits()) -> None:
        self.hearing, self.limits = hearing, limits
        self.version = f"1, {limits}"

    def provenance(self) -> Origin:
        """Return the recogniser and the aligner."""
        return origin_of(self.hearing.recogniser, self.hearing.alignment)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the kinds of failure, each with a sentence, and the seconds against those of the prompt's
        own recording.
        """
        found = {
            item.kind: item.message
            for item in sound_findings(
                recording.waveform,
                recording.sample_rate,
                recording.script.render(),
                recording.ended,
                self.limits,
            )
        }
        heard = transcript_words(transcript(self.hearing.words(recording)))
        if lost := lost_at_the_end(self.hearing.script_words(recording)):
            found["truncated"] = f"the last {lost} words of the script are not heard"
        if phrase := looped(heard, reference_words(recording.script)):
            found["loop"] = f"{phrase!r} comes again and again"
        pace = len(heard) / max(recording.seconds, 0.1)
        if "truncated" in found:
            found.pop("too_fast", None)  # the guard, which hears no words, takes missing ones for hurry
        if pace > FASTEST_WORDS:
            found.setdefault("too_fast", f"{pace:.1f} words a second")
        reference = context.reference.seconds if context.reference else None
        return {"found": found, "seconds": recording.seconds, "reference_seconds": reference}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return `failed` (any kind), one row for each kind, and the ratio of durations."""
        rows = [
            rate(
                "failed",
                [Part(clip.prompt.id, float(bool(clip.values["found"]))) for clip in clips],
                NOTHING,
                -1,
            )
        ]
        for kind in KINDS:
            parts = [Part(clip.prompt.id, float(kind in clip.values["found"])) for clip in clips]
            rows.append(rate(f"failed/{kind}", parts, NOTHING, -1))
        known = [clip for clip in clips if clip.values["reference_seconds"]]
        lengths = [
            Part(clip.prompt.id, clip.values["seconds"] / clip.values["reference_seconds"]) for clip in known
        ]
        return [*rows, ratio("duration_ratio", lengths, "no ground truth")]


def lost_at_the_end(words: Sequence[ScriptWord]) -> int:
    """Return how many of the script's last words are not heard, 0 for fewer than three (or than all of a
    short script).
    """
    lost = 0
    for word in reversed(words):
        if word.times is not None:
            break
        lost += 1
    return lost if lost >= min(LAST_WORDS, len(words)) else 0


def looped(heard: Sequence[str], wanted: Sequence[str]) -> str:
    """Return the shortest phrase of up to eight words that comes in a row two rounds more often than the
    script has it.
    """
    for length in range(1, LONGEST_PHRASE + 1):
        allowed = _rounds(wanted, length)
        for phrase, rounds in _rounds(heard, length).items():
            if rounds >= allowed.get(phrase, 1) + ROUNDS:
                return " ".join(phrase)
    return ""


def _rounds(words: Sequence[str], length: int) -> dict[tuple[str, ...], int]:
    """How often each phrase of so many words comes in a row, at most."""
    found: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - length + 1):
        phrase, rounds = tuple(words[start : start + length]), 1
        while tuple(words[start + rounds * length : start + (rounds + 1) * length]) == phrase:
            rounds += 1
        found[phrase] = max(found.get(phrase, 0), rounds)
    return found
