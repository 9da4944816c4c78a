"""Recall, false insertions and net effect of each tag, and over all tags."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dia.evaluation.metrics.corrected import correct_rate
from dia.evaluation.metrics.placement import events_of
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.metrics.result import (
    DIFFERENCE_OF_RATES,
    POINTS,
    Contribution,
    MetricResult,
    summarise_mean,
    summarise_rate,
)
from dia.evaluation.metrics.tag_clips import NO_CLIP, NO_PAIR, WITH_TAG, detected, has_tag, paired_differences
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.statistics import difference_of_rates
from dia.judges.events import Calibration

NOT_CALIBRATED = "the detector has no class for it, or no labelled recording has it"
NOT_MEASURABLE = (
    "not measurable with this detector: sensitivity + specificity - 1 is below .5 on labelled recordings"
)
NO_TAG = "no tag that the detector can measure has such clips"
LABELS = {
    "tag_recall": "tags that are audible",
    "false_insertion": "clips with a sound that the script does not have",
    "net_tag_effect": "net effect of a tag on its sound",
}


def summarise_tag(
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


def summarise_all_tags(by_tag: Sequence[MetricResult], tags: Sequence[str]) -> list[MetricResult]:
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
