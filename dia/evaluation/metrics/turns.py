"""Turn accuracy: align the script to the audio, and look up the prompt voice that is nearest to each turn.

There is no diarization: a turn's times follow from its words, so the metric assumes that the words were
spoken; the shares of turns and words that were located stand beside it. Follows TTSD-eval
(OpenMOSS/MOSS-TTSD) and adds the confusion of speakers, the pace and the gaps between turns.

Where no prompt voice is known, as for most recorded systems, a turn is compared with the other turns of the
clip: its own speaker's must be nearest.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dia.dialogue import Script
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
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_mean, summarise_rate
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import script_words
from dia.judges.recording import Recording
from dia.judges.speakers import Embedding, SpeakerEncoder

FEW_VOICES = "fewer than two prompt voices are known"
NOBODY = 0  # the nearest voice of a turn that does not exist


class TurnAccuracy:
    """The share of turns that are nearest to the right voice, by ``encoder``."""

    name, version, reads = "turns", "3", ("voices",)

    def __init__(self, models: SharedModels, encoder: SpeakerEncoder | None = None) -> None:
        self.models, self.encoder = models, encoder or models.encoder

    def provenance(self) -> Models:
        """Return the encoder and the aligner."""
        return provenance_of(self.encoder, self.models.alignment)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return speaker, times and nearest voice of each turn, words located, seconds and gaps.

        `nearest` is the nearest prompt voice, `nearest_own` the speaker whose other turns in the clip are
        nearest. Either is None for a turn that was not located or is too short, for a speaker whose voice is
        unknown, and where fewer than two voices are known.
        """
        voices = self.models.enroll(self.encoder, context.voices)
        times = self.models.turns(recording)
        embeddings = [None if pair is None else self.encoder.embed(recording, pair) for pair in times]
        speakers = [turn.speaker for turn in recording.script.turns]
        own = [others(place, speakers, embeddings) for place in range(len(speakers))]
        neighbours = [(one, other) for one, other in pairwise(times) if one is not None and other is not None]
        return {
            "speakers": speakers,
            "voices": len(voices),
            "times": [None if pair is None else list(pair) for pair in times],
            "nearest": [
                _nearest(speaker, embedding, voices)
                for speaker, embedding in zip(speakers, embeddings, strict=True)
            ],
            "nearest_own": [_nearest(*each) for each in zip(speakers, embeddings, own, strict=True)],
            "found": [pair is not None for pair in times],
            "words": len(script_words(recording.script)),
            "words_found": sum(word.times is not None for word in self.models.script_words(recording)),
            "gaps": [other[0] - one[1] for one, other in neighbours],
            "seconds": sum(pair[1] - pair[0] for pair in times if pair is not None),
        }

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return turns that were not located, and one that has the wrong voice."""
        if reason:
            return None
        script = Script.parse(prompt.script)
        speakers = [turn.speaker for turn in script.turns]
        return {
            "speakers": speakers,
            "voices": 2,
            "nearest": [NOBODY] * len(speakers),
            "nearest_own": [NOBODY] * len(speakers),
            "found": [False] * len(speakers),
            "words": len(script_words(script)),
            "words_found": 0,
            "gaps": [],
        }

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `turn_accuracy`, turns and words located, clips with swapped voices, gaps and overlaps.

        A turn that was not located counts as one of the wrong voice; `turn_accuracy_located` leaves it out,
        and both leave out turns that are too short to be judged.
        """
        measured = [clip for clip in clips if clip.measured]
        every = [(clip.prompt.cluster, *turn) for clip in measured for turn in _turns(clip, "nearest")]
        turns = [
            (clip.prompt.cluster, *turn)
            for clip in measured
            if clip.values["voices"] > 1
            for turn in _turns(clip, "nearest")
        ]
        own = [
            (clip.prompt.cluster, *turn)
            for clip in measured
            if _has_repeated_speakers(clip.values["speakers"])
            for turn in _turns(clip, "nearest_own")
        ]
        judged = [(speaker, nearest) for _, speaker, nearest, _ in turns if nearest is not None]
        located = [Contribution(prompt, float(is_located)) for prompt, _, _, is_located in every]
        words = [
            Contribution(clip.prompt.cluster, clip.values["words_found"], clip.values["words"])
            for clip in measured
        ]
        swapped = [Contribution(clip.prompt.cluster, float(_has_swap(clip))) for clip in measured]
        gaps = [Contribution(clip.prompt.cluster, gap) for clip in measured for gap in clip.values["gaps"]]
        overlaps = [Contribution(gap.cluster, float(gap.numerator < 0)) for gap in gaps]
        reasons = count_reasons(clips)
        nothing = first_reason(reasons, "no turn was found that is long enough")
        known = any(clip.values["voices"] > 1 for clip in measured)
        return [
            summarise_rate(
                "turn_accuracy",
                _right(turns),
                nothing if known else FEW_VOICES,
                1,
                label="turns spoken by the right voice",
                headline=True,
                confusion=_confusion(judged),
                not_measured=reasons,
            ),
            summarise_rate(
                "turn_accuracy_located",
                _right([turn for turn in turns if turn[3]]),
                nothing if known else FEW_VOICES,
                1,
                label="turns spoken by the right voice, of those located",
            ),
            summarise_rate(
                "turn_accuracy_own",
                _right(own),
                "no clip has two turns of each of two speakers that are long enough",
                1,
                label="turns nearest to their speaker's other turns",
            ),
            summarise_rate("turns_found", located, nothing, 1, label="turns located in the audio"),
            summarise_rate("script_coverage", words, nothing, 1, label="words of the script located"),
            summarise_rate("voice_swaps", swapped, nothing, -1, label="clips with a turn by the wrong voice"),
            summarise_mean("turn_gap_seconds", gaps, nothing, label="pause between turns", unit="s"),
            summarise_rate("overlaps", overlaps, nothing, label="turns that overlap the one before"),
        ]


def nearest_voice(embedding: Embedding, voices: dict[int, Embedding]) -> int:
    """Return the speaker whose voice is most similar."""
    return max(voices, key=lambda name: float(embedding @ voices[name]))


def others(
    place: int, speakers: Sequence[int], embeddings: Sequence[Embedding | None]
) -> dict[int, Embedding]:
    """Return the unit mean embedding of each speaker over the turns other than ``place``."""
    voices: dict[int, list[Embedding]] = {}
    for other, (speaker, embedding) in enumerate(zip(speakers, embeddings, strict=True)):
        if other != place and embedding is not None:
            voices.setdefault(speaker, []).append(embedding)
    means = {speaker: np.mean(own, axis=0) for speaker, own in voices.items()}
    return {speaker: mean / np.linalg.norm(mean) for speaker, mean in means.items()}


def _nearest(speaker: int, embedding: Embedding | None, voices: dict[int, Embedding]) -> int | None:
    if embedding is None or speaker not in voices or len(voices) < 2:
        return None
    return nearest_voice(embedding, voices)


def build(inputs: MetricInputs) -> Metric:
    """Return turn accuracy by the encoder that a package carries."""
    return TurnAccuracy(inputs.models)


def _turns(clip: ClipScore, nearest: str) -> list[tuple[int, int | None, bool]]:
    """Return speaker, nearest voice, and whether it was located, of each turn."""
    return list(zip(clip.values["speakers"], clip.values[nearest], clip.values["found"], strict=True))


def _right(turns: Sequence[tuple[str, int, int | None, bool]]) -> list[Contribution]:
    """Return whether each turn is spoken by the right voice, which one that was not located is not."""
    return [
        Contribution(prompt, float(speaker == nearest))
        for prompt, speaker, nearest, is_located in turns
        if nearest is not None or not is_located
    ]


def _has_repeated_speakers(speakers: Sequence[int]) -> bool:
    """Return whether two speakers have two turns each, which can be compared with each other."""
    return sum(speakers.count(speaker) > 1 for speaker in set(speakers)) > 1


def _has_swap(clip: ClipScore) -> bool:
    return any(nearest is not None and nearest != speaker for speaker, nearest, _ in _turns(clip, "nearest"))


def _confusion(judged: Sequence[tuple[int, int]]) -> dict[str, dict[str, int]]:
    """Return how many turns of each speaker (outer key) are nearest to each voice (inner key)."""
    confusion: dict[str, dict[str, int]] = {}
    for speaker, nearest in judged:
        row = confusion.setdefault(f"S{speaker}", {})
        row[f"S{nearest}"] = row.get(f"S{nearest}", 0) + 1
    return confusion
