"""Which clips contain a detected sound, and differences between the versions of a prompt."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.metrics.result import Contribution
from dia.judges.events import Calibration

NO_CLIP = "no clip of that kind"
NO_PAIR = "no group has both versions"
WITH_TAG = ("", "tag")  # versions of a prompt whose script has the tag that is tested
Calibrations = Mapping[str, Calibration]
ClipValue = Callable[[ClipScore], float]


def detected(clip: ClipScore, tag: str, calibration: Calibration) -> float:
    """Return 1 where the highest score of a tag reaches the threshold, else 0."""
    return float(max(clip.values["scores"].get(tag, [0.0]), default=0.0) >= calibration.threshold)


def has_tag(clip: ClipScore, tag: str) -> bool:
    """Return whether a clip's script has a tag."""
    return any(item["tag"] == tag for item in clip.values["asked"])


def paired_differences(
    clips: Sequence[ClipScore], first: str, second: str, value: ClipValue
) -> list[Contribution]:
    """Return the mean ``value`` of version ``first`` minus that of ``second`` of each group that has both."""
    groups: dict[str, dict[str, list[float]]] = {}
    for clip in clips:
        if clip.prompt.group and clip.prompt.version in (first, second):
            groups.setdefault(clip.prompt.group, {}).setdefault(clip.prompt.version, []).append(value(clip))
    return [
        Contribution(group, float(np.mean(versions[first]) - np.mean(versions[second])))
        for group, versions in sorted(groups.items())
        if len(versions) == 2
    ]
