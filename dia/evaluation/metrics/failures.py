"""Failures of autoregressive speech that a mean hides: cut off, looping, silent, hurried.

The audio is checked as the guard of generation checks it (`dia/inference/guard.py`), with the same limits.
Recordings of other systems have no codes to compare, so loops are detected in the words: a phrase that comes
more often in a row than in the script. A voice that changes is counted in `turns.py`.
"""

from collections.abc import Sequence

from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import ClipScore, Context, Metric, Models, Values, provenance_of
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate, summarise_ratio
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import ScriptWord
from dia.inference.guard import GuardLimits, check_waveform
from dia.judges.recording import Recording
from dia.judges.transcription import transcript
from dia.judges.words import reference_words, transcript_words

KINDS = {
    "no_end": "the model did not end by itself",
    "truncated": "the last words are missing",
    "loop": "a phrase repeats",
    "silence": "a long silence",
    "too_fast": "too fast",
    "too_slow": "too slow",
    "clipped_end": "cut off within a sound",
}
HEADLINE_KINDS = ("no_end",)
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
        self.version = f"1, {limits}"

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
        recognised = transcript_words(transcript(self.models.words(recording)))
        if lost := missing_last_words(self.models.script_words(recording)):
            problems["truncated"] = f"the last {lost} words of the script are not heard"
        if phrase := repeated_phrase(recognised, reference_words(recording.script)):
            problems["loop"] = f"{phrase!r} comes again and again"
        pace = len(recognised) / max(recording.seconds, 0.1)
        if "truncated" in problems:
            problems.pop("too_fast", None)  # the guard has no transcript: missing words look like a fast pace
        if pace > FASTEST_WORDS:
            problems.setdefault("too_fast", f"{pace:.1f} words a second")
        reference = context.reference.seconds if context.reference else None
        return {"found": problems, "seconds": recording.seconds, "reference_seconds": reference}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `failed` (any kind), `failed/KIND`, and the ratio of durations to the references'."""
        failed = [Contribution(clip.prompt.id, float(bool(clip.values["found"]))) for clip in clips]
        results = [summarise_rate("failed", failed, NO_CLIPS, -1, label="clips with any failure")]
        for kind, words in KINDS.items():
            own = [Contribution(clip.prompt.id, float(kind in clip.values["found"])) for clip in clips]
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
            Contribution(clip.prompt.id, clip.values["seconds"] / clip.values["reference_seconds"])
            for clip in clips
            if clip.values["reference_seconds"]
        ]
        label = "duration by that of the recording"
        return [
            *results,
            summarise_ratio("duration_ratio", durations, "no ground truth", label=label, headline=True),
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
