"""NVV-SuperBench's precision, recall and F1 within two words, from our detector's events instead of a
language model's.

Counted as they count (`dia/evaluation/compatibility.py`): one asked event a clip; what else is heard is a
false one. Tags that share a class of the detector (laughs and chuckle) are heard together, so the precision
is that of the detector as well.
"""

from collections.abc import Mapping, Sequence

from dia.evaluation.compatibility import SuperbenchClip, superbench
from dia.evaluation.metrics.placement import events_of
from dia.evaluation.metrics.protocol import Clip, Part, Row, ratio
from dia.judges.events import Calibration

NOTHING = "no clip asks for just one tag that the detector can tell"


def superbench_rows(clips: Sequence[Clip], calibration: Mapping[str, Calibration]) -> list[Row]:
    """Return `superbench_f1`, whose parts are 2 TP by 2 TP + FP + FN of each clip, with the other figures
    beside it.
    """
    known = {tag: found for tag, found in calibration.items() if found.measurable}
    asked = [clip for clip in clips if clip.prompt.version in ("", "tag") and len(clip.values["asked"]) == 1]
    kept = [(clip, superbench_clip(clip, known)) for clip in asked if clip.values["asked"][0]["tag"] in known]
    parts = []
    for clip, counted in kept:
        one = superbench([counted], references=1)
        hits = round(one["recall"])
        found = int(counted.heard is not None) + counted.other
        parts.append(Part(clip.prompt.id, 2.0 * hits, float(found + 1)))
    return [
        ratio(
            "superbench_f1",
            parts,
            NOTHING,
            1,
            **superbench([counted for _, counted in kept], references=len(asked)),
        )
    ]


def superbench_clip(clip: Clip, known: Mapping[str, Calibration]) -> SuperbenchClip:
    """Return a clip as the benchmark sees it: the event of the asked tag that lies nearest, and the number of
    all others.
    """
    item = clip.values["asked"][0]
    events = {tag: events_of(clip.values, tag, found.threshold) for tag, found in known.items()}
    slots = [event.slot for event in events[item["tag"]] if event.slot is not None]
    nearest = min(slots, key=lambda slot: abs(slot - item["slot"]), default=None)
    others = sum(map(len, events.values())) - (nearest is not None)
    return SuperbenchClip(item["slot"], nearest, len(clip.values["words"]), others)
