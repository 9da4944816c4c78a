"""Measure a detector at 5 % false alarms: recall of each tag, and how well its sounds are placed.

    python scripts/recordings/score_detector.py FOLDER [HEAD [LABELS [SOURCES]]]

The clips are those of `python -m dia.eval calibrate`: nine seconds of running speech, each sound in one of
them. The threshold of a tag lets 5 % of the clips without it pass; it is chosen on four fifths of the people
and applied to the others. A hit is placed when the middle of the detected stretch lies within .3 s of the
sound.
SOURCES, separated by commas, restricts the recordings of sounds.
"""

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dia.evaluation.calibration import CLIP_SECONDS, read_labelled
from dia.evaluation.calibration_clips import CalibrationClip, calibration_clips
from dia.evaluation.statistics import wilson
from dia.judges.sound_detectors import SoundDetector, open_detector
from dia.progress import progress

FALSE_ALARMS, TOLERANCE = 0.05, 0.3


@dataclass(frozen=True)
class Scored:
    """A clip with the highest score of each tag, and the time of it in seconds."""

    clip: CalibrationClip
    score: dict[str, float]
    time: dict[str, float]


def score(detector: SoundDetector, clip: CalibrationClip) -> Scored:
    """Return the highest score of each tag and the middle of its window."""
    starts, scores = detector.windows(clip.waveform)
    middle = starts + detector.window_seconds / 2
    times = {tag: float(middle[values.argmax()]) for tag, values in scores.items()}
    return Scored(clip, {tag: float(values.max()) for tag, values in scores.items()}, times)


def threshold(scores: NDArray[np.float64]) -> float:
    """Return the least threshold that at most 5 % of the scores reach."""
    return float(np.nextafter(np.quantile(scores, 1 - FALSE_ALARMS, method="higher"), 1))


def describe(tag: str, scored: list[Scored]) -> str:
    """Return recall, false alarms and placement of a tag, over all folds of people."""
    hits = placed = sounds = alarms = others = 0
    for fold in sorted({item.clip.fold for item in scored}):
        rest = [item.score[tag] for item in scored if item.clip.fold != fold and tag not in item.clip.tags]
        limit = threshold(np.array(rest))
        for item in (item for item in scored if item.clip.fold == fold):
            detected = item.score[tag] >= limit
            if tag not in item.clip.tags:
                others, alarms = others + 1, alarms + detected
                continue
            sounds, hits = sounds + 1, hits + detected
            (sound,) = item.clip.sounds
            near = sound.start - TOLERANCE <= item.time[tag] <= sound.end + TOLERANCE
            placed += detected and near
    recall, alarm_rate = hits / sounds, alarms / others
    (low, high), (least, most) = wilson(recall, sounds), wilson(alarm_rate, others)
    return (
        f"{tag}: recall {recall:.2f} [{low:.2f}, {high:.2f}] of {sounds}, "
        f"false alarms {alarm_rate:.3f} [{least:.3f}, {most:.3f}] of {others}, "
        f"placed {placed / max(hits, 1):.2f} of {hits}"
    )


def main(folder: str, head: str = "", labels: str = "eval/detectors/real.yaml", sources: str = "") -> None:
    """Print a line for each tag that the recordings and the detector have."""
    recordings = [
        item
        for item in read_labelled(folder, labels).recordings
        if not item.tags or not sources or item.source in sources.split(",")
    ]
    detector = open_detector(head)
    clips = list(calibration_clips(recordings, CLIP_SECONDS))
    scored = [score(detector, clip) for clip in progress(clips, "Scoring", unit="clips")]
    for tag in sorted({tag for clip in clips for tag in clip.tags} & scored[0].score.keys()):
        print(describe(tag, scored), flush=True)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
