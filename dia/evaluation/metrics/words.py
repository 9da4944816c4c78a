"""Word and character error rates by one ASR model: of all words, of clips, and failed clips."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from typing import Any

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
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate, summarise_ratio
from dia.evaluation.metrics.unavailable import no_model
from dia.judges.ctc import CtcModel
from dia.judges.pocketsphinx import PocketSphinx
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord, Recogniser, transcript
from dia.judges.words import character_errors, normalisation, word_errors

CATASTROPHIC = 0.5  # errors per word above which a clip counts as failed
NO_WORDS = "no clip has words"
NORMALISER = "whisper_normalizer"  # the package


class WordErrorRate:
    """Error rates of transcripts.

    ``transcriber`` returns the recognised words of a recording: an ASR model, or
    :class:`dia.evaluation.shared_models.SharedModels`. ``judge`` is the ASR model itself, for its provenance.
    A second ASR model gets another ``name`` and ``label``.
    """

    reads = ()

    def __init__(
        self, transcriber: Any, judge: Any, name: str = "wer", label: str = "word error rate"
    ) -> None:
        self.transcriber, self.judge, self.name, self.label = transcriber, judge, name, label
        self.version = f"1, {normalisation_version()}"

    def provenance(self) -> Models:
        """Return the ASR model."""
        return provenance_of(self.judge, needs=(NORMALISER,))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the transcript, word errors and words, characters, and tags that are read aloud."""
        recognised: list[RecognisedWord] = self.transcriber.words(recording)
        text = transcript(recognised)
        words = word_errors(recording.script, text)
        wrong_characters, characters = character_errors(recording.script, text)
        return {
            "transcript": text,
            "errors": words.errors,
            "words": max(words.words, 1),
            "rate": words.rate,
            "substitutions": words.substitutions,
            "deletions": words.deletions,
            "insertions": words.insertions,
            "character_errors": wrong_characters,
            "characters": max(characters, 1),
            "spoken_tags": words.spoken_tags,
        }

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return NAME (all errors by all words) and NAME_mean, _over_50, _characters and _spoken_tags."""
        rates = contributions_of(clips, "rate")
        failed = [Contribution(item.cluster, float(item.numerator > CATASTROPHIC)) for item in rates]
        aloud = [
            Contribution(item.cluster, float(item.numerator > 0))
            for item in contributions_of(clips, "spoken_tags")
        ]
        counts = {
            kind: sum(int(item.numerator) for item in contributions_of(clips, kind))
            for kind in ("substitutions", "deletions", "insertions")
        }
        return [
            summarise_ratio(
                self.name,
                contributions_of(clips, "errors", "words"),
                NO_WORDS,
                -1,
                label=self.label,
                headline=True,
                **counts,
                not_measured=count_reasons(clips),
            ),
            summarise_ratio(f"{self.name}_mean", rates, NO_WORDS, -1, label=f"{self.label}, mean of clips"),
            summarise_rate(
                f"{self.name}_over_50", failed, NO_WORDS, -1, label=f"clips with {self.label} above .5"
            ),
            summarise_ratio(
                f"{self.name}_characters",
                contributions_of(clips, "character_errors", "characters"),
                NO_WORDS,
                -1,
                label=f"{self.label}, by characters",
            ),
            summarise_rate(
                f"{self.name}_spoken_tags",
                aloud,
                NO_WORDS,
                -1,
                label=f"clips with a tag read aloud ({self.name})",
            ),
        ]


def normalisation_version() -> str:
    """Return the version of the text normalisation, a placeholder where its package is not installed."""
    try:
        return normalisation()
    except PackageNotFoundError:
        return "no normaliser"


def build(inputs: MetricInputs) -> Metric:
    """Return the word error rate by the main ASR model."""
    return WordErrorRate(inputs.models, inputs.models.recogniser)


def build_second(inputs: MetricInputs) -> Metric:
    """Return the word error rate by an ASR model of another family."""
    name = inputs.config.second_asr
    if not name:
        return no_model("second_wer", "second_asr")
    second: Recogniser = PocketSphinx() if name == "pocketsphinx" else CtcModel(name)
    return WordErrorRate(second, second, "second_wer", "word error rate by a second ASR model")
