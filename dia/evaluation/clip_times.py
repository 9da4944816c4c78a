"""When turns, words, tags and sounds occur in a clip, as a drawing over its spectrogram.

Times come from the values that the metrics stored: turns of `turns`, recognised words of `wer`, places of
tags and detected sounds of `nonverbals`. What no metric measured is not drawn. The drawing is SVG (macro
`timeline`), so that words in any script have the browser's fonts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dia.evaluation.metrics.placement import REACH, events_of
from dia.evaluation.scoring import ScoredClip, SystemResult
from dia.judges.recording import Times

SHORTEST_WIDTH = 300.0  # pixels
WIDTH_OF_WORD, WIDTH_OF_SECOND = 14.0, 30.0
WIDEST = 6000.0
LONGEST_WORD = 16  # characters that are shown
FEWEST_PIXELS_A_TICK = 28.0
STEPS = (1, 2, 5, 10, 30, 60)  # seconds between ticks


@dataclass(frozen=True)
class Span:
    """A stretch of a clip in pixels from its start, with a short text and its number, such as a speaker."""

    x: float
    width: float
    text: str
    number: int = 0


@dataclass(frozen=True)
class Timeline:
    """All spans of a clip whose drawing is ``width`` pixels wide; ``label`` describes it in words."""

    width: float
    turns: tuple[Span, ...]
    words: tuple[Span, ...]
    tags: tuple[Span, ...]
    sounds: tuple[Span, ...]
    ticks: tuple[Span, ...]
    label: str


def detector_thresholds(systems: Sequence[SystemResult]) -> dict[str, float]:
    """Return the threshold of each tag of the scripts that the detector can measure."""
    return {
        name.partition("/")[2]: float(item.detail["calibration"]["threshold"])
        for system in systems
        for name, item in system.metrics.items()
        if name.startswith("tag_recall/") and item.measured and "calibration" in item.detail
    }


def timeline(clip: ScoredClip, thresholds: Mapping[str, float]) -> Timeline:
    """Return the drawing of a clip; a sound is drawn where its score reaches the threshold of its tag."""
    recording = clip.recording
    words = _values(clip, "wer").get("times", [])
    seconds = max(recording.seconds, 0.1)
    width = min(max(SHORTEST_WIDTH, WIDTH_OF_WORD * len(words), WIDTH_OF_SECOND * seconds), WIDEST)
    scale = width / seconds

    def span(times: Sequence[float], text: str, number: int = 0) -> Span:
        start, end = (min(max(float(time), 0.0), seconds) for time in times)
        return Span(round(scale * start, 1), round(scale * max(end - start, 0.0), 1), text, number)

    nonverbals = _values(clip, "nonverbals")
    turns = [
        span(times, f"S{turn.speaker}", turn.speaker)
        for turn, times in zip(recording.script.turns, _turn_times(clip), strict=True)
        if times is not None
    ]
    sounds = [
        span((event.middle - REACH, event.middle + REACH), tag)
        for tag, threshold in sorted(thresholds.items())
        if nonverbals
        for event in events_of(nonverbals, tag, threshold)
    ]
    tags = [span((time, time), f"({tag})") for tag, time in _tag_times(nonverbals, seconds)]
    step = next((step for step in STEPS if step * scale >= FEWEST_PIXELS_A_TICK), STEPS[-1])
    ticks = [span((time, time), str(time)) for time in range(0, int(seconds) + 1, step)]
    return Timeline(
        round(width, 1),
        tuple(turns),
        tuple(span((start, end), str(text)[:LONGEST_WORD]) for text, start, end in words),
        tuple(tags),
        tuple(sounds),
        tuple(ticks),
        f"Spectrogram of {recording.system}, {seconds:.1f} s",
    )


def _values(clip: ScoredClip, metric: str) -> dict[str, Any]:
    score = clip.scores.get(metric)
    return score.values if score is not None and score.measured else {}


def _turn_times(clip: ScoredClip) -> Sequence[Times | None]:
    recording = clip.recording
    unknown = [None] * len(recording.script.turns)
    return recording.turn_times or _values(clip, "turns").get("times", unknown)


def _tag_times(values: Mapping[str, Any], seconds: float) -> list[tuple[str, float]]:
    """Return each tag of the script with the time between the located words around it."""
    words: Sequence[Times | None] = values.get("words", [])
    times = []
    for tag in values.get("asked", []):
        before = [word for word in words[: tag["slot"]] if word is not None]
        after = [word for word in words[tag["slot"] :] if word is not None]
        if before or after:
            start = before[-1][1] if before else 0.0
            end = after[0][0] if after else seconds
            times.append((tag["tag"], (start + end) / 2))
    return times
