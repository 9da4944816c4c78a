"""Turn accuracy: align the script to the audio, and look up the prompt voice that is nearest to each turn.

There is no diarization: a turn's times follow from its words, so the metric assumes that the words were
spoken; the shares of turns and words that were located stand beside it. Follows TTSD-eval
(OpenMOSS/MOSS-TTSD) and adds the confusion of speakers, the pace and the gaps between turns.
"""

from collections.abc import Sequence
from itertools import pairwise

from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import (
    ClipScore,
    Context,
    Metric,
    Models,
    Values,
    count_reasons,
    first_reason,
    provenance_of,
)
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate, summarise_ratio
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import script_words
from dia.judges.recording import Recording
from dia.judges.speakers import Embedding, SpeakerEncoder


class TurnAccuracy:
    """The share of turns that are nearest to the right voice, by ``encoder``."""

    name, version, reads = "turns", "1", ("voices",)

    def __init__(self, models: SharedModels, encoder: SpeakerEncoder | None = None) -> None:
        self.models, self.encoder = models, encoder or models.encoder

    def provenance(self) -> Models:
        """Return the encoder and the aligner."""
        return provenance_of(self.encoder, self.models.alignment)

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return speaker and nearest voice of each turn, words located, seconds and gaps.

        The nearest voice is None for a turn that was not located or is too short, and for a speaker whose
        voice is unknown.
        """
        voices = self.models.enroll(self.encoder, context.voices)
        if len(voices) < 2:
            return NotMeasured("fewer than two prompt voices are known")
        times = self.models.turns(recording)
        embeddings = [None if pair is None else self.encoder.embed(recording, pair) for pair in times]
        speakers = [turn.speaker for turn in recording.script.turns]
        nearest = [
            None if embedding is None or speaker not in voices else nearest_voice(embedding, voices)
            for speaker, embedding in zip(speakers, embeddings, strict=True)
        ]
        neighbours = [(one, other) for one, other in pairwise(times) if one is not None and other is not None]
        return {
            "speakers": speakers,
            "nearest": nearest,
            "found": [pair is not None for pair in times],
            "words": len(script_words(recording.script)),
            "words_found": sum(word.times is not None for word in self.models.script_words(recording)),
            "gaps": [other[0] - one[1] for one, other in neighbours],
            "seconds": sum(pair[1] - pair[0] for pair in times if pair is not None),
        }

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `turn_accuracy`, turns and words located, clips with swapped voices, gaps and overlaps."""
        measured = [clip for clip in clips if clip.measured]
        turns = [(clip.prompt.id, *turn) for clip in measured for turn in _turns(clip)]
        judged = [(prompt, speaker, nearest) for prompt, speaker, nearest, _ in turns if nearest is not None]
        right = [Contribution(prompt, float(speaker == nearest)) for prompt, speaker, nearest in judged]
        located = [Contribution(prompt, float(is_located)) for prompt, _, _, is_located in turns]
        words = [
            Contribution(clip.prompt.id, clip.values["words_found"], clip.values["words"])
            for clip in measured
        ]
        swapped = [Contribution(clip.prompt.id, float(_has_swap(clip))) for clip in measured]
        gaps = [Contribution(clip.prompt.id, gap) for clip in measured for gap in clip.values["gaps"]]
        overlaps = [Contribution(gap.cluster, float(gap.numerator < 0)) for gap in gaps]
        reasons = count_reasons(clips)
        nothing = first_reason(reasons, "no turn was found that is long enough")
        confusion = _confusion([(speaker, nearest) for _, speaker, nearest in judged])
        return [
            summarise_ratio(
                "turn_accuracy",
                right,
                nothing,
                1,
                label="turns spoken by the right voice",
                headline=True,
                confusion=confusion,
                not_measured=reasons,
            ),
            summarise_ratio("turns_found", located, nothing, 1, label="turns located in the audio"),
            summarise_ratio("script_coverage", words, nothing, 1, label="words of the script located"),
            summarise_rate("voice_swaps", swapped, nothing, -1, label="clips with a turn by the wrong voice"),
            summarise_ratio("turn_gap_seconds", gaps, nothing),
            summarise_ratio("overlaps", overlaps, nothing, label="turns that overlap the one before"),
        ]


def nearest_voice(embedding: Embedding, voices: dict[int, Embedding]) -> int:
    """Return the speaker whose voice is most similar."""
    return max(voices, key=lambda name: float(embedding @ voices[name]))


def build(inputs: MetricInputs) -> Metric:
    """Return turn accuracy by the encoder that a package carries."""
    return TurnAccuracy(inputs.models)


def _turns(clip: ClipScore) -> list[tuple[int, int | None, bool]]:
    """Return speaker, nearest voice, and whether it was located, of each turn."""
    return list(zip(clip.values["speakers"], clip.values["nearest"], clip.values["found"], strict=True))


def _has_swap(clip: ClipScore) -> bool:
    return any(nearest is not None and nearest != speaker for speaker, nearest, _ in _turns(clip))


def _confusion(judged: Sequence[tuple[int, int]]) -> dict[str, dict[str, int]]:
    """Return how many turns of each speaker (outer key) are nearest to each voice (inner key)."""
    confusion: dict[str, dict[str, int]] = {}
    for speaker, nearest in judged:
        row = confusion.setdefault(f"S{speaker}", {})
        row[f"S{nearest}"] = row.get(f"S{nearest}", 0) + 1
    return confusion
