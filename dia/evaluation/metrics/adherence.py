"""Nonverbal adherence of a system, from the raw scores of its clips and a calibration of the detector.

What other benchmarks leave out: how often a sound comes unasked (the plain version of the same text), what
the tag itself brings (tag minus plain, paired by text), whether it is the right sound (swapped), what an
unknown tag does (sentinel), and how far off every heard event lies, however far. Prompts without versions are
told apart by what their scripts ask for, and are not paired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dia.evaluation.metrics.corrected import corrected
from dia.evaluation.metrics.placement import Event, events_of, slot_errors
from dia.evaluation.metrics.protocol import Clip, Part, Row, rate, ratio
from dia.evaluation.statistics import difference_of_rates
from dia.judges.events import Calibration

NOT_CALIBRATED = "the detector has no class for it, or no labelled recording has it"
NOT_MEASURABLE = (
    "not measurable with this detector: sensitivity + specificity - 1 is below .5 on labelled recordings"
)
NO_CLIP = "no clip of that kind"
NO_PAIR = "no group has both versions"
WORDS_OFF = (0, 1, 2, 3)
Calibrations = Mapping[str, Calibration]
Judged = Callable[[Clip], float]


def adherence_rows(clips: Sequence[Clip], calibration: Calibrations) -> list[Row]:
    """Return the rows of one system: by tag, over all tags that the detector can tell (micro and macro), and
    of the words.
    """
    measurable = {tag: found for tag, found in calibration.items() if found.measurable}
    tags = sorted(
        {item["tag"] for clip in clips if clip.prompt.version in ("", "tag") for item in clip.values["asked"]}
    )
    rows = [row for tag in tags for row in _tag_rows(clips, tag, calibration.get(tag))]
    asked = {tag: measurable[tag] for tag in tags if tag in measurable}
    return [
        *rows,
        *_overall(rows, list(asked)),
        *_places(clips, asked),
        *_confusion(clips, measurable),
        *_words(clips),
    ]


def heard(clip: Clip, tag: str, found: Calibration) -> float:
    """Return 1 where a tag's best window reaches the threshold."""
    return float(max(clip.values["scores"].get(tag, [0.0]), default=0.0) >= found.threshold)


def asks(clip: Clip, tag: str) -> bool:
    """Return whether a clip's script asks for a tag."""
    return any(item["tag"] == tag for item in clip.values["asked"])


def paired(clips: Sequence[Clip], first: str, second: str, judge: Judged) -> list[Part]:
    """Return a part for each group that has both versions: the mean of ``judge`` over the first less that
    over the second.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for clip in clips:
        if clip.prompt.group and clip.prompt.version in (first, second):
            found.setdefault(clip.prompt.group, {}).setdefault(clip.prompt.version, []).append(judge(clip))
    both = {group: versions for group, versions in found.items() if len(versions) == 2}
    return [
        Part(group, float(np.mean(made[first]) - np.mean(made[second])))
        for group, made in sorted(both.items())
    ]


def _tag_rows(clips: Sequence[Clip], tag: str, found: Calibration | None) -> list[Row]:
    """Recall, false insertion and net effect of one tag, with what a perfect detector would say, or why
    not.
    """
    names = [f"{what}/{tag}" for what in ("tag_recall", "false_insertion", "net_tag_effect")]
    if found is None or not found.measurable:
        detail = {"calibration": asdict(found)} if found else {}
        return [Row(name, None, NOT_MEASURABLE if found else NOT_CALIBRATED, detail=detail) for name in names]
    wanted = [
        Part(clip.prompt.id, heard(clip, tag, found))
        for clip in clips
        if asks(clip, tag) and clip.prompt.version in ("", "tag")
    ]
    unwanted = [clip for clip in clips if clip.prompt.version in ("", "plain") and not asks(clip, tag)]
    inserted = [Part(clip.prompt.id, heard(clip, tag, found)) for clip in unwanted]
    events = sum(len(events_of(clip.values, tag, found.threshold)) for clip in unwanted)
    minutes = sum(clip.values["seconds"] for clip in unwanted) / 60
    recall = _rate_row(names[0], wanted, found, 1)
    insertion = _rate_row(names[1], inserted, found, -1, per_minute=events / minutes if minutes else None)
    return [recall, insertion, _net_row(names[2], clips, tag, found, recall, insertion)]


def _rate_row(name: str, parts: Sequence[Part], found: Calibration, better: int, **detail: Any) -> Row:
    known = {"corrected": corrected(parts, found)} if parts else {}
    return rate(name, parts, NO_CLIP, better, calibration=asdict(found), **known, **detail)


def _net_row(
    name: str, clips: Sequence[Clip], tag: str, found: Calibration, recall: Row, insertion: Row
) -> Row:
    """Tag minus plain by group; without groups the difference of the two rates, whose prompts differ."""
    own = [clip for clip in clips if clip.prompt.tag == tag]
    parts = paired(own, "tag", "plain", lambda clip: heard(clip, tag, found))
    if parts:
        detail = {
            "paired": True,
            "corrected": corrected(parts, found, difference=True),
            "calibration": asdict(found),
        }
        return ratio(name, parts, NO_PAIR, 1, **detail)
    if recall.estimate is None or insertion.estimate is None:
        return Row(name, None, NO_CLIP, 1)
    return Row(
        name,
        difference_of_rates(recall.estimate, insertion.estimate),
        "",
        1,
        {"paired": False, "calibration": asdict(found)},
    )


def _overall(rows: Sequence[Row], tags: Sequence[str]) -> list[Row]:
    """Each figure over all tags: micro (every clip counts the same) and macro (every tag does)."""
    found = []
    for what, better in (("tag_recall", 1), ("false_insertion", -1), ("net_tag_effect", 1)):
        own = {tag: row.parts for row in rows for tag in tags if row.name == f"{what}/{tag}" and row.parts}
        every = [part for parts in own.values() for part in parts]
        even = [
            Part(part.cluster, part.top / len(parts), 1 / len(parts))
            for parts in own.values()
            for part in parts
        ]
        nothing = "no tag that the detector can tell has such clips"
        found += [
            ratio(what, every, nothing, better, tags=sorted(own)),
            ratio(f"{what}_macro", even, nothing, better, tags=sorted(own)),
        ]
    return found


def _places(clips: Sequence[Clip], calibration: Calibrations) -> list[Row]:
    """How far off every heard event of an asked tag lies, how many asked ones are hit, and who makes the
    sound.
    """
    errors: list[Part] = []
    hits: dict[int, list[Part]] = {off: [] for off in WORDS_OFF}
    speakers: list[Part] = []
    for clip in clips:
        for tag, found in calibration.items():
            asked = [item for item in clip.values["asked"] if item["tag"] == tag]
            if not asked or clip.prompt.version not in ("", "tag"):
                continue
            events = events_of(clip.values, tag, found.threshold)
            errors += [Part(clip.prompt.id, float(error)) for error in slot_errors(events, asked)]
            speakers += [Part(clip.prompt.id, float(right)) for right in _right_speakers(events, asked)]
            for off in WORDS_OFF:
                hits[off] += [Part(clip.prompt.id, float(_hit(events, item["slot"], off))) for item in asked]
    absolute = [Part(part.cluster, abs(part.top)) for part in errors]
    nothing = "no asked tag that the detector can tell is heard"
    return [
        ratio("slot_error", errors, nothing),
        ratio("slot_error_absolute", absolute, nothing, -1),
        *(ratio(f"slot_hit_{off}", parts, NO_CLIP, 1) for off, parts in hits.items()),
        ratio("right_speaker", speakers, nothing, 1),
    ]


def _hit(events: Sequence[Event], slot: int, off: int) -> bool:
    return any(event.slot is not None and abs(event.slot - slot) <= off for event in events)


def _right_speakers(events: Sequence[Event], asked: Sequence[dict[str, Any]]) -> list[bool]:
    """Of each event with a place, whether its speaker is that of the nearest asked slot."""
    return [
        _nearest(asked, event.slot)["speaker"] == event.speaker for event in events if event.slot is not None
    ]


def _nearest(asked: Sequence[dict[str, Any]], slot: int) -> dict[str, Any]:
    return min(asked, key=lambda item: abs(item["slot"] - slot))


def _confusion(clips: Sequence[Clip], calibration: Calibrations) -> list[Row]:
    """What is heard where one tag is asked for, how often the group's own tag where another is, and what
    unknown tags bring.
    """
    matrix: dict[str, dict[str, int]] = {}
    for clip in clips:
        for item in clip.values["asked"] if clip.prompt.version in ("", "tag", "swapped") else []:
            row = matrix.setdefault(item["tag"], {})
            for tag, found in calibration.items():
                row[tag] = row.get(tag, 0) + int(heard(clip, tag, found))
    swapped = [clip for clip in clips if clip.prompt.version == "swapped" and clip.prompt.tag in calibration]
    stuck = [
        Part(clip.prompt.id, heard(clip, clip.prompt.tag, calibration[clip.prompt.tag])) for clip in swapped
    ]
    sentinels = [clip for clip in clips if clip.prompt.version == "sentinel"]
    leaked = [Part(clip.prompt.id, _any(clip, calibration)) for clip in sentinels]
    return [
        rate("swapped_still_heard", stuck, NO_CLIP, -1, confusion=matrix),
        rate("sentinel_leakage", leaked, NO_CLIP, -1),
        ratio(
            "sentinel_effect",
            paired(clips, "sentinel", "plain", lambda clip: _any(clip, calibration)),
            NO_PAIR,
            -1,
        ),
    ]


def _any(clip: Clip, calibration: Calibrations) -> float:
    return max((heard(clip, tag, found) for tag, found in calibration.items()), default=0.0)


def _words(clips: Sequence[Clip]) -> list[Row]:
    """Tags that are read aloud, and what a tag costs in words."""
    aloud = [
        Part(clip.prompt.id, float(clip.values["read_aloud"] > 0)) for clip in clips if clip.values["asked"]
    ]
    damage = paired(clips, "tag", "plain", lambda clip: clip.values["errors"] / clip.values["word_count"])
    return [rate("tags_read_aloud", aloud, NO_CLIP, -1), ratio("lexical_damage", damage, NO_PAIR, -1)]
