"""Voices turn by turn: as the prompt's, apart from each other, and the same from the beginning to the end."""

from collections.abc import Sequence
from itertools import combinations
from math import isfinite

import numpy as np

from dia.evaluation.metrics.protocol import (
    NOT_MEASURED,
    Clip,
    Context,
    Origin,
    Part,
    Row,
    Values,
    not_measured,
    origin_of,
    ratio,
)
from dia.evaluation.shared_models import Hearing
from dia.judges.recording import Recording, Times
from dia.judges.speakers import Embedding, SpeakerEncoder

DRIFT_SECONDS = 4.5  # of a speaker in a clip, that a first and a last third of 1.5 s each exist


class SpeakerSimilarity:
    """Cosine similarities by ``encoder``; where turns lie is what ``hearing`` says, or what is known of the
    recording.
    """

    reads = ("voices",)

    def __init__(
        self, hearing: Hearing, encoder: SpeakerEncoder | None = None, name: str = "similarity"
    ) -> None:
        self.hearing, self.encoder, self.name, self.version = hearing, encoder or hearing.encoder, name, "1"

    def provenance(self) -> Origin:
        """Return the encoder and the aligner."""
        return origin_of(self.encoder, self.hearing.alignment)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return per turn its speaker, and its similarity to the right and the likest wrong voice; and drift
        and separation.

        `drift` is the similarity of a speaker's first and last third, `within` that of two turns of one
        speaker, `between` that of turns of two speakers, each a mean over the clip; None where there is too
        little of it.
        """
        turns = self.hearing.turns(recording)
        voices = self.hearing.enroll(self.encoder, context.voices)
        found = [None if times is None else self.encoder.embed(recording, times) for times in turns]
        speakers = [turn.speaker for turn in recording.script.turns]
        known = [
            (speaker, embedding)
            for speaker, embedding in zip(speakers, found, strict=True)
            if embedding is not None
        ]
        if not known:
            return {NOT_MEASURED: "no turn was found that is long enough", "turns": len(turns)}
        pairs = list(combinations(known, 2))
        return {
            "turns": len(turns),
            "compared": [_compared(speaker, embedding, voices) for speaker, embedding in known],
            "within": _mean(
                [float(one @ other) for (first, one), (second, other) in pairs if first == second]
            ),
            "between": _mean(
                [float(one @ other) for (first, one), (second, other) in pairs if first != second]
            ),
            "drift": _mean(
                [_drift(self.encoder, recording, speakers, turns, speaker) for speaker in set(speakers)]
            ),
        }

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return similarity to the right voice, its margin over the wrong one, drift, within, separation, and
        turns not found.
        """
        measured = [clip for clip in clips if clip.measured]
        turns = [
            (clip.prompt.id, turn)
            for clip in measured
            for turn in clip.values["compared"]
            if turn["right"] is not None
        ]
        margins = [
            Part(prompt, turn["right"] - turn["wrong"]) for prompt, turn in turns if turn["wrong"] is not None
        ]
        lost = [
            Part(
                clip.prompt.id,
                clip.values["turns"] - len(clip.values.get("compared", [])),
                clip.values["turns"],
            )
            for clip in clips
        ]
        apart = [
            Part(clip.prompt.id, clip.values["within"] - clip.values["between"])
            for clip in measured
            if None not in (clip.values["within"], clip.values["between"])
        ]
        no_voice = "no turn was found, or no prompt voice is known"
        return [
            ratio(
                self.name,
                [Part(prompt, turn["right"]) for prompt, turn in turns],
                no_voice,
                1,
                not_measured=not_measured(clips),
            ),
            ratio(f"{self.name}_margin", margins, "no turn was found, or there is no other voice", 1),
            ratio(
                f"{self.name}_first_to_last",
                _parts(measured, "drift"),
                "no speaker is heard for 4.5 s in a clip",
                1,
            ),
            ratio(
                f"{self.name}_within", _parts(measured, "within"), "no clip has two turns of one speaker", 1
            ),
            ratio(
                f"{self.name}_separation", apart, "no clip has two turns of one speaker and one of another", 1
            ),
            ratio(f"{self.name}_turns_lost", lost, "no clip has turns", -1),
        ]


def _compared(
    speaker: int, embedding: Embedding, voices: dict[int, Embedding]
) -> dict[str, float | int | None]:
    """A turn's similarity to its own voice, to the likest other one, and which voice it is nearest to."""
    to = {name: float(embedding @ voice) for name, voice in voices.items()}
    others = [value for name, value in to.items() if name != speaker]
    nearest = max(to, key=lambda name: to[name]) if to else None
    return {
        "speaker": speaker,
        "right": to.get(speaker),
        "wrong": max(others, default=None),
        "nearest": nearest,
    }


def _drift(
    encoder: SpeakerEncoder,
    recording: Recording,
    speakers: list[int],
    turns: list[Times | None],
    speaker: int,
) -> float | None:
    """Similarity of the first and the last third of what one speaker says, joined; None for less than 4.5
    s.
    """
    rate = recording.sample_rate
    mine = [times for own, times in zip(speakers, turns, strict=True) if own == speaker and times is not None]
    said = np.concatenate(
        [recording.waveform[int(start * rate) : int(end * rate)] for start, end in mine]
        or [np.zeros(0, np.float32)]
    )
    seconds = len(said) / rate
    if seconds < DRIFT_SECONDS:
        return None
    joined = Recording(recording.prompt_id, recording.system, recording.script, said, rate)
    first, last = encoder.embed(joined, (0.0, seconds / 3)), encoder.embed(joined, (2 * seconds / 3, seconds))
    return None if first is None or last is None else float(first @ last)


def _mean(values: Sequence[float | None]) -> float | None:
    kept = [value for value in values if value is not None and isfinite(value)]
    return float(np.mean(kept)) if kept else None


def _parts(clips: Sequence[Clip], key: str) -> list[Part]:
    return [Part(clip.prompt.id, clip.values[key]) for clip in clips if clip.values[key] is not None]
