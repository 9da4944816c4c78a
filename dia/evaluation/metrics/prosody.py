"""Prosody: pace, pitch, pitch range, energy and pauses; and whether arousal follows the script.

Arousal is measured within a system and a speaker, from pitch, energy and pace relative to that speaker's
usual values (see `dia/judges/prosody.py`), so that a loud system or a deep voice is neither high nor low.
Only the order counts: of two clips of one group, the one with the script of high arousal must be above the
other.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dia.audio.files import resample
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
    Contribution,
    MetricResult,
    summarise_mean,
    summarise_rate,
    summarise_ratio,
)
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.judges.prosody import (
    FRAMES,
    MIN_VOICED,
    SAMPLE_RATE,
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

PAUSE = 0.2  # seconds of silence within speech that count as a pause
NO_VOICE = "there is no voice to hear"
NO_TURN = "no turn with a voice was found"
NO_PAIR = "no group has a high and a low version, or its speakers have fewer than four turns"
FEWEST_TURNS = 4  # of a speaker, below which its usual values are unknown


class Prosody:
    """Pace, pitch, pitch range, energy spread and pauses, in words per second, hertz, semitones, decibels and
    seconds."""

    name, version, reads = "prosody", "3", ()

    def __init__(self, models: SharedModels) -> None:
        self.models = models

    def provenance(self) -> Models:
        """Return the ASR model, the aligner and the pitch tracker."""
        return provenance_of(self.models.recogniser, self.models.alignment, PitchTracker("pyin"))

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return `rate` (recognised words per second from first to last), pitch, ranges and pauses."""
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        energy = energy_of(waveform)
        loud = np.flatnonzero(loud_frames(energy))
        pitch = pitch_track(waveform)
        if not len(loud) or not np.isfinite(pitch).any():
            return NotMeasured(NO_VOICE)
        begin, end = loud[0] / FRAMES, (loud[-1] + 1) / FRAMES
        pauses = [
            stop - start for start, stop in pauses_of(waveform, PAUSE) if start >= begin and stop <= end
        ]
        words = [word for word in self.models.usable_words(recording) if transcript_words(word.text)]
        seconds_of_words = words[-1].end - words[0].start if words else 0.0
        return {
            "rate": len(words) / seconds_of_words if seconds_of_words > 0 else None,
            "pitch": float(np.nanmedian(pitch)),
            "pitch_range": self._pitch_range(recording, pitch, (5, 95)),
            "pitch_spread": self._pitch_range(recording, pitch, (25, 75)),
            "energy_spread": float(energy[loud].std()),
            "pauses": len(pauses),
            "pause_seconds": sum(pauses),
            "seconds": float(end - begin),
        }

    def _pitch_range(
        self, recording: Recording, pitch: NDArray[np.float64], percentiles: tuple[int, int]
    ) -> float | None:
        """Return semitones between two percentiles, mean over speakers; None without a turn."""
        by_speaker: dict[int, list[NDArray[np.float64]]] = {}
        for turn, times in zip(recording.script.turns, self.models.turns(recording), strict=True):
            if times is not None:
                part = pitch[int(times[0] * FRAMES) : int(times[1] * FRAMES)]
                by_speaker.setdefault(turn.speaker, []).append(part)
        ranges = [
            np.ptp(np.nanpercentile(12 * np.log2(track), percentiles))
            for track in map(np.concatenate, by_speaker.values())
            if np.isfinite(track).sum() >= MIN_VOICED
        ]
        return float(np.mean(ranges)) if ranges else None

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return pace, pitch, ranges, the share of time in pauses, and the mean length of a pause."""
        reasons = count_reasons(clips)
        pauses = contributions_of(clips, "pause_seconds", "pauses")
        return [
            summarise_mean(
                "words_per_second",
                contributions_of(clips, "rate"),
                NO_VOICE,
                label="pace",
                unit="words a second",
                not_measured=reasons,
            ),
            summarise_mean(
                "pitch_hertz", contributions_of(clips, "pitch"), NO_VOICE, label="pitch", unit="Hz"
            ),
            summarise_mean(
                "pitch_range_semitones",
                contributions_of(clips, "pitch_range"),
                NO_VOICE,
                label="pitch range",
                unit="semitones",
            ),
            summarise_mean(
                "pitch_spread_semitones",
                contributions_of(clips, "pitch_spread"),
                NO_VOICE,
                label="pitch spread, middle half",
                unit="semitones",
            ),
            summarise_mean(
                "energy_spread_decibels",
                contributions_of(clips, "energy_spread"),
                NO_VOICE,
                label="energy spread",
                unit="dB",
            ),
            summarise_rate(
                "pause_share",
                contributions_of(clips, "pause_seconds", "seconds"),
                NO_VOICE,
                label="time in pauses",
            ),
            summarise_ratio(
                "pause_seconds", pauses, "there are no pauses", label="length of a pause", unit="s"
            ),
        ]


class Arousal:
    """Agreement of acoustic arousal with the script, on groups of prompts of high and of low arousal."""

    name, version, reads = "arousal", "1", ()

    def __init__(self, models: SharedModels) -> None:
        self.models = models

    def provenance(self) -> Models:
        """Return the aligner and the pitch tracker."""
        return provenance_of(self.models.alignment, PitchTracker("yin"))

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return speaker, log2 pitch, energy in decibels and characters per second of each voiced turn."""
        whole = contour(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
        turns = []
        for turn, times in zip(recording.script.turns, self.models.turns(recording), strict=True):
            features = None if times is None else arousal_features(whole.part(*times), len(turn.text))
            if features is not None and np.isfinite(features).all():
                turns.append([turn.speaker, *map(float, features)])
        return {"turns": turns} if turns else NotMeasured(NO_TURN)

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return `arousal_agreement` (share of pairs in order; random is .5) and `arousal_difference`."""
        versions = [clip for clip in clips if clip.prompt.group and clip.prompt.arousal in ("high", "low")]
        measured = [clip for clip in versions if clip.measured]
        scores = arousal_by_clip([clip for clip in measured if "turns" in clip.values])
        lost = [clip.prompt.cluster for clip in measured if "turns" not in clip.values]
        return summarise_arousal(self.name, scores, count_reasons(versions), lost, headline=True)

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return a clip without turns, whose pair counts as one in the wrong order."""
        return {} if reason in ("", NO_TURN) else None


def summarise_arousal(
    name: str,
    scores: Sequence[tuple[ClipScore, float]],
    reasons: Mapping[str, int] | None = None,
    lost: Sequence[str] = (),
    *,
    headline: bool = False,
) -> list[MetricResult]:
    """Return agreement and difference over all pairs of a high and a low clip of one group.

    The difference is in robust deviations of the speaker's usual values. Groups of ``lost`` clips have a pair
    that does not agree.
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for clip, score in scores:
        if clip.prompt.group and clip.prompt.arousal:
            groups.setdefault(clip.prompt.group, {}).setdefault(clip.prompt.arousal, []).append(score)
    pairs = [
        (group, high - low)
        for group, by_level in groups.items()
        for high in by_level.get("high", [])
        for low in by_level.get("low", [])
    ]
    agreement = [Contribution(group, 0.5 * (float(np.sign(difference)) + 1)) for group, difference in pairs]
    agreement += [Contribution(group, 0.0) for group in lost]
    differences = [Contribution(group, difference) for group, difference in pairs]
    return [
        summarise_rate(
            f"{name}_agreement",
            agreement,
            NO_PAIR,
            1,
            label="pairs whose arousal follows the script",
            headline=headline,
            not_measured=dict(reasons or {}),
        ),
        summarise_mean(
            f"{name}_difference",
            differences,
            NO_PAIR,
            1,
            label="difference of high and low arousal",
            unit="deviations of the speaker",
        ),
    ]


def arousal_by_clip(clips: Sequence[ClipScore]) -> list[tuple[ClipScore, float]]:
    """Return each clip with the mean arousal of its turns, relative to the speaker's usual over all clips.

    Turns of a speaker with fewer than four turns are left out, and so are clips without another turn.
    """
    turns = [(place, *turn) for place, clip in enumerate(clips) for turn in clip.values["turns"]]
    scores_by_clip: dict[int, list[float]] = {}
    for speaker in sorted({turn[1] for turn in turns}):
        own = [turn for turn in turns if turn[1] == speaker]
        if len(own) < FEWEST_TURNS:
            continue
        for (place, *_), score in zip(
            own, robust_deviation(np.array([turn[2:] for turn in own])), strict=True
        ):
            scores_by_clip.setdefault(place, []).append(float(score))
    return [(clips[place], float(np.mean(scores))) for place, scores in sorted(scores_by_clip.items())]


def build(inputs: MetricInputs) -> Metric:
    """Return pace, pitch and pauses."""
    return Prosody(inputs.models)


def build_arousal(inputs: MetricInputs) -> Metric:
    """Return the agreement of arousal."""
    return Arousal(inputs.models)
