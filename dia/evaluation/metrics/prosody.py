"""How it is spoken: pace, pitch and its range, pauses; and whether what should be more aroused is.

Arousal is judged inside a system and a speaker, from pitch, energy and pace against what is usual there (see
`dia/judges/prosody.py`), so a system's loudness or a deep voice is neither high nor low. What counts is the
order: of two clips of one group, is the one that was asked to be high above the one that was asked to be low.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dia.audio.files import resample
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
    parts_of,
    ratio,
)
from dia.evaluation.shared_models import Hearing
from dia.judges.prosody import (
    FEWEST_VOICED,
    FRAMES,
    SAMPLE_RATE,
    Contour,
    PitchTracker,
    arousal_features,
    contour,
    energy_of,
    loud_frames,
    pauses_of,
    pitch_track,
    robust_deviation,
)
from dia.judges.recording import Recording
from dia.judges.words import transcript_words

PAUSE = 0.2  # seconds of quiet inside the speech that are a pause
NO_VOICE = "there is no voice to hear"
NO_PAIR = "no group asks for high and for low arousal, or its speakers have fewer than four turns"
FEWEST = 4  # turns of a speaker that tell what is usual for it


class Prosody:
    """Words a second, pitch in hertz, its range by speaker in semitones (5th to 95th percentile), pauses in
    seconds.
    """

    name, version, reads = "prosody", "2", ()

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing

    def provenance(self) -> Origin:
        """Return the recogniser and the tracker of pitch."""
        return origin_of(self.hearing.recogniser, self.hearing.alignment, PitchTracker("pyin"))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return `rate` (recognised words a second from the first to the last), pitch, range and pauses."""
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        loud, pitch = np.flatnonzero(loud_frames(energy_of(waveform))), pitch_track(waveform)
        if not len(loud) or not np.isfinite(pitch).any():
            return {NOT_MEASURED: NO_VOICE}
        begin, end = loud[0] / FRAMES, (loud[-1] + 1) / FRAMES
        pauses = [
            stop - start for start, stop in pauses_of(waveform, PAUSE) if start >= begin and stop <= end
        ]
        words = [word for word in self.hearing.words(recording) if transcript_words(word.text)]
        spoken = words[-1].end - words[0].start if words else 0.0
        return {
            "rate": len(words) / spoken if spoken > 0 else None,
            "pitch": float(np.nanmedian(pitch)), "pitch_range": self._range(recording, pitch),
            "pauses": len(pauses), "pause_seconds": sum(pauses), "seconds": float(end - begin),
        }  # fmt: skip

    def _range(self, recording: Recording, pitch: NDArray[np.float64]) -> float | None:
        """Semitones from the 5th to the 95th percentile, mean over the speakers; None where no turn was
        found.
        """
        by_speaker: dict[int, list[NDArray[np.float64]]] = {}
        for turn, times in zip(recording.script.turns, self.hearing.turns(recording), strict=True):
            if times is not None:
                by_speaker.setdefault(turn.speaker, []).append(
                    pitch[int(times[0] * FRAMES) : int(times[1] * FRAMES)]
                )
        spoken = [np.concatenate(parts) for parts in by_speaker.values()]
        ranges = [
            np.ptp(np.nanpercentile(12 * np.log2(part), [5, 95]))
            for part in spoken
            if np.isfinite(part).sum() >= FEWEST_VOICED
        ]
        return float(np.mean(ranges)) if ranges else None

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return words a second, pitch, its range, the share of time that is pause, and a pause's mean
        length.
        """
        reasons = not_measured(clips)
        return [
            ratio("words_per_second", parts_of(clips, "rate"), NO_VOICE, not_measured=reasons),
            ratio("pitch_hertz", parts_of(clips, "pitch"), NO_VOICE),
            ratio("pitch_range_semitones", parts_of(clips, "pitch_range"), NO_VOICE),
            ratio("pause_share", parts_of(clips, "pause_seconds", "seconds"), NO_VOICE),
            ratio("pause_seconds", parts_of(clips, "pause_seconds", "pauses"), "there are no pauses"),
        ]


class Arousal:
    """Agreement of heard with asked arousal, on prompts that ask for high and for low ones in groups."""

    name, version, reads = "arousal", "1", ()

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing

    def provenance(self) -> Origin:
        """Return the tracker of pitch and the aligner."""
        return origin_of(self.hearing.alignment, PitchTracker("yin"))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return of each turn with a voice its speaker, log2 pitch, energy in decibels, and characters a
        second.
        """
        whole, turns = _contour(recording), []
        for turn, times in zip(recording.script.turns, self.hearing.turns(recording), strict=True):
            found = None if times is None else arousal_features(whole.part(*times), len(turn.text))
            if found is not None and np.isfinite(found).all():
                turns.append([turn.speaker, *map(float, found)])
        return {"turns": turns} if turns else {NOT_MEASURED: "no turn with a voice was found"}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return `arousal_agreement` (share of pairs in order; .5 is rng) and `arousal_difference` in robust
        deviations.
        """
        asked = [clip for clip in clips if clip.prompt.group and clip.prompt.arousal in ("high", "low")]
        scores = clip_arousal([clip for clip in asked if clip.measured])
        return arousal_rows(self.name, scores, not_measured(asked))


def arousal_rows(
    name: str, scores: Sequence[tuple[Clip, float]], reasons: dict[str, int] | None = None
) -> list[Row]:
    """Return agreement and difference of arousal over the pairs of clips of one group of which one asks for
    high, one for low.
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for clip, score in scores:
        if clip.prompt.group and clip.prompt.arousal:
            groups.setdefault(clip.prompt.group, {}).setdefault(clip.prompt.arousal, []).append(score)
    pairs = [
        (group, high - low)
        for group, found in groups.items()
        for high in found.get("high", [])
        for low in found.get("low", [])
    ]
    agreement = [Part(group, 0.5 * (float(np.sign(difference)) + 1)) for group, difference in pairs]
    return [
        ratio(f"{name}_agreement", agreement, NO_PAIR, 1, not_measured=reasons or {}),
        ratio(f"{name}_difference", [Part(group, difference) for group, difference in pairs], NO_PAIR, 1),
    ]


def clip_arousal(clips: Sequence[Clip]) -> list[tuple[Clip, float]]:
    """Return clips with the mean arousal of their turns, each against what is usual for its speaker over all
    these clips.

    Turns of a speaker who has fewer than four are left out, and clips that then have none.
    """
    turns = [(place, *turn) for place, clip in enumerate(clips) for turn in clip.values["turns"]]
    found: dict[int, list[float]] = {}
    for speaker in sorted({turn[1] for turn in turns}):
        own = [turn for turn in turns if turn[1] == speaker]
        if len(own) < FEWEST:
            continue
        for (place, *_), score in zip(
            own, robust_deviation(np.array([turn[2:] for turn in own])), strict=True
        ):
            found.setdefault(place, []).append(float(score))
    return [(clips[place], float(np.mean(scores))) for place, scores in sorted(found.items())]


def _contour(recording: Recording) -> Contour:
    return contour(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
