"""Decisions from model outputs to labelled turns: pure functions of outputs and thresholds, without models.

Times are seconds from the beginning of the recording.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from dia.config.recordings import Thresholds
from dia.data.clip import LabelledNonverbal, LabelledTurn
from dia.data.recordings.stage_cache import SAMPLE_RATE, Arrays
from dia.data.recordings.stages import FRAME
from dia.data.segmentation import TimedTurn

FRAME_SECONDS = FRAME / SAMPLE_RATE
HYSTERESIS = 0.15  # of the speech probability, as in Silero's own segmentation
# Windows that are clustered at once: the cost is quadratic in it, and linear in the recording.
BLOCK = 1000
SMOOTHING = 3  # windows of the majority filter over voices
MIN_SPEECH = 0.2  # mean speech probability below which a recognised word is a hallucination
WINDOW = 0.975  # seconds of an event window
# A word that is spelled-out laughter or one syllable of it.
LAUGH = re.compile(r"(?:m?[wu]?a?)?(?:-?(?:ha+h*|he+h+|ho+h*|hee))+", re.IGNORECASE)
SYLLABLE = re.compile(r"h[aeo]+", re.IGNORECASE)
MAX_GAP = 0.4  # seconds between windows of one event


@dataclass(frozen=True)
class Word:
    """A recognised word with its voice."""

    text: str
    start: float
    end: float
    voice: str


@dataclass(frozen=True)
class Event:
    """A nonverbal sound that the model ``origin`` detected with the confidence ``score``."""

    tag: str
    start: float
    end: float
    score: float
    origin: str


def speech_segments(probability: NDArray[np.generic], thresholds: Thresholds) -> list[tuple[float, float]]:
    """Return (start, end) of each speech segment.

    A segment begins where the probability reaches the threshold, and ends where it stays .15 below it for
    ``shortest_silence``.
    """
    segments: list[tuple[float, float]] = []
    begin: float | None = None
    last = 0.0
    for number, value in enumerate(probability.astype(np.float32)):
        time = number * FRAME_SECONDS
        if value >= thresholds.speech:
            begin = time if begin is None else begin
        if begin is not None and value >= thresholds.speech - HYSTERESIS:
            last = time + FRAME_SECONDS
        if begin is not None and time - last >= thresholds.shortest_silence:
            segments.append((begin, last))
            begin = None
    if begin is not None:
        segments.append((begin, last))
    return [(start, end) for start, end in segments if end - start >= thresholds.shortest_speech]


def cluster_voices(
    middle: NDArray[np.generic], embedding: NDArray[np.generic], thresholds: Thresholds
) -> list[str]:
    """Return the voice of each window: embeddings are clustered per block, then the means of the clusters.

    Names are `v1`, `v2` ... in order of appearance.
    """
    vectors = embedding.astype(np.float32)
    if not len(vectors):
        return []
    labels = np.zeros(len(vectors), dtype=int)
    means: list[NDArray[np.float32]] = []
    for begin in range(0, len(vectors), BLOCK):
        block = vectors[begin : begin + BLOCK]
        clusters = _clusters(block, thresholds.same_voice)
        labels[begin : begin + BLOCK] = clusters + len(means)
        means += [block[clusters == number].mean(axis=0) for number in range(clusters.max() + 1)]
    joined = _clusters(np.stack(means), thresholds.same_voice)[labels]
    smooth = _smoothed(joined)
    order = {cluster: f"v{place}" for place, cluster in enumerate(dict.fromkeys(smooth), start=1)}
    return [order[cluster] for cluster in smooth]


def _clusters(vectors: NDArray[np.float32], similarity: float) -> NDArray[np.int_]:
    if len(vectors) == 1:
        return np.zeros(1, dtype=int)
    model = AgglomerativeClustering(
        None, metric="cosine", linkage="average", distance_threshold=1 - similarity
    )
    labels: NDArray[np.int_] = model.fit_predict(vectors)
    return labels


def _smoothed(labels: NDArray[np.int_]) -> list[int]:
    """The majority label of each window and its neighbours; its own label without a majority."""
    out = []
    for place, own in enumerate(labels):
        near = labels[max(0, place - SMOOTHING // 2) : place + SMOOTHING // 2 + 1]
        values, counts = np.unique(near, return_counts=True)
        out.append(int(values[counts.argmax()]) if counts.max() > len(near) / 2 else int(own))
    return out


def extract_laughter(words: Arrays, seconds: float, origin: str) -> tuple[Arrays, list[Event]]:
    """Return the words without spelled-out laughter, and that laughter as events.

    A recogniser transcribes laughter as "ha ha ha"; a single "ha" can be a word and remains. The
    transcription may continue after the laughter ends, so times are limited to the duration of the recording.
    """
    texts = [str(text) for text in words["text"]]
    syllables = [
        len(SYLLABLE.findall(text)) if LAUGH.fullmatch(text.strip(" ,.!?-")) else 0 for text in texts
    ]
    is_laughter = np.zeros(len(texts), dtype=bool)
    events = []
    for begin, end in _positive_runs(syllables):
        if sum(syllables[begin:end]) < 2:
            continue
        is_laughter[begin:end] = True
        start, stop = float(words["start"][begin]), min(float(words["end"][end - 1]), seconds)
        events.append(
            Event("laughs", min(start, seconds), stop, float(words["probability"][begin:end].mean()), origin)
        )
    return {name: values[~is_laughter] for name, values in words.items()}, events


def _positive_runs(counts: list[int]) -> list[tuple[int, int]]:
    """Ranges [begin, end) of consecutive numbers above 0."""
    above = np.concatenate(([False], np.array(counts, dtype=int) > 0, [False]))
    changes = np.flatnonzero(above[1:] != above[:-1])
    return [(int(begin), int(end)) for begin, end in zip(changes[::2], changes[1::2], strict=True)]


def assign_voices(
    words: Arrays, speech: NDArray[np.generic], middle: NDArray[np.generic], names: list[str]
) -> list[Word]:
    """Return the recognised words inside speech, each with the voice at its middle."""
    probability, times = speech.astype(np.float32), middle.astype(np.float32)
    voiced = []
    for text, start, end in zip(words["text"], words["start"], words["end"], strict=True):
        first, last = int(start / FRAME_SECONDS), int(end / FRAME_SECONDS) + 1
        speech_of_word = probability[first:last]
        if len(speech_of_word) and speech_of_word.mean() >= MIN_SPEECH:
            place = int(np.abs(times - (start + end) / 2).argmin()) if len(times) else 0
            voiced.append(Word(str(text), float(start), float(end), names[place] if names else "v1"))
    return voiced


def split_at_pauses(words: list[Word], thresholds: Thresholds) -> list[TimedTurn]:
    """Return segments of words by one voice without a pause; clips are cut at their boundaries."""
    groups: list[list[Word]] = []
    for word in words:
        last = groups[-1][-1] if groups else None
        if last and last.voice == word.voice and word.start - last.end < thresholds.turn_pause:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        TimedTurn(
            LabelledTurn(
                1, "".join(word.text for word in group).strip(), group[0].start, group[-1].end, group[0].voice
            )
        )
        for group in groups
    ]


def detect_events(measured: Arrays, thresholds: dict[str, float], origin: str) -> list[Event]:
    """Return the nonverbal sounds, runs of windows at or above the threshold of a tag, in temporal order.

    Of overlapping events only the one with the highest ratio of score to threshold remains.
    """
    start = measured["start"].astype(np.float32)
    tags = [str(tag) for tag in measured["tags"]]
    events: list[Event] = []
    for tag, threshold in sorted(thresholds.items()):
        if tag not in tags:
            continue
        score = measured["score"][:, tags.index(tag)].astype(np.float32)
        for run in _runs(score >= threshold, start):
            begin, end = float(start[run[0]]) + WINDOW / 4, float(start[run[-1]]) + 0.75 * WINDOW
            events.append(Event(tag, begin, end, float(score[run].max()), origin))
    by_ratio = sorted(events, key=lambda event: event.score / thresholds[event.tag], reverse=True)
    return without_overlaps([], by_ratio)


def without_overlaps(first: list[Event], second: list[Event]) -> list[Event]:
    """Return ``first`` and those events of ``second`` that overlap no earlier one, in temporal order."""
    events = list(first)
    for event in second:
        if not any(event.start < other.end and other.start < event.end for other in events):
            events.append(replace(event, start=max(event.start, 0.0)))
    return sorted(events, key=lambda event: event.start)


def _runs(above: NDArray[np.bool_], start: NDArray[np.float32]) -> list[NDArray[np.int_]]:
    places = np.flatnonzero(above)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(start[places]) > MAX_GAP) + 1
    return [np.asarray(run) for run in np.split(places, breaks)]


def place_events(segments: list[TimedTurn], words: list[Word], events: list[Event]) -> list[TimedTurn]:
    """Return the segments with each event in the nearest segment, at the word boundary nearest to its middle.

    A recording without words becomes one segment of nonverbals.
    """
    if not segments:
        if not events:
            return []
        turn = LabelledTurn(1, "", events[0].start, events[-1].end, "v1")
        return [TimedTurn(turn, tuple(_labelled(event, 0) for event in events))]
    by_segment: dict[int, list[LabelledNonverbal]] = {}
    for event in events:
        middle = (event.start + event.end) / 2
        number = min(range(len(segments)), key=lambda place: _distance(segments[place], middle))
        char = _boundary(segments[number], words, middle)
        by_segment.setdefault(number, []).append(_labelled(event, char))
    return [_with_nonverbals(segment, by_segment.get(number, [])) for number, segment in enumerate(segments)]


def _labelled(event: Event, char: int) -> LabelledNonverbal:
    return LabelledNonverbal(event.tag, 0, char, event.origin, event.start, event.end, event.score)


def _distance(segment: TimedTurn, time: float) -> float:
    return max(segment.start - time, time - segment.end, 0.0)


def _boundary(segment: TimedTurn, words: list[Word], time: float) -> int:
    """The index of the word boundary in the text of a segment that is nearest to ``time``."""
    inside = [word for word in words if segment.start <= word.start and word.end <= segment.end]
    text = "".join(word.text for word in inside)
    lead = len(text) - len(text.lstrip())
    places, done = [(segment.start, 0)], -lead
    for word, following in zip(inside, [*inside[1:], None], strict=True):
        done += len(word.text)
        at = word.end if following is None else (word.end + following.start) / 2
        char = (
            len(segment.turn.text)
            if following is None
            else done + len(following.text) - len(following.text.lstrip())
        )
        places.append((at, min(max(char, 0), len(segment.turn.text))))
    return min(places, key=lambda place: abs(place[0] - time))[1]


def _with_nonverbals(segment: TimedTurn, nonverbals: list[LabelledNonverbal]) -> TimedTurn:
    """The segment with its nonverbals, extended to contain them."""
    if not nonverbals:
        return segment
    start = min(segment.start, *(item.start or 0.0 for item in nonverbals))
    end = max(segment.end, *(item.end or 0.0 for item in nonverbals))
    return TimedTurn(
        replace(segment.turn, start=start, end=end),
        tuple(sorted(nonverbals, key=lambda item: (item.char, item.start))),
    )
