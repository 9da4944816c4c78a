"""Voice identification: is the voice of its prompt the nearest of all prompts' voices to what was spoken."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.recording import Recording
from dia.judges.speakers import Embedding

NO_NAMES = "the prompts have no voice prompts whose speakers are known"
TOO_SHORT = "no speaker of the clip or of its voice prompt has a turn that is long enough"
FEWEST_VOICES = 3  # with two, the share of turns of the right voice says the same
NOBODY = ""  # the nearest voice of a take that does not exist
DIGITS = 4  # of an embedding's values: the cosine is off by less than .001


class VoiceIdentification:
    """The share of spoken voices that are nearest to their prompt's, among the voices of all prompts."""

    name, version, reads = "voice_identification", "1", ("voices",)

    def __init__(self, models: SharedModels) -> None:
        self.models = models

    def provenance(self) -> Models:
        """Return the encoder and the aligner."""
        return provenance_of(self.models.encoder, self.models.alignment)

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return by speaker the name of the voice, and the unit embeddings of its prompt and of the clip."""
        names = _voice_names(context.voices)
        if not names:
            return NotMeasured(NO_NAMES)
        prompts = self.models.enroll(self.models.encoder, context.voices)
        spoken = self.models.enroll(self.models.encoder, (recording,))
        known = [speaker for speaker in sorted(names) if speaker in prompts and speaker in spoken]
        if not known:
            return NotMeasured(TOO_SHORT)
        return {
            "names": [names[speaker] for speaker in known],
            "prompts": [_rounded(prompts[speaker]) for speaker in known],
            "spoken": [_rounded(spoken[speaker]) for speaker in known],
        }

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return one speaker whose voice is nobody's for a missing take, else None."""
        return None if reason else {"names": [NOBODY], "prompts": [], "spoken": []}

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `voice_identified`, with the number of voices and the nearest ones of each."""
        measured = [clip for clip in clips if clip.measured]
        voices = _mean_voices(measured)
        reasons = count_reasons(clips)
        confusion: dict[str, Counter[str]] = defaultdict(Counter)
        hits = []
        for clip in measured if len(voices) >= FEWEST_VOICES else []:
            names, nearest = clip.values["names"], _nearest(clip.values, voices)
            right = sum(name == guess != NOBODY for name, guess in zip(names, nearest, strict=True))
            hits.append(Contribution(clip.prompt.cluster, float(right), float(len(names))))
            for name, guess in zip(names, nearest, strict=True):
                confusion[name][guess] += 1
        return [
            summarise_rate(
                "voice_identified",
                hits,
                first_reason(
                    reasons, NO_NAMES if not voices else f"the prompts have {len(voices)} voices only"
                ),
                1,
                label="the prompt's voice is the nearest of all",
                voices=len(voices),
                confusion={name: dict(row) for name, row in confusion.items()},
                not_measured=reasons,
            )
        ]


def build(inputs: MetricInputs) -> Metric:
    """Return voice identification by the encoder that a package carries."""
    return VoiceIdentification(inputs.models)


def _voice_names(voices: Sequence[Recording]) -> dict[int, str]:
    """Return the name of each speaker's voice in voice prompts."""
    turns = [pair for voice in voices for pair in zip(voice.script.turns, voice.voice_names, strict=False)]
    return {turn.speaker: name for turn, name in turns if name}


def _mean_voices(clips: Sequence[ClipScore]) -> dict[str, Embedding]:
    """Return the unit mean embedding of each voice over all prompts that have it."""
    by_name: dict[str, list[Embedding]] = {}
    for clip in clips:
        for name, embedding in zip(clip.values["names"], clip.values["prompts"], strict=False):
            by_name.setdefault(name, []).append(np.asarray(embedding))
    means = {name: np.mean(embeddings, axis=0) for name, embeddings in sorted(by_name.items())}
    return {name: mean / np.linalg.norm(mean) for name, mean in means.items()}


def _nearest(values: Mapping[str, Any], voices: Mapping[str, Embedding]) -> list[str]:
    """Return the nearest voice to each speaker of a clip."""
    if not values["spoken"]:
        return [NOBODY] * len(values["names"])
    return [max(voices, key=lambda name: float(np.dot(spoken, voices[name]))) for spoken in values["spoken"]]


def _rounded(embedding: Embedding) -> list[float]:
    return [round(float(value), DIGITS) for value in embedding]
