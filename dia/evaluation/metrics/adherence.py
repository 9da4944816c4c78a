"""Nonverbal adherence of a system: does each tag of the script produce its sound and no other.

Computed from the raw detector scores of clips and a calibration. Beyond other benchmarks it measures how
often a sound comes without a tag (the plain version of the same text), the effect of the tag itself (tag
minus plain, paired by text), whether it is the right sound (swapped), the effect of an unknown tag
(sentinel), and the distance of every detected event, however far. Prompts without versions are separated by
the tags of their scripts, and are not paired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dia.evaluation.metrics.corrected import correct_rate
from dia.evaluation.metrics.placement import Event, events_of, slot_errors
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.metrics.result import (
    DIFFERENCE_OF_RATES,
    POINTS,
    Contribution,
    MetricResult,
    summarise_mean,
    summarise_rate,
    summarise_ratio,
)
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.statistics import difference_of_rates
from dia.judges.events import Calibration

NOT_CALIBRATED = "the detector has no class for it, or no labelled recording has it"
NOT_MEASURABLE = (
    "not measurable with this detector: sensitivity + specificity - 1 is below .5 on labelled recordings"
)
NO_CLIP = "no clip of that kind"
NO_PAIR = "no group has both versions"
NO_TAG = "no tag that the detector can measure has such clips"
NO_EVENT = "no tag of a script that the detector can measure was detected"
SLOT_DISTANCES = (0, 1, 2, 3)  # words
WITH_TAG = ("", "tag")  # versions of a prompt whose script has the tag that is tested
LABELS = {
    "tag_recall": "tags that are audible",
    "false_insertion": "clips with a sound that the script does not have",
    "net_tag_effect": "net effect of a tag on its sound",
}
Calibrations = Mapping[str, Calibration]
ClipValue = Callable[[ClipScore], float]


def summarise_adherence(clips: Sequence[ClipScore], calibration: Calibrations) -> list[MetricResult]:
    """Return the results of one system: by tag, over all measurable tags (micro and macro), and of words."""
    measurable = {tag: item for tag, item in calibration.items() if item.measurable}
    tags = sorted(
        {item["tag"] for clip in clips if clip.prompt.version in WITH_TAG for item in clip.values["asked"]}
    )
    by_tag = [result for tag in tags for result in _summarise_tag(clips, tag, calibration.get(tag))]
    tested = {tag: measurable[tag] for tag in tags if tag in measurable}
    return [
        *by_tag,
        *_summarise_all_tags(by_tag, list(tested)),
        *_summarise_places(clips, tested),
        *_summarise_confusion(clips, measurable),
        *_summarise_words(clips),
    ]


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


def _summarise_tag(
    clips: Sequence[ClipScore], tag: str, calibration: Calibration | None
) -> list[MetricResult]:
    """Return recall, false insertion and net effect of one tag, with corrected rates, or why not."""
    if calibration is None or not calibration.measurable:
        missing = NotMeasured(NOT_MEASURABLE if calibration else NOT_CALIBRATED)
        detail = {"calibration": asdict(calibration)} if calibration else {}
        return [MetricResult(f"{name}/{tag}", missing, detail=detail) for name in LABELS]
    recall = _summarise_recall(clips, tag, calibration)
    insertion = _summarise_insertion(clips, tag, calibration)
    return [recall, insertion, _summarise_net_effect(clips, tag, calibration, recall, insertion)]


def _summarise_recall(clips: Sequence[ClipScore], tag: str, calibration: Calibration) -> MetricResult:
    hits = [
        Contribution(clip.prompt.cluster, detected(clip, tag, calibration))
        for clip in clips
        if has_tag(clip, tag) and clip.prompt.version in WITH_TAG
    ]
    return _summarise_detections(f"tag_recall/{tag}", hits, calibration, 1)


def _summarise_insertion(clips: Sequence[ClipScore], tag: str, calibration: Calibration) -> MetricResult:
    without = [clip for clip in clips if clip.prompt.version in ("", "plain") and not has_tag(clip, tag)]
    insertions = [Contribution(clip.prompt.cluster, detected(clip, tag, calibration)) for clip in without]
    events = sum(len(events_of(clip.values, tag, calibration.threshold)) for clip in without)
    minutes = sum(clip.values["seconds"] for clip in without) / 60
    per_minute = events / minutes if minutes else None
    return _summarise_detections(f"false_insertion/{tag}", insertions, calibration, -1, per_minute=per_minute)


def _summarise_detections(
    name: str, contributions: Sequence[Contribution], calibration: Calibration, better: int, **detail: Any
) -> MetricResult:
    corrected: dict[str, Any] = (
        {"corrected": correct_rate(contributions, calibration)} if contributions else {}
    )
    return summarise_rate(
        name, contributions, NO_CLIP, better, calibration=asdict(calibration), **corrected, **detail
    )


def _summarise_net_effect(
    clips: Sequence[ClipScore],
    tag: str,
    calibration: Calibration,
    recall: MetricResult,
    insertion: MetricResult,
) -> MetricResult:
    """Return tag minus plain by group; without groups the difference of two rates of different prompts."""
    name = f"net_tag_effect/{tag}"
    known: dict[str, Any] = {"calibration": asdict(calibration)}
    own = [clip for clip in clips if clip.prompt.tag == tag]
    differences = paired_differences(own, "tag", "plain", lambda clip: detected(clip, tag, calibration))
    if differences:
        corrected = correct_rate(differences, calibration, difference=True)
        return summarise_mean(
            name,
            differences,
            NO_PAIR,
            1,
            bounds=DIFFERENCE_OF_RATES,
            paired=True,
            unit=POINTS,
            corrected=corrected,
            **known,
        )
    if recall.measured is None or insertion.measured is None:
        return MetricResult(name, NotMeasured(NO_CLIP), 1)
    unpaired = difference_of_rates(recall.measured, insertion.measured)
    return MetricResult(name, unpaired, 1, {"paired": False, **known}, unit=POINTS)


def _summarise_all_tags(by_tag: Sequence[MetricResult], tags: Sequence[str]) -> list[MetricResult]:
    """Return each metric over all tags: micro (clips have equal weights) and macro (tags have)."""
    results = []
    for name, better in (("tag_recall", 1), ("false_insertion", -1), ("net_tag_effect", 1)):
        own = {
            tag: result.contributions
            for result in by_tag
            for tag in tags
            if result.name == f"{name}/{tag}" and result.contributions
        }
        micro = [item for items in own.values() for item in items]
        macro = [
            Contribution(item.cluster, item.numerator / len(items), 1 / len(items))
            for items in own.values()
            for item in items
        ]
        common: dict[str, Any] = {"tags": sorted(own)}
        mean_label = f"{LABELS[name]}, mean of tags"
        if name == "net_tag_effect":
            common |= {"bounds": DIFFERENCE_OF_RATES, "unit": POINTS}
            results += [
                summarise_mean(name, micro, NO_TAG, better, label=LABELS[name], headline=True, **common),
                summarise_mean(f"{name}_macro", macro, NO_TAG, better, label=mean_label, **common),
            ]
        else:
            is_headline = name != "tag_recall"
            results += [
                summarise_rate(
                    name, micro, NO_TAG, better, label=LABELS[name], headline=is_headline, **common
                ),
                summarise_rate(f"{name}_macro", macro, NO_TAG, better, label=mean_label, **common),
            ]
    return results


def _summarise_places(clips: Sequence[ClipScore], calibration: Calibrations) -> list[MetricResult]:
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


def _summarise_confusion(clips: Sequence[ClipScore], calibration: Calibrations) -> list[MetricResult]:
    """Return detections by tag of the script, and the effects of swapped and of unknown tags."""
    matrix: dict[str, dict[str, int]] = {}
    for clip in clips:
        for slot in clip.values["asked"] if clip.prompt.version in (*WITH_TAG, "swapped") else []:
            row = matrix.setdefault(slot["tag"], {})
            for tag, item in calibration.items():
                row[tag] = row.get(tag, 0) + int(detected(clip, tag, item))
    swapped = [
        Contribution(clip.prompt.cluster, detected(clip, clip.prompt.tag, calibration[clip.prompt.tag]))
        for clip in clips
        if clip.prompt.version == "swapped" and clip.prompt.tag in calibration
    ]
    leaked = [
        Contribution(clip.prompt.cluster, _any_detected(clip, calibration))
        for clip in clips
        if clip.prompt.version == "sentinel"
    ]
    effect = paired_differences(clips, "sentinel", "plain", lambda clip: _any_detected(clip, calibration))
    return [
        summarise_rate(
            "swapped_still_heard",
            swapped,
            NO_CLIP,
            -1,
            label="clips that keep the old sound when the tag is swapped",
            confusion=matrix,
        ),
        summarise_rate(
            "sentinel_leakage", leaked, NO_CLIP, -1, label="clips with a sound for an unknown tag"
        ),
        summarise_mean(
            "sentinel_effect",
            effect,
            NO_PAIR,
            -1,
            bounds=DIFFERENCE_OF_RATES,
            label="effect of an unknown tag",
            unit=POINTS,
        ),
    ]


def _any_detected(clip: ClipScore, calibration: Calibrations) -> float:
    return max((detected(clip, tag, item) for tag, item in calibration.items()), default=0.0)


def _summarise_words(clips: Sequence[ClipScore]) -> list[MetricResult]:
    """Return tags that are read aloud, and the word errors that a tag causes."""
    aloud = [
        Contribution(clip.prompt.cluster, float(clip.values["read_aloud"] > 0))
        for clip in clips
        if clip.values["asked"]
    ]
    damage = paired_differences(
        clips, "tag", "plain", lambda clip: clip.values["errors"] / clip.values["word_count"]
    )
    return [
        summarise_rate("tags_read_aloud", aloud, NO_CLIP, -1, label="clips with a tag read aloud"),
        summarise_mean(
            "lexical_damage", damage, NO_PAIR, -1, label="word errors caused by a tag", unit=POINTS
        ),
    ]
