"""NVV-SuperBench's precision, recall and F1 within two words, by our detector instead of a language model.

Counted as the benchmark counts (`dia/evaluation/compatibility.py`): one requested event per clip, and every
other event is a false one. Tags that share a class of the detector (laughs and chuckle) are detected
together, so the precision includes that of the detector.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dia.evaluation.compatibility import SuperbenchClip, superbench
from dia.evaluation.metrics.placement import events_of
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate
from dia.judges.events import Calibration

NO_CLIP = "no script has exactly one tag that the detector can measure"


def summarise_superbench(
    clips: Sequence[ClipScore], calibration: Mapping[str, Calibration]
) -> list[MetricResult]:
    """Return `superbench_f1` (2 TP / (2 TP + FP + FN) over clips), with the other values as detail."""
    measurable = {tag: item for tag, item in calibration.items() if item.measurable}
    with_one_tag = [
        clip for clip in clips if clip.prompt.version in ("", "tag") and len(clip.values["asked"]) == 1
    ]
    counted = [
        (clip.prompt.cluster, superbench_clip(clip, measurable))
        for clip in with_one_tag
        if clip.values["asked"][0]["tag"] in measurable
    ]
    contributions = []
    for prompt, clip in counted:
        hits = round(superbench([clip], references=1)["recall"])
        events = int(clip.detected_slot is not None) + clip.other
        contributions.append(Contribution(prompt, 2.0 * hits, float(events + 1)))
    values: dict[str, Any] = {**superbench([clip for _, clip in counted], references=len(with_one_tag))}
    return [
        summarise_rate(
            "superbench_f1", contributions, NO_CLIP, 1, label="NVV-SuperBench F1 within two words", **values
        )
    ]


def superbench_clip(clip: ClipScore, calibration: Mapping[str, Calibration]) -> SuperbenchClip:
    """Return a clip as the benchmark counts it: the event nearest to the tag, and the other events."""
    tag = clip.values["asked"][0]
    events = {name: events_of(clip.values, name, item.threshold) for name, item in calibration.items()}
    slots = [event.slot for event in events[tag["tag"]] if event.slot is not None]
    nearest = min(slots, key=lambda slot: abs(slot - tag["slot"]), default=None)
    others = sum(map(len, events.values())) - (nearest is not None)
    return SuperbenchClip(tag["slot"], nearest, len(clip.values["words"]), others)
