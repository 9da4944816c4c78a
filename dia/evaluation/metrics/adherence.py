"""Nonverbal adherence of a system: does each tag of the script produce its sound and no other.

Computed from the raw detector scores of clips and a calibration. Beyond other benchmarks it measures how
often a sound comes without a tag (the plain version of the same text), the effect of the tag itself (tag
minus plain, paired by text), whether it is the right sound (swapped), the effect of an unknown tag
(sentinel), and the distance of every detected event, however far. Prompts without versions are separated by
the tags of their scripts, and are not paired.
"""

from collections.abc import Sequence

from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.metrics.result import (
    DIFFERENCE_OF_RATES,
    POINTS,
    Contribution,
    MetricResult,
    summarise_mean,
    summarise_rate,
)
from dia.evaluation.metrics.sound_places import summarise_places
from dia.evaluation.metrics.tag_clips import (
    NO_CLIP,
    NO_PAIR,
    WITH_TAG,
    Calibrations,
    detected,
    paired_differences,
)
from dia.evaluation.metrics.tag_effects import summarise_all_tags, summarise_tag


def summarise_adherence(clips: Sequence[ClipScore], calibration: Calibrations) -> list[MetricResult]:
    """Return the results of one system: by tag, over all measurable tags (micro and macro), and of words."""
    measurable = {tag: item for tag, item in calibration.items() if item.measurable}
    tags = sorted(
        {item["tag"] for clip in clips if clip.prompt.version in WITH_TAG for item in clip.values["asked"]}
    )
    by_tag = [result for tag in tags for result in summarise_tag(clips, tag, calibration.get(tag))]
    tested = {tag: measurable[tag] for tag in tags if tag in measurable}
    return [
        *by_tag,
        *summarise_all_tags(by_tag, list(tested)),
        *summarise_places(clips, tested),
        *_summarise_confusion(clips, measurable),
        *_summarise_words(clips),
    ]


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
