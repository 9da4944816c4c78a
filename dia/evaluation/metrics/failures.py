"""Failures of autoregressive speech that a mean hides: cut off, looping, silent, hurried.

The audio is checked as the guard of generation checks it (`dia/inference/guard.py`), with the same limits.
Recordings of other systems have no codes to compare, so loops are detected in the words: a phrase that comes
more often in a row than in the script. So are text that is spoken twice, and the clip of another text. A
voice that changes is counted in `turns.py`.
"""

from collections import Counter
from collections.abc import Sequence

import jiwer

from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import ClipScore, Context, Metric, Models, Values, provenance_of
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate, summarise_ratio
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import ScriptWord
from dia.inference.guard import GuardLimits, check_waveform
from dia.judges.normalisation import normalisation_version
from dia.judges.recording import Recording
from dia.judges.transcription import transcript
from dia.judges.words import reference_words, transcript_words

KINDS = {
    "missing": "there is no take",
    "repeated": "text is spoken more often than it is written",
    "other_text": "other words than those of the script",
    "no_end": "the model did not end by itself",
    "truncated": "the last words are missing",
    "loop": "a phrase repeats",
    "silence": "a long silence",
    "too_fast": "too fast",
    "too_slow": "too slow",
    "clipped_end": "cut off within a sound",
}
HEADLINE_KINDS = ("no_end",)
REPEATED_WORDS = 6  # of the script in a row, spoken more often than written; all words of a shorter script
FEWEST_REPEATED = 3  # words of a script whose repetition counts; an ASR model may double a single one
FEWEST_MATCHES = 0.3  # share of the script's words; a clip with fewer, and as many others, has another text
MOST_MATCHES = 0.7  # share of the words of the script written twice; with more, it is spoken twice
EXTRA_ROUNDS = 2  # rounds of a phrase beyond the script's that make a loop
LONGEST_PHRASE = 8  # words
LAST_WORDS = 3  # of the script, missing where it is cut off; an ASR model may miss one or two
FASTEST_WORDS = 4.5  # per second
NO_CLIPS = "there are no clips"


class Failures:
    """The share of clips with each kind of failure, and with any."""

    name, reads = "failures", ("reference",)

    def __init__(self, models: SharedModels, limits: GuardLimits = GuardLimits()) -> None:
        self.models, self.limits = models, limits
        self.version = f"3, {limits}, {normalisation_version()}"

    def provenance(self) -> Models:
        """Return the ASR model and the aligner."""
        return provenance_of(self.models.recogniser, self.models.alignment)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return a sentence for each kind of failure, and the seconds of the clip and of its reference."""
        problems = {
            item.kind: item.message
            for item in check_waveform(
                recording.waveform,
                recording.sample_rate,
                recording.script.render(),
                recording.ended,
                self.limits,
            )
        }
        recognised = transcript_words(transcript(self.models.words(recording)), recording.language)
        if lost := missing_last_words(self.models.script_words(recording)):
            problems["truncated"] = f"the last {lost} words of the script are not heard"
        reference = reference_words(recording.script, recording.language)
        if phrase := repeated_phrase(recognised, reference):
            problems["loop"] = f"{phrase!r} comes again and again"
        problems |= _text_problems(recognised, reference)
        pace = len(recognised) / max(recording.seconds, 0.1)
        if "truncated" in problems:
            problems.pop("too_fast", None)  # the guard has no transcript: missing words look like a fast pace
        if pace > FASTEST_WORDS:
            problems.setdefault("too_fast", f"{pace:.1f} words a second")
        seconds = context.reference.seconds if context.reference else None
        return {"found": problems, "seconds": recording.seconds, "reference_seconds": seconds}

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return the failure of a take that does not exist."""
        return {"found": {"missing": KINDS["missing"]}, "seconds": 0.0, "reference_seconds": None}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `failed` (any kind), `failed/KIND`, and the ratio of durations to the references'."""
        failed = [Contribution(clip.prompt.cluster, float(bool(clip.values["found"]))) for clip in clips]
        results = [summarise_rate("failed", failed, NO_CLIPS, -1, label="clips with any failure")]
        for kind, words in KINDS.items():
            own = [Contribution(clip.prompt.cluster, float(kind in clip.values["found"])) for clip in clips]
            results.append(
                summarise_rate(
                    f"failed/{kind}",
                    own,
                    NO_CLIPS,
                    -1,
                    label=f"clips that fail: {words}",
                    headline=kind in HEADLINE_KINDS,
                )
            )
        durations = [
            Contribution(clip.prompt.cluster, clip.values["seconds"] / clip.values["reference_seconds"])
            for clip in clips
            if clip.values["reference_seconds"]
        ]
        label = "duration by that of the recording"
        return [
            *results,
            summarise_ratio(
                "duration_ratio", durations, "no ground truth", label=label, headline=True, unit="times"
            ),
        ]


def missing_last_words(words: Sequence[ScriptWord]) -> int:
    """Return the number of missing words at the end of a script.

    Fewer than three count as 0, unless they are all words of a short script.
    """
    missing = 0
    for word in reversed(words):
        if word.times is not None:
            break
        missing += 1
    return missing if missing >= min(LAST_WORDS, len(words)) else 0


def repeated_phrase(recognised: Sequence[str], reference: Sequence[str]) -> str:
    """Return the shortest phrase of up to eight words that repeats at least two rounds more than the script.

    Empty where there is none.
    """
    for length in range(1, LONGEST_PHRASE + 1):
        allowed = _rounds(reference, length)
        for phrase, rounds in _rounds(recognised, length).items():
            if rounds >= allowed.get(phrase, 1) + EXTRA_ROUNDS:
                return " ".join(phrase)
    return ""


def is_repeated(recognised: Sequence[str], reference: Sequence[str]) -> bool:
    """Return whether text is spoken more often than written: all of it, or six of its words in a row."""
    if len(reference) < FEWEST_REPEATED:
        return False
    if _matches(recognised, [*reference, *reference]) > MOST_MATCHES:
        return True
    length = min(REPEATED_WORDS, len(reference))
    spoken, written = (
        Counter(tuple(words[start : start + length]) for start in range(len(words) - length + 1))
        for words in (recognised, reference)
    )
    return any(spoken[phrase] > count for phrase, count in written.items())


def is_other_text(recognised: Sequence[str], reference: Sequence[str]) -> bool:
    """Return whether hardly any word of the script is spoken, but at least half as many other words."""
    if len(reference) < FEWEST_REPEATED or len(recognised) < len(reference) / 2:
        return False
    return _matches(recognised, reference) < FEWEST_MATCHES


def _matches(recognised: Sequence[str], reference: Sequence[str]) -> float:
    """Return the share of the reference's words that are recognised, in order."""
    hits: int = jiwer.process_words(" ".join(reference), " ".join(recognised)).hits if recognised else 0
    return hits / len(reference)


def _text_problems(recognised: Sequence[str], reference: Sequence[str]) -> dict[str, str]:
    checks = {"repeated": is_repeated, "other_text": is_other_text}
    return {kind: KINDS[kind] for kind, check in checks.items() if check(recognised, reference)}


def build(inputs: MetricInputs) -> Metric:
    """Return the failures."""
    return Failures(inputs.models)


def _rounds(words: Sequence[str], length: int) -> dict[tuple[str, ...], int]:
    """Return the most rounds in a row of each phrase of ``length`` words."""
    most: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - length + 1):
        phrase, rounds = tuple(words[start : start + length]), 1
        while tuple(words[start + rounds * length : start + (rounds + 1) * length]) == phrase:
            rounds += 1
        most[phrase] = max(most.get(phrase, 0), rounds)
    return most
