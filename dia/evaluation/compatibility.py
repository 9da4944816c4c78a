"""Scores as other benchmarks count them, flaws and all, so that our rows can stand beside published ones.

Written anew from their behaviour, and checked against their code: BytedanceSpeech/seed-tts-eval@752f429
(run_wer.py, average_wer.py), k2-fsa/ZipVoice@6121ae7 (zipvoice/eval/wer/dialog.py), lmxue/nvbench@70321c8
(eval_metrics.py). English only. The recogniser is the user's choice; published figures used Whisper-large-v3
and WhisperD.

Known flaws, kept: numbers and tags are words to seed-tts-eval ("(laughs)" in a script is an error where
nobody says it); cpWER splits at any label and takes pieces in turns, so one label too many flips all that
follow; events beyond two words are no error of place but vanish.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jiwer

from dia.evaluation.diarization import runs, voices_of_words
from dia.evaluation.metrics.protocol import (
    NOT_MEASURED,
    Clip,
    Context,
    Origin,
    Row,
    Values,
    not_measured,
    origin_of,
    parts_of,
    ratio,
)
from dia.evaluation.shared_models import Hearing
from dia.judges.recording import Recording
from dia.judges.transcription import transcript
from dia.judges.unavailable import loading_judge

LONGEST_SECONDS = 30.0  # of clips that ZipVoice's cpWER keeps
LABEL = re.compile(r"\[S[1-9]\]")
BRACKETS = re.compile(r"\[.*?\]|<.*?>|\(.*?\)")
COLLAR = 2  # words


@dataclass(frozen=True)
class Counted:
    """Errors of one clip, and the reference words they are out of."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        """Errors by words."""
        return self.errors / self.words


@cache
def _signs() -> dict[int, None]:
    """All signs that both benchmarks strike out: ASCII's and Chinese ones, save the apostrophe."""
    with loading_judge("the signs of zhon"):
        from zhon.hanzi import punctuation
    return {ord(sign): None for sign in punctuation + string.punctuation if sign != "'"}


def seed_tts_text(text: str) -> str:
    """Return a text as seed-tts-eval compares it: no signs, two spaces made one (once over), small
    letters.
    """
    return text.translate(_signs()).replace("  ", " ").lower()


def zipvoice_text(text: str) -> str:
    """Return a text as ZipVoice compares it: nothing in brackets, no signs, single spaces, small letters."""
    return " ".join(BRACKETS.sub("", text).translate(_signs()).split()).lower()


def seed_tts_errors(truth: str, hypothesis: str) -> Counted:
    """Return the errors of one utterance. Raises ``ValueError`` for a truth without words."""
    return _counted(seed_tts_text(truth), seed_tts_text(hypothesis))


def seed_tts_wer(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the mean over utterances (truth, hypothesis) in percent, three digits: their "WER"."""
    return round(100 * sum(seed_tts_errors(*pair).rate for pair in pairs) / len(pairs), 3)


def zipvoice_errors(truth: str, hypothesis: str) -> Counted:
    """Return the errors of one dialogue, whoever said what. Raises ``ValueError`` for a truth without
    words.
    """
    return _counted(zipvoice_text(truth), zipvoice_text(hypothesis))


def zipvoice_cp_errors(truth: str, hypothesis: str) -> Counted:
    """Return the errors of one dialogue of two, the better of both ways to match the voices.

    Pieces between labels belong to two voices in turns; a voice's pieces are joined, and both voices' texts
    make one.
    """
    truths, (first, second) = _voices(truth), _voices(hypothesis)
    ways = [_counted(" ".join(truths), f"{one} {other}") for one, other in ((first, second), (second, first))]
    return min(ways, key=lambda way: way.errors)


def corpus_wer(counted: Sequence[Counted]) -> float:
    """Return all errors by all words in percent, two digits: ZipVoice's "WER" and "cpWER"."""
    return round(100 * sum(item.errors for item in counted) / sum(item.words for item in counted), 2)


@dataclass(frozen=True)
class SuperbenchClip:
    """One clip of NVV-SuperBench, which asks for one event: the words before it, as asked and as heard (None:
    not heard).

    ``other`` is how many events were heard that nobody asked for; ``words`` is the length of the text.
    """

    asked: int
    heard: int | None
    words: int
    other: int = 0


def superbench(clips: Sequence[SuperbenchClip], references: int, collar: int = COLLAR) -> dict[str, float]:
    """Return precision, recall and F1 within ``collar`` words, coverage of the ``references`` prompts, CA-F1,
    TPD and NTD.

    A clip that is not there lowers coverage and nothing else; TPD and NTD know only events within the collar
    (0 without one).
    """
    off = [abs(clip.heard - clip.asked) if clip.heard is not None else None for clip in clips]
    hits = [
        (distance, clip)
        for distance, clip in zip(off, clips, strict=True)
        if distance is not None and distance <= collar
    ]
    found = sum(clip.heard is not None for clip in clips) + sum(clip.other for clip in clips)
    precision, recall = _share(len(hits), found), _share(len(hits), len(clips))
    f1, coverage = _harmonic(precision, recall), _share(len(clips), references)
    distances = [distance for distance, _ in hits]
    shares = [distance / clip.words for distance, clip in hits if clip.words]
    return {
        "precision": precision, "recall": recall, "f1": f1, "coverage": coverage, "ca_f1": _harmonic(f1, coverage),
        "tpd": _share(sum(distances), len(distances)), "ntd": _share(sum(shares), len(shares)),
    }  # fmt: skip


class SeedTtsWordErrors:
    """seed-tts-eval's WER of the words of a script (its speakers and tags left out, for it knows neither)."""

    name, version, reads = "seed_tts_wer", "1", ()

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing

    def provenance(self) -> Origin:
        """Return the recogniser."""
        return origin_of(self.hearing.recogniser, needs=("zhon",))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return errors by words of one clip."""
        truth = recording.script.words()
        if not seed_tts_text(truth).strip():
            return {NOT_MEASURED: "the script has no words"}
        return {"rate": seed_tts_errors(truth, transcript(self.hearing.words(recording))).rate}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return the mean over clips, as a share."""
        return [
            ratio(
                self.name, parts_of(clips, "rate"), "no clip has words", -1, not_measured=not_measured(clips)
            )
        ]


class ZipVoiceWordErrors:
    """ZipVoice's WER, and its cpWER of dialogues up to 30 s, with labels that the sound tells instead of
    WhisperD.
    """

    name, version, reads = "zipvoice_wer", "1", ()

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing

    def provenance(self) -> Origin:
        """Return the recogniser, and the encoder that tells the voices."""
        return origin_of(self.hearing.recogniser, self.hearing.encoder, needs=("zhon",))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return errors and words; `cp_errors` is None for a clip above 30 s."""
        heard, truth = self.hearing.words(recording), recording.script.render()
        if not zipvoice_text(truth):
            return {NOT_MEASURED: "the script has no words"}
        plain = zipvoice_errors(truth, transcript(heard))
        if recording.seconds > LONGEST_SECONDS:
            return {"errors": plain.errors, "words": plain.words, "cp_errors": None}
        voices = voices_of_words(heard, *self.hearing.windows(recording)) if heard else []
        labelled = " ".join(f"[S{voice + 1}] {transcript(run)}" for voice, run in runs(heard, voices))
        return {
            "errors": plain.errors,
            "words": plain.words,
            "cp_errors": zipvoice_cp_errors(truth, labelled).errors,
        }

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return both rates over all words, as shares."""
        reasons = not_measured(clips)
        return [
            ratio(
                "zipvoice_wer",
                parts_of(clips, "errors", "words"),
                "no clip has words",
                -1,
                not_measured=reasons,
            ),
            ratio(
                "zipvoice_cpwer",
                parts_of(clips, "cp_errors", "words"),
                "no clip with words is 30 s or shorter",
                -1,
            ),
        ]


def _counted(truth: str, hypothesis: str) -> Counted:
    if not truth.strip():
        raise ValueError("the truth has no words; the benchmark refuses it")
    found = jiwer.process_words(truth, hypothesis)
    return Counted(
        found.substitutions + found.deletions + found.insertions,
        found.hits + found.substitutions + found.deletions,
    )


def _voices(text: str) -> tuple[str, str]:
    """Pieces between labels, every other one joined, and the rest joined."""
    pieces = [piece.strip() for piece in LABEL.split(text)]
    return zipvoice_text(" ".join(pieces[::2])), zipvoice_text(" ".join(pieces[1::2]))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one > 0 and other > 0 else 0.0
