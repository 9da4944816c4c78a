"""Script-conditioned turn accuracy: the script is aligned to the sound, and each turn's nearest prompt voice
is looked up.

No diarisation: where a turn lies follows from its words, so it takes for granted that they were said; the
share of turns and words that were found stands beside it. Follows TTSD-eval (OpenMOSS/MOSS-TTSD), with the
confusion of speakers, the pace and the gaps between turns.
"""

from collections.abc import Sequence
from itertools import pairwise

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
    rate,
    ratio,
)
from dia.evaluation.shared_models import Hearing
from dia.evaluation.turn_alignment import script_words
from dia.judges.recording import Recording
from dia.judges.speakers import Embedding, SpeakerEncoder


class TurnAccuracy:
    """Turns by nearest voice, by ``encoder``; where they lie is what ``hearing`` says."""

    name, version, reads = "turns", "1", ("voices",)

    def __init__(self, hearing: Hearing, encoder: SpeakerEncoder | None = None) -> None:
        self.hearing, self.encoder = hearing, encoder or hearing.encoder

    def provenance(self) -> Origin:
        """Return the encoder and the aligner."""
        return origin_of(self.encoder, self.hearing.alignment)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return per turn its speaker and the nearest voice, words found, seconds and gaps.

        The nearest voice is None for a turn that was not found or is too short, and for a speaker whose voice
        nobody knows.
        """
        voices = self.hearing.enroll(self.encoder, context.voices)
        if len(voices) < 2:
            return {NOT_MEASURED: "fewer than two prompt voices are known"}
        times = self.hearing.turns(recording)
        embedded = [None if found is None else self.encoder.embed(recording, found) for found in times]
        speakers = [turn.speaker for turn in recording.script.turns]
        nearest = [
            None if embedding is None or speaker not in voices else nearest_voice(embedding, voices)
            for speaker, embedding in zip(speakers, embedded, strict=True)
        ]
        words = self.hearing.script_words(recording)
        known = [found for found in times if found is not None]
        return {
            "speakers": speakers, "nearest": nearest,
            "found": [found is not None for found in times],
            "words": len(script_words(recording.script)), "words_found": sum(word.times is not None for word in words),
            "gaps": [second[0] - first[1] for first, second in pairwise(times) if first is not None and second is not None],
            "seconds": sum(end - start for start, end in known),
        }  # fmt: skip

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return `turn_accuracy` of the turns that were judged and the rest: turns and words found,
        confusion, swaps, gaps.
        """
        turns = [(clip.prompt.id, *turn) for clip in clips if clip.measured for turn in _turns(clip)]
        judged = [(prompt, speaker, nearest) for prompt, speaker, nearest, _ in turns if nearest is not None]
        right = [Part(prompt, float(speaker == nearest)) for prompt, speaker, nearest in judged]
        confusion: dict[str, dict[str, int]] = {}
        for _, speaker, nearest in judged:
            row = confusion.setdefault(f"S{speaker}", {})
            row[f"S{nearest}"] = row.get(f"S{nearest}", 0) + 1
        measured = [clip for clip in clips if clip.measured]
        swapped = [
            Part(
                clip.prompt.id,
                float(any(near is not None and near != speaker for speaker, near, _ in _turns(clip))),
            )
            for clip in measured
        ]
        gaps = [Part(clip.prompt.id, gap) for clip in measured for gap in clip.values["gaps"]]
        reasons = not_measured(clips)
        nothing = next(iter(reasons), "no turn was found that is long enough")
        return [
            ratio("turn_accuracy", right, nothing, 1, confusion=confusion, not_measured=reasons),
            ratio("turns_found", [Part(prompt, float(found)) for prompt, _, _, found in turns], nothing, 1),
            ratio(
                "script_coverage",
                [Part(c.prompt.id, c.values["words_found"], c.values["words"]) for c in measured],
                nothing,
                1,
            ),
            rate("voice_swaps", swapped, nothing, -1),
            ratio("turn_gap_seconds", gaps, nothing),
            ratio("overlaps", [Part(part.cluster, float(part.top < 0)) for part in gaps], nothing),
        ]


def nearest_voice(embedding: Embedding, voices: dict[int, Embedding]) -> int:
    """Return the speaker whose voice is likest."""
    return max(voices, key=lambda name: float(embedding @ voices[name]))


def _turns(clip: Clip) -> list[tuple[int, int | None, bool]]:
    """Speaker, nearest voice, and whether it was found, of each turn."""
    return list(zip(clip.values["speakers"], clip.values["nearest"], clip.values["found"], strict=True))
