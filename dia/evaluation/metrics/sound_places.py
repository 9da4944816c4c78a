"""Where the sounds of tags are, and who makes them."""

from collections.abc import Sequence
from typing import Any

from dia.evaluation.metrics.placement import Event, events_of, slot_errors
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.metrics.result import (
    Contribution,
    MetricResult,
    summarise_mean,
    summarise_rate,
    summarise_ratio,
)
from dia.evaluation.metrics.tag_clips import NO_CLIP, WITH_TAG, Calibrations

NO_EVENT = "no tag of a script that the detector can measure was detected"
SLOT_DISTANCES = (0, 1, 2, 3)  # words


def summarise_places(clips: Sequence[ClipScore], calibration: Calibrations) -> list[MetricResult]:
    """Return the distance of events from their tags, the share of tags hit, and whose sound it is."""
    errors: list[Contribution] = []
    hits: dict[int, list[Contribution]] = {distance: [] for distance in SLOT_DISTANCES}
    speakers: list[Contribution] = []
    for clip in clips:
        for tag, item in calibration.items():
            slots = [slot for slot in clip.values["asked"] if slot["tag"] == tag]
            if not slots or clip.prompt.version not in WITH_TAG:
                continue
            events, prompt = events_of(clip.values, tag, item.threshold), clip.prompt.cluster
            errors += [Contribution(prompt, float(error)) for error in slot_errors(events, slots)]
            speakers += [Contribution(prompt, float(right)) for right in _right_speakers(events, slots)]
            for distance in SLOT_DISTANCES:
                hits[distance] += [
                    Contribution(prompt, float(_is_hit(events, slot["slot"], distance))) for slot in slots
                ]
    absolute = [Contribution(error.cluster, abs(error.numerator)) for error in errors]
    return [
        summarise_mean(
            "slot_error", errors, NO_EVENT, label="distance from a tag to its sound", unit="words"
        ),
        summarise_ratio(
            "slot_error_absolute",
            absolute,
            NO_EVENT,
            -1,
            label="distance between a tag and its sound",
            unit="words",
        ),
        *(
            summarise_rate(
                f"slot_hit_{distance}",
                items,
                NO_CLIP,
                1,
                label=f"tags whose sound is within {distance} words",
            )
            for distance, items in hits.items()
        ),
        summarise_rate(
            "right_speaker", speakers, NO_EVENT, 1, label="sounds made by the right speaker", headline=True
        ),
    ]


def _is_hit(events: Sequence[Event], slot: int, distance: int) -> bool:
    return any(event.slot is not None and abs(event.slot - slot) <= distance for event in events)


def _right_speakers(events: Sequence[Event], slots: Sequence[dict[str, Any]]) -> list[bool]:
    """Return of each event with a place whether its speaker is that of the nearest tag."""
    return [
        _nearest(slots, event.slot)["speaker"] == event.speaker for event in events if event.slot is not None
    ]


def _nearest(slots: Sequence[dict[str, Any]], slot: int) -> dict[str, Any]:
    return min(slots, key=lambda item: abs(item["slot"] - slot))
