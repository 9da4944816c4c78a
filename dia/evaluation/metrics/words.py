"""Word and character error rates by one recogniser: corpus and mean, and the share of clips that fail."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from typing import Any

from dia.evaluation.metrics.protocol import (
    Clip,
    Context,
    Origin,
    Part,
    Row,
    Values,
    not_measured,
    origin_of,
    parts_of,
    rate,
    ratio,
)
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord, transcript
from dia.judges.words import character_errors, normalisation, word_errors

CATASTROPHIC = 0.5  # errors by words above which a clip counts as failed
NOTHING = "no clip has words"
NORMALISER = "whisper_normalizer"  # the package


class WordErrorRate:
    """``ear`` gives the recognised words of a recording: a recogniser, or a
    :class:`dia.evaluation.shared_models.Hearing`.

    ``judge`` is the recogniser itself, for its provenance. A second one of another family goes by another
    ``name``.
    """

    reads = ()

    def __init__(self, ear: Any, judge: Any, name: str = "wer") -> None:
        self.ear, self.judge, self.name = ear, judge, name
        self.version = f"1, {normalisation_stamp()}"

    def provenance(self) -> Origin:
        """Return the recogniser."""
        return origin_of(self.judge, needs=(NORMALISER,))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the transcript, errors and words, characters, and tags read aloud."""
        heard: list[RecognisedWord] = self.ear.words(recording)
        text = transcript(heard)
        words, (wrong, characters) = (
            word_errors(recording.script, text),
            character_errors(recording.script, text),
        )
        return {
            "transcript": text, "errors": words.errors, "words": max(words.words, 1), "rate": words.rate,
            "substitutions": words.substitutions, "deletions": words.deletions, "insertions": words.insertions,
            "character_errors": wrong, "characters": max(characters, 1), "spoken_tags": words.spoken_tags,
        }  # fmt: skip

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return `wer`, `wer_mean`, `wer_over_50`, `cer` and `spoken_tags` (clips with a tag read aloud),
        each by this name.
        """
        rates = parts_of(clips, "rate")
        failed = [Part(part.cluster, float(part.top > CATASTROPHIC)) for part in rates]
        aloud = [Part(part.cluster, float(part.top > 0)) for part in parts_of(clips, "spoken_tags")]
        counts = {
            kind: sum(int(part.top) for part in parts_of(clips, kind))
            for kind in ("substitutions", "deletions", "insertions")
        }
        return [
            ratio(
                self.name,
                parts_of(clips, "errors", "words"),
                NOTHING,
                -1,
                **counts,
                not_measured=not_measured(clips),
            ),
            ratio(f"{self.name}_mean", rates, NOTHING, -1),
            rate(f"{self.name}_over_50", failed, NOTHING, -1),
            ratio(f"{self.name}_characters", parts_of(clips, "character_errors", "characters"), NOTHING, -1),
            rate(f"{self.name}_spoken_tags", aloud, NOTHING, -1),
        ]


def normalisation_stamp() -> str:
    """Return the normalisation's version; a metric whose normaliser is not installed has none, and is not
    measured.
    """
    try:
        return normalisation()
    except PackageNotFoundError:
        return "no normaliser"
