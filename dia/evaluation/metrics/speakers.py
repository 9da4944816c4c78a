"""Speaker similarity per turn: to the prompt's voice, between speakers, and from beginning to end."""

from collections.abc import Sequence
from itertools import combinations
from math import isfinite

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
    provenance_of,
)
from dia.evaluation.metrics.result import COSINE, Contribution, MetricResult, summarise_mean, summarise_rate
from dia.evaluation.metrics.unavailable import no_model
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.recording import Recording, Times
from dia.judges.speaker_encoders import EcapaEncoder, WavLMEncoder
from dia.judges.speakers import Embedding, SpeakerEncoder

NO_TURN = "no turn was found that is long enough"
DRIFT_SECONDS = 4.5  # of a speaker in a clip, so that its first and last thirds have 1.5 s each
ENCODERS = {"similarity": "", "wavlm_similarity": " by WavLM", "ecapa_similarity": " by ECAPA-TDNN"}


class SpeakerSimilarity:
    """Cosine similarities by ``encoder``; the times of turns are aligned, or those of the recording."""

    reads = ("voices",)

    def __init__(
        self, models: SharedModels, encoder: SpeakerEncoder | None = None, name: str = "similarity"
    ) -> None:
        self.models, self.encoder, self.name, self.version = models, encoder or models.encoder, name, "1"
        self.headline = encoder is None

    def provenance(self) -> Models:
        """Return the encoder and the aligner."""
        return provenance_of(self.encoder, self.models.alignment)

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return per turn its speaker and its similarity to the right and to the most similar wrong voice.

        Per clip: `drift` is the similarity of a speaker's first and last third, `within` that of two turns of
        one speaker, `between` that of turns of two speakers, each a mean; None where there is too little
        speech.
        """
        turns = self.models.turns(recording)
        voices = self.models.enroll(self.encoder, context.voices)
        embeddings = [None if times is None else self.encoder.embed(recording, times) for times in turns]
        speakers = [turn.speaker for turn in recording.script.turns]
        known = [
            (speaker, embedding)
            for speaker, embedding in zip(speakers, embeddings, strict=True)
            if embedding is not None
        ]
        if not known:
            return NotMeasured(NO_TURN, {"turns": len(turns)})
        pairs = [(one[0] == other[0], float(one[1] @ other[1])) for one, other in combinations(known, 2)]
        drifts = [_drift(self.encoder, recording, speakers, turns, speaker) for speaker in set(speakers)]
        return {
            "turns": len(turns),
            "compared": [_compare(speaker, embedding, voices) for speaker, embedding in known],
            "within": _mean([similarity for same, similarity in pairs if same]),
            "between": _mean([similarity for same, similarity in pairs if not same]),
            "drift": _mean(drifts),
        }

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return turns that are lost, unlike their own voice and like another."""
        speakers = [turn.speaker for turn in Script.parse(prompt.script).turns]
        if reason not in ("", NO_TURN):
            return None
        pairs = [one == other for one, other in combinations(speakers, 2)]
        return {
            "turns": len(speakers),
            "lost": len(speakers),
            "compared": [{"speaker": speaker, "right": 0.0, "wrong": 1.0} for speaker in speakers],
            "within": 0.0 if True in pairs else None,
            "between": 1.0 if False in pairs else None,
            "drift": None,
        }

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return similarity, its margin over the wrong voice, drift, within, separation, and turns lost."""
        name, measured = self.name, [clip for clip in clips if clip.measured]
        by = ENCODERS.get(name, f" by {name}")
        turns = [
            (clip.prompt.cluster, turn)
            for clip in measured
            for turn in clip.values["compared"]
            if turn["right"] is not None
        ]
        similarities = [Contribution(prompt, turn["right"]) for prompt, turn in turns]
        margins = [
            Contribution(prompt, turn["right"] - turn["wrong"])
            for prompt, turn in turns
            if turn["wrong"] is not None
        ]
        return [
            summarise_mean(
                name,
                similarities,
                "no turn was located, or no prompt voice is known",
                1,
                bounds=COSINE,
                label=f"similarity to the right voice{by}",
                unit="cosine",
                headline=self.headline,
                not_measured=count_reasons(clips),
            ),
            summarise_mean(
                f"{name}_margin",
                margins,
                "no turn was located, or there is no other voice",
                1,
                label=f"margin over the wrong voice{by}",
                unit="cosine",
                headline=self.headline,
            ),
            summarise_mean(
                f"{name}_first_to_last",
                _contributions(measured, "drift"),
                "no speaker has 4.5 s of speech in a clip",
                1,
                bounds=COSINE,
                label=f"voice stays the same, first to last third{by}",
                unit="cosine",
            ),
            summarise_mean(
                f"{name}_within",
                _contributions(measured, "within"),
                "no clip has two turns of one speaker",
                1,
                bounds=COSINE,
                label=f"turns of one speaker are alike{by}",
                unit="cosine",
            ),
            summarise_mean(
                f"{name}_separation",
                _separations(measured),
                "no clip has two turns of one speaker and one of another",
                1,
                label=f"speakers differ{by}",
                unit="cosine",
            ),
            summarise_rate(
                f"{name}_turns_lost",
                _lost_turns(clips),
                "no clip has turns",
                -1,
                label=f"turns not located{by}",
            ),
        ]


def build(inputs: MetricInputs) -> Metric:
    """Return similarity by the encoder that a package carries."""
    return SpeakerSimilarity(inputs.models)


def build_wavlm(inputs: MetricInputs) -> Metric:
    """Return similarity by WavLM with an x-vector head."""
    if not inputs.config.wavlm:
        return no_model("wavlm_similarity", "wavlm")
    return SpeakerSimilarity(inputs.models, WavLMEncoder(inputs.config.wavlm), "wavlm_similarity")


def build_ecapa(inputs: MetricInputs) -> Metric:
    """Return similarity by ECAPA-TDNN."""
    if not inputs.config.ecapa:
        return no_model("ecapa_similarity", "ecapa")
    return SpeakerSimilarity(inputs.models, EcapaEncoder(inputs.config.ecapa), "ecapa_similarity")


def _compare(
    speaker: int, embedding: Embedding, voices: dict[int, Embedding]
) -> dict[str, float | int | None]:
    """Return a turn's similarity to its own and to the most similar other voice, and the nearest voice."""
    similarity = {name: float(embedding @ voice) for name, voice in voices.items()}
    others = [value for name, value in similarity.items() if name != speaker]
    return {
        "speaker": speaker,
        "right": similarity.get(speaker),
        "wrong": max(others, default=None),
        "nearest": max(similarity, key=lambda name: similarity[name]) if similarity else None,
    }


def _drift(
    encoder: SpeakerEncoder,
    recording: Recording,
    speakers: list[int],
    turns: list[Times | None],
    speaker: int,
) -> float | None:
    """Return the similarity of the first and last third of a speaker's joined turns; None below 4.5 s."""
    rate = recording.sample_rate
    own = [
        times for name, times in zip(speakers, turns, strict=True) if name == speaker and times is not None
    ]
    parts = [recording.waveform[int(start * rate) : int(end * rate)] for start, end in own]
    waveform = np.concatenate(parts or [np.zeros(0, np.float32)])
    seconds = len(waveform) / rate
    if seconds < DRIFT_SECONDS:
        return None
    joined = Recording(recording.prompt_id, recording.system, recording.script, waveform, rate)
    first = encoder.embed(joined, (0.0, seconds / 3))
    last = encoder.embed(joined, (2 * seconds / 3, seconds))
    return None if first is None or last is None else float(first @ last)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and isfinite(value)]
    return float(np.mean(known)) if known else None


def _contributions(clips: Sequence[ClipScore], key: str) -> list[Contribution]:
    return [
        Contribution(clip.prompt.cluster, clip.values[key]) for clip in clips if clip.values[key] is not None
    ]


def _separations(clips: Sequence[ClipScore]) -> list[Contribution]:
    return [
        Contribution(clip.prompt.cluster, clip.values["within"] - clip.values["between"])
        for clip in clips
        if None not in (clip.values["within"], clip.values["between"])
    ]


def _lost_turns(clips: Sequence[ClipScore]) -> list[Contribution]:
    """Return the turns without an embedding by all turns, of clips whose turns could be counted."""
    return [
        Contribution(
            clip.prompt.cluster,
            clip.values.get("lost", clip.values["turns"] - len(clip.values.get("compared", []))),
            clip.values["turns"],
        )
        for clip in clips
        if "turns" in clip.values
    ]
