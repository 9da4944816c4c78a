"""Scores as other benchmarks count them, flaws included, so that they can stand beside published numbers.

Written anew from their behaviour and checked against their code: BytedanceSpeech/seed-tts-eval@752f429
(run_wer.py, average_wer.py), k2-fsa/ZipVoice@6121ae7 (zipvoice/eval/wer/dialog.py), lmxue/nvbench@70321c8
(eval_metrics.py). English only. The user chooses the ASR model; published numbers used Whisper-large-v3 and
WhisperD.

Flaws that are reproduced: seed-tts-eval counts numbers and tags as words ("(laughs)" in a script is an error
where nobody says it). ZipVoice's cpWER splits at any label and assigns the pieces alternately, so one label
too many swaps all pieces after it. NVV-SuperBench ignores events beyond two words instead of counting their
distance.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jiwer

from dia.evaluation.diarization import speaker_runs, voices_of_words
from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import (
    ClipScore,
    Context,
    Metric,
    Models,
    Values,
    contributions_of,
    count_reasons,
    provenance_of,
)
from dia.evaluation.metrics.result import PERCENT, MetricResult, summarise_ratio
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.shared_models import SharedModels
from dia.judges.recording import Recording
from dia.judges.transcription import transcript
from dia.judges.unavailable import loading_judge

LONGEST_SECONDS = 30.0  # of clips that ZipVoice's cpWER includes
LABEL = re.compile(r"\[S[1-9]\]")
BRACKETS = re.compile(r"\[.*?\]|<.*?>|\(.*?\)")
COLLAR = 2  # words
NO_WORDS = "the script has no words"


@dataclass(frozen=True)
class ErrorCount:
    """Errors of one clip, and the number of reference words."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Errors per word."""
        return self.errors / self.words


@cache
def _punctuation() -> dict[int, None]:
    """Return the punctuation that both benchmarks remove: ASCII and Chinese, except the apostrophe."""
    with loading_judge("the signs of zhon"):
        from zhon.hanzi import punctuation
    return {ord(sign): None for sign in punctuation + string.punctuation if sign != "'"}


def seed_tts_text(text: str) -> str:
    """Return a text as seed-tts-eval compares it: no punctuation, double spaces halved once, lower case."""
    return text.translate(_punctuation()).replace("  ", " ").lower()


def zipvoice_text(text: str) -> str:
    """Return a text as ZipVoice compares it: no brackets, no punctuation, single spaces, lower case."""
    return " ".join(BRACKETS.sub("", text).translate(_punctuation()).split()).lower()


def seed_tts_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Return the errors of one utterance. Raises ``ValueError`` for a reference without words."""
    return _count_errors(seed_tts_text(reference), seed_tts_text(hypothesis))


def seed_tts_wer(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the benchmark's "WER": the mean over (reference, hypothesis) pairs in percent, three digits."""
    return round(100 * sum(seed_tts_errors(*pair).rate for pair in pairs) / len(pairs), 3)


def zipvoice_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Return the errors of one dialogue regardless of speakers. Raises ``ValueError`` without words."""
    return _count_errors(zipvoice_text(reference), zipvoice_text(hypothesis))


def zipvoice_cp_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Return the errors of a dialogue of two speakers, the better of both assignments of voices.

    Pieces between labels belong to the two voices alternately. The pieces of a voice are joined, and then
    both voices' texts are.
    """
    references, (first, second) = _texts_by_voice(reference), _texts_by_voice(hypothesis)
    assignments = [
        _count_errors(" ".join(references), f"{one} {other}")
        for one, other in ((first, second), (second, first))
    ]
    return min(assignments, key=lambda count: count.errors)


@dataclass(frozen=True)
class SuperbenchClip:
    """One clip of NVV-SuperBench, whose script has one tag.

    Slots are numbers of words before the tag and before its sound; ``detected_slot`` is None without a sound.
    ``other`` counts the detected events that the script does not have; ``words`` is the length of the text.
    """

    tag_slot: int
    detected_slot: int | None
    words: int
    other: int = 0


def superbench(clips: Sequence[SuperbenchClip], references: int, collar: int = COLLAR) -> dict[str, float]:
    """Return precision, recall and F1 within ``collar`` words, coverage of ``references``, CA-F1, TPD, NTD.

    A missing clip lowers coverage and nothing else. TPD and NTD include only events within the collar (0
    without one).
    """
    distances = [
        None if clip.detected_slot is None else abs(clip.detected_slot - clip.tag_slot) for clip in clips
    ]
    hits = [
        (distance, clip)
        for distance, clip in zip(distances, clips, strict=True)
        if distance is not None and distance <= collar
    ]
    events = sum(distance is not None for distance in distances) + sum(clip.other for clip in clips)
    precision, recall = _share(len(hits), events), _share(len(hits), len(clips))
    f1, coverage = _harmonic(precision, recall), _share(len(clips), references)
    hit_distances = [distance for distance, _ in hits]
    relative = [distance / clip.words for distance, clip in hits if clip.words]
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "coverage": coverage,
        "ca_f1": _harmonic(f1, coverage),
        "tpd": _share(sum(hit_distances), len(hit_distances)),
        "ntd": _share(sum(relative), len(relative)),
    }


class SeedTtsWordErrors:
    """seed-tts-eval's WER of the words of a script, without speakers and tags, which it does not support."""

    name, version, reads = "seed_tts_wer", "1", ()

    def __init__(self, models: SharedModels) -> None:
        self.models = models

    def provenance(self) -> Models:
        """Return the ASR model."""
        return provenance_of(self.models.recogniser, needs=("zhon",))

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return errors per word of one clip."""
        reference = recording.script.words()
        if not seed_tts_text(reference).strip():
            return NotMeasured(NO_WORDS)
        return {"rate": seed_tts_errors(reference, transcript(self.models.words(recording))).rate}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return the mean over clips, as a share."""
        rates = contributions_of(clips, "rate")
        return [
            summarise_ratio(
                self.name,
                rates,
                "no clip has words",
                -1,
                label="word error rate as seed-tts-eval counts",
                unit=PERCENT,
                not_measured=count_reasons(clips),
            )
        ]


class ZipVoiceWordErrors:
    """ZipVoice's WER, and its cpWER of dialogues up to 30 s; diarization replaces WhisperD's labels."""

    name, version, reads = "zipvoice_wer", "1", ()

    def __init__(self, models: SharedModels) -> None:
        self.models = models

    def provenance(self) -> Models:
        """Return the ASR model and the speaker encoder."""
        return provenance_of(self.models.recogniser, self.models.encoder, needs=("zhon",))

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return errors and words; `cp_errors` is None for a clip above 30 s."""
        recognised, reference = self.models.words(recording), recording.script.render()
        if not zipvoice_text(reference):
            return NotMeasured(NO_WORDS)
        plain = zipvoice_errors(reference, transcript(recognised))
        counts = {"errors": plain.errors, "words": plain.words}
        if recording.seconds > LONGEST_SECONDS:
            return {**counts, "cp_errors": None}
        voices = voices_of_words(recognised, *self.models.windows(recording)) if recognised else []
        runs = speaker_runs(recognised, voices)
        labelled = " ".join(f"[S{voice + 1}] {transcript(run)}" for voice, run in runs)
        return {**counts, "cp_errors": zipvoice_cp_errors(reference, labelled).errors}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return both rates over all words, as shares."""
        return [
            summarise_ratio(
                "zipvoice_wer",
                contributions_of(clips, "errors", "words"),
                "no clip has words",
                -1,
                label="word error rate as ZipVoice counts",
                unit=PERCENT,
                not_measured=count_reasons(clips),
            ),
            summarise_ratio(
                "zipvoice_cpwer",
                contributions_of(clips, "cp_errors", "words"),
                "no clip with words is 30 s or shorter",
                -1,
                label="word error rate by speaker as ZipVoice counts",
                unit=PERCENT,
            ),
        ]


def build_seed_tts(inputs: MetricInputs) -> Metric:
    """Return seed-tts-eval's WER."""
    return SeedTtsWordErrors(inputs.models)


def build_zipvoice(inputs: MetricInputs) -> Metric:
    """Return ZipVoice's WER and cpWER."""
    return ZipVoiceWordErrors(inputs.models)


def _count_errors(reference: str, hypothesis: str) -> ErrorCount:
    if not reference.strip():
        raise ValueError("the reference has no words; the benchmark refuses it")
    counts = jiwer.process_words(reference, hypothesis)
    return ErrorCount(
        counts.substitutions + counts.deletions + counts.insertions,
        counts.hits + counts.substitutions + counts.deletions,
    )


def _texts_by_voice(text: str) -> tuple[str, str]:
    """Return the pieces between labels as two texts, the even and the odd ones joined."""
    pieces = [piece.strip() for piece in LABEL.split(text)]
    return zipvoice_text(" ".join(pieces[::2])), zipvoice_text(" ".join(pieces[1::2]))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one > 0 and other > 0 else 0.0
