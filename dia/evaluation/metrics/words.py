"""Word and character error rates by one ASR model: of all words, of clips, and failed clips.

A transcript in which the model repeats itself is no transcript of the clip: the clip counts as not
recognised, and its words as missing. The disagreement of two ASR models shows how far either can be trusted.
"""

from collections.abc import Sequence
from typing import Any

from dia.dialogue import Script
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
from dia.evaluation.metrics.result import (
    PERCENT,
    Contribution,
    MetricResult,
    summarise_rate,
    summarise_ratio,
)
from dia.evaluation.metrics.unavailable import no_model
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.normalisation import normalisation_version
from dia.judges.recording import Recording
from dia.judges.repetition import is_looping
from dia.judges.transcription import RecognisedWord, transcript
from dia.judges.words import character_errors, disagreement, word_errors

CATASTROPHIC = 0.5  # errors per word above which a clip counts as failed
LABEL = "word error rate"
NO_WORDS = "no clip has words"
NORMALISER = "whisper_normalizer"  # the package


class WordErrorRate:
    """Error rates of transcripts.

    ``transcriber`` returns the recognised words of a recording: an ASR model, or
    :class:`dia.evaluation.shared_models.SharedModels`. ``judge`` is the ASR model itself, for its provenance.
    A second ASR model gets another ``name`` and ``label``.
    """

    reads = ()

    def __init__(self, transcriber: Any, judge: Any, name: str = "wer", label: str = LABEL) -> None:
        self.transcriber, self.judge, self.name, self.label = transcriber, judge, name, label
        self.version = f"3, {normalisation_version()}"

    def provenance(self) -> Models:
        """Return the ASR model."""
        return provenance_of(self.judge, needs=(NORMALISER,))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the transcript, its words with times in seconds, errors, and tags that are read aloud.

        The transcript of a clip that was not recognised is part of the values, but it is not compared.
        """
        recognised: list[RecognisedWord] = self.transcriber.words(recording)
        text, script, language = transcript(recognised), recording.script, recording.language
        looping = is_looping(text, script.words())
        compared = "" if looping else text
        words = word_errors(script, compared, language)
        wrong_characters, characters = character_errors(script, compared, language)
        return {
            "transcript": text,
            "times": [[word.text.strip(), float(word.start), float(word.end)] for word in recognised],
            "not_recognised": int(looping),
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

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return all words as missing, and a tag as read aloud where there is one."""
        script, language = Script.parse(prompt.script), prompt.language
        words = word_errors(script, "", language)
        characters, _ = character_errors(script, "", language)
        if reason or not words.words:
            return None
        return {
            "errors": words.errors,
            "words": words.words,
            "rate": words.rate,
            "character_errors": characters,
            "characters": characters,
            "spoken_tags": int(any(turn.nonverbals for turn in script.turns)),
        }

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return NAME (all errors by all words) and others that begin with NAME."""
        rates = contributions_of(clips, "rate")
        failed = [Contribution(item.cluster, float(item.numerator > CATASTROPHIC)) for item in rates]
        aloud = [
            Contribution(item.cluster, float(item.numerator > 0))
            for item in contributions_of(clips, "spoken_tags")
        ]
        by = self.label.removeprefix(LABEL)
        looping = contributions_of(clips, "not_recognised")
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
                unit=PERCENT,
                **counts,
                not_recognised=sum(int(item.numerator) for item in looping),
                not_measured=count_reasons(clips),
            ),
            summarise_rate(
                f"{self.name}_not_recognised",
                looping,
                NO_WORDS,
                -1,
                label=f"clips that were not recognised{by}",
                headline=True,
            ),
            summarise_ratio(
                f"{self.name}_mean",
                rates,
                NO_WORDS,
                -1,
                label=f"{self.label}, mean of clips",
                unit=PERCENT,
            ),
            summarise_rate(
                f"{self.name}_over_50", failed, NO_WORDS, -1, label=f"clips with {self.label} above 50 %"
            ),
            summarise_ratio(
                f"{self.name}_characters",
                contributions_of(clips, "character_errors", "characters"),
                NO_WORDS,
                -1,
                label=f"{self.label}, by characters",
                unit=PERCENT,
            ),
            summarise_rate(
                f"{self.name}_spoken_tags",
                aloud,
                NO_WORDS,
                -1,
                label=f"clips with a tag read aloud{by}",
            ),
        ]


class RecogniserDisagreement:
    """Word errors between the transcripts of the two ASR models, by the words of the longer one."""

    name, reads = "recogniser_disagreement", ()

    def __init__(self, models: SharedModels) -> None:
        self.models = models
        self.version = f"1, {normalisation_version()}"

    def provenance(self) -> Models:
        """Return both ASR models."""
        return provenance_of(self.models.recogniser, self.models.second, needs=(NORMALISER,))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the errors between the transcripts, at most the words of the longer one, and these."""
        assert self.models.second is not None
        first, second = self.models.words(recording), self.models.second.words(recording)
        errors, words = disagreement(transcript(first), transcript(second), recording.language)
        return {"errors": min(errors, words), "words": words}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return the rate over all words."""
        return [
            summarise_ratio(
                self.name,
                contributions_of(clips, "errors", "words"),
                "neither ASR model recognised any word",
                label="words on which the two ASR models disagree",
                unit=PERCENT,
                not_measured=count_reasons(clips),
            )
        ]


def build(inputs: MetricInputs) -> Metric:
    """Return the word error rate by the main ASR model."""
    return WordErrorRate(inputs.models, inputs.models.recogniser)


def build_second(inputs: MetricInputs) -> Metric:
    """Return the word error rate by an ASR model of another family."""
    second = inputs.models.second
    if second is None:
        return no_model("second_wer", "second_asr")
    return WordErrorRate(second, second, "second_wer", f"{LABEL} by a second ASR model")


def build_disagreement(inputs: MetricInputs) -> Metric:
    """Return the disagreement of the two ASR models."""
    if inputs.models.second is None:
        return no_model(RecogniserDisagreement.name, "second_asr")
    return RecogniserDisagreement(inputs.models)
