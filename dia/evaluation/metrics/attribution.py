"""Who says which words: cpWER and tcpWER of a diarized transcript, and cpSIM of its voices.

The speakers of the transcript come from `dia/evaluation/diarization.py`, which does not see the script.
Source of the error rates: T. von Neumann et al., "MeetEval", 2023. cpSIM follows ZipVoice: each voice of the
clip against the voices of the prompt, best of the permutations. Unlike ZipVoice, a clip whose number of
voices differs from the script's fails and is counted; it gets no substitute value.
"""

import logging
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from dia.dialogue import Script
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
    first_reason,
    provenance_of,
)
from dia.evaluation.metrics.result import (
    COSINE,
    PERCENT,
    Contribution,
    MetricResult,
    summarise_mean,
    summarise_rate,
    summarise_ratio,
)
from dia.evaluation.metrics.words import NORMALISER
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.normalisation import normalisation_version
from dia.judges.normalisation.compounds import with_reference_borders
from dia.judges.recording import Recording, Times
from dia.judges.speakers import Embedding, SpeakerEncoder
from dia.judges.transcription import RecognisedWord, transcript
from dia.judges.words import reference_words, transcript_words

SHORTEST = 0.01  # seconds of a segment; MeetEval refuses one that ends where it begins
COLLAR = 5.0  # seconds of tolerance of tcpWER, MeetEval's usual value
NO_WORDS = "the script has no words"


class AttributedWords:
    """cpWER and tcpWER by MeetEval."""

    name, reads = "cpwer", ()

    def __init__(self, models: SharedModels) -> None:
        self.models = models
        self.version = f"2, {normalisation_version()}"

    def provenance(self) -> Models:
        """Return the ASR model, the speaker encoder, and the aligner."""
        models = self.models
        return provenance_of(
            models.recogniser, models.encoder, models.alignment, needs=("meeteval", NORMALISER)
        )

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return both error counts, the reference words, and the number of voices of clip and script.

        `timed_errors` is None where a turn of the script was not located, because then its times are unknown.
        """
        recognised, language = self.models.usable_words(recording), recording.language
        voices = voices_of_words(recognised, *self.models.windows(recording)) if recognised else []
        reference = _reference_segments(recording.script, self.models.turns(recording), language)
        spoken = reference_words(recording.script, language)
        hypothesis = [
            _segment(voice, run, spoken, language) for voice, run in speaker_runs(recognised, voices)
        ]
        words = sum(len(turn["words"].split()) for turn in reference)
        if not words:
            return NotMeasured(NO_WORDS)
        return {
            "errors": _cp_errors(reference, hypothesis),
            "timed_errors": _timed_errors(reference, hypothesis),
            "words": words,
            "voices": len(set(voices)),
            "speakers": len({turn.speaker for turn in recording.script.turns}),
        }

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return all words as missing, and no voice."""
        script = Script.parse(prompt.script)
        words = sum(len(reference_words(Script((turn,)), prompt.language)) for turn in script.turns)
        if reason or not words:
            return None
        speakers = len({turn.speaker for turn in script.turns})
        return {"errors": words, "timed_errors": words, "words": words, "voices": 0, "speakers": speakers}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `cpwer`, `tcpwer`, and `voices_wrong`: clips whose number of voices is not the script's."""
        untimed = sum(clip.measured and clip.values["timed_errors"] is None for clip in clips)
        miscounted = [
            Contribution(clip.prompt.cluster, float(clip.values["voices"] != clip.values["speakers"]))
            for clip in clips
            if clip.measured
        ]
        no_words = "no clip has words"
        return [
            summarise_ratio(
                "cpwer",
                contributions_of(clips, "errors", "words"),
                no_words,
                -1,
                label="word error rate by speaker (cpWER)",
                unit=PERCENT,
                not_measured=count_reasons(clips),
            ),
            summarise_ratio(
                "tcpwer",
                contributions_of(clips, "timed_errors", "words"),
                "in no clip were all turns located",
                -1,
                label="word error rate by speaker and time (tcpWER)",
                unit=PERCENT,
                clips_without_times=untimed,
            ),
            summarise_rate(
                "voices_wrong", miscounted, no_words, -1, label="clips with the wrong number of voices"
            ),
        ]


class PermutedSimilarity:
    """cpSIM: similarity of each voice of a clip to the voices of the prompt, by ``encoder``."""

    name, version, reads = "cpsim", "1", ("voices",)

    def __init__(self, models: SharedModels, encoder: SpeakerEncoder | None = None) -> None:
        self.models, self.encoder = models, encoder or models.encoder

    def provenance(self) -> Models:
        """Return the encoder, the encoder of the windows, and the ASR model."""
        return provenance_of(self.encoder, self.models.encoder, self.models.recogniser)

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return the similarity (None where the number of voices is wrong) and the number of voices."""
        voices = self.models.enroll(self.encoder, context.voices)
        speakers = sorted({turn.speaker for turn in recording.script.turns})
        if missing := [speaker for speaker in speakers if speaker not in voices]:
            return NotMeasured(
                "no prompt voice is known of " + ", ".join(f"S{speaker}" for speaker in missing)
            )
        times = self._times_by_voice(recording)
        embeddings = [_embed_joined(self.encoder, recording, own) for own in times.values()]
        known = [embedding for embedding in embeddings if embedding is not None]
        counts = {"voices": len(embeddings), "speakers": len(speakers)}
        if len(embeddings) != len(speakers) or len(known) != len(speakers):
            return {**counts, "similarity": None}
        return {**counts, "similarity": best_permutation(known, [voices[speaker] for speaker in speakers])}

    def _times_by_voice(self, recording: Recording) -> dict[int, list[Times]]:
        """Return the (start, end) of the stretches of each voice, in seconds."""
        recognised = self.models.words(recording)
        labels = voices_of_words(recognised, *self.models.windows(recording)) if recognised else []
        times: dict[int, list[Times]] = {}
        for voice, run in speaker_runs(recognised, labels):
            times.setdefault(voice, []).append((run[0].start, run[-1].end))
        return times

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return a clip without a voice, which fails."""
        speakers = len({turn.speaker for turn in Script.parse(prompt.script).turns})
        return None if reason else {"voices": 0, "speakers": speakers, "similarity": None}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `cpsim`, and `cpsim_failed`: clips whose number of voices is not the script's."""
        measured = [clip for clip in clips if clip.measured]
        failed = [
            Contribution(clip.prompt.cluster, float(clip.values["similarity"] is None)) for clip in measured
        ]
        counts = [clip.values["voices"] for clip in measured]
        voices = {str(number): counts.count(number) for number in sorted(set(counts))}
        reasons = count_reasons(clips)
        nothing = first_reason(reasons, "in no clip are there as many voices as in the script")
        return [
            summarise_mean(
                "cpsim",
                contributions_of(clips, "similarity"),
                nothing,
                1,
                bounds=COSINE,
                label="voice similarity by permutation (cpSIM)",
                unit="cosine",
                voices=voices,
                not_measured=reasons,
            ),
            summarise_rate(
                "cpsim_failed", failed, nothing, -1, label="clips without a cpSIM: wrong number of voices"
            ),
        ]


def best_permutation(voices: Sequence[Embedding], references: Sequence[Embedding]) -> float:
    """Return the highest mean similarity over all one-to-one assignments of unit embeddings."""
    return max(
        float(np.mean([voice @ reference for voice, reference in zip(order, references, strict=True)]))
        for order in permutations(voices)
    )


def build_attributed_words(inputs: MetricInputs) -> Metric:
    """Return cpWER and tcpWER."""
    return AttributedWords(inputs.models)


def build_permuted_similarity(inputs: MetricInputs) -> Metric:
    """Return cpSIM."""
    return PermutedSimilarity(inputs.models)


def _embed_joined(encoder: SpeakerEncoder, recording: Recording, times: Sequence[Times]) -> Embedding | None:
    """Return the embedding of several stretches joined into one."""
    sample_rate = recording.sample_rate
    waveform = np.concatenate(
        [recording.waveform[int(start * sample_rate) : int(end * sample_rate)] for start, end in times]
    )
    joined = Recording(recording.prompt_id, recording.system, recording.script, waveform, sample_rate)
    return encoder.embed(joined, (0.0, len(waveform) / sample_rate))


def _segment(
    voice: int, run: Sequence[RecognisedWord], reference: Sequence[str], language: str
) -> dict[str, Any]:
    """Return a run of words of one voice for MeetEval, with the borders of the script's words.

    The run is normalised as a whole, because "twenty five" is one number.
    """
    words = transcript_words(transcript(list(run)), language)
    return {
        "session_id": "clip",
        "speaker": f"v{voice}",
        "words": " ".join(with_reference_borders(reference, words)),
        "start_time": run[0].start,
        "end_time": max(run[-1].end, run[0].start + SHORTEST),
    }


def _reference_segments(script: Script, times: Sequence[Times | None], language: str) -> list[dict[str, Any]]:
    """Return the turns of a script for MeetEval, without times where they are unknown."""
    return [
        {
            "session_id": "clip",
            "speaker": f"S{turn.speaker}",
            "words": " ".join(reference_words(Script((turn,)), language)),
        }
        | ({} if pair is None else {"start_time": pair[0], "end_time": max(pair[1], pair[0] + SHORTEST)})
        for turn, pair in zip(script.turns, times, strict=True)
    ]


def _cp_errors(reference: list[dict[str, Any]], hypothesis: list[dict[str, Any]]) -> int:
    """Return the errors when each speaker's words are one text, in order."""
    import meeteval

    # MeetEval warns that texts without times are not sorted; these are in order
    logging.getLogger("preprocess").setLevel(logging.ERROR)
    return int(meeteval.wer.cp_word_error_rate(_texts(reference), _texts(hypothesis)).errors)


def _timed_errors(reference: list[dict[str, Any]], hypothesis: list[dict[str, Any]]) -> int | None:
    import meeteval

    with_words = [turn for turn in reference if turn["words"]]
    if any("start_time" not in turn for turn in with_words):
        return None
    segments = meeteval.io.SegLST(with_words), meeteval.io.SegLST(hypothesis)
    if not hypothesis:
        return sum(len(turn["words"].split()) for turn in with_words)
    counts = meeteval.wer.time_constrained_minimum_permutation_word_error_rate(*segments, collar=COLLAR)
    return int(counts.errors)


def _texts(segments: list[dict[str, Any]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for segment in segments:
        texts[segment["speaker"]] = f"{texts.get(segment['speaker'], '')} {segment['words']}".strip()
    return texts
