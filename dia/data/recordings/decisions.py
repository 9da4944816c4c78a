"""From what the models heard to turns with labels: pure functions of measures and thresholds, quick enough to
be run again.

Times are seconds from the recording's beginning.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from dia.config.recordings import Thresholds
from dia.data.clip import LabelledNonverbal, LabelledTurn
from dia.data.recordings.measures import SAMPLE_RATE, Arrays
from dia.data.recordings.stages import FRAME
from dia.data.segmentation import TimedTurn

FRAME_SECONDS = FRAME / SAMPLE_RATE
HYSTERESIS = 0.15  # of the probability of speech, as in Silero's own segmentation
# windows that are clustered at once: cost grows with the square of it, and linearly with the recording
BLOCK = 1000
SMOOTHING = 3  # windows whose majority says who speaks
UNHEARD = 0.2  # mean probability of speech under a word below which the recogniser made it up
WINDOW = 0.975  # seconds of an event window
LAUGH = re.compile(
    r"(?:m?[wu]?a?)?(?:-?(?:ha+h*|he+h+|ho+h*|hee))+", re.IGNORECASE
)  # a word that is laughter or one syllable of it
SYLLABLE = re.compile(r"h[aeo]+", re.IGNORECASE)
OVERLAP = 0.4  # seconds that neighbouring event windows may be apart and still be one event


@dataclass(frozen=True)
class Word:
    """A recognised word and who says it."""

    text: str
    start: float
    end: float
    voice: str


@dataclass(frozen=True)
class Event:
    """A nonverbal sound; ``score`` is how sure ``origin``, a model, is of it."""

    tag: str
    start: float
    end: float
    score: float
    origin: str


def speech_stretches(probability: NDArray[np.generic], thresholds: Thresholds) -> list[tuple[float, float]]:
    """Return (start, end) of speech: from where the probability passes the threshold until it stays .15 below
    for a while.
    """
    stretches: list[tuple[float, float]] = []
    begin: float | None = None
    last = 0.0
    for number, value in enumerate(probability.astype(np.float32)):
        time = number * FRAME_SECONDS
        if value >= thresholds.speech:
            begin = time if begin is None else begin
        if begin is not None and value >= thresholds.speech - HYSTERESIS:
            last = time + FRAME_SECONDS
        if begin is not None and time - last >= thresholds.shortest_silence:
            stretches.append((begin, last))
            begin = None
    if begin is not None:
        stretches.append((begin, last))
    return [(start, end) for start, end in stretches if end - start >= thresholds.shortest_speech]


def voice_names(
    middle: NDArray[np.generic], embedding: NDArray[np.generic], thresholds: Thresholds
) -> list[str]:
    """Return the voice of each window: clusters of embeddings, block by block, then clusters of the blocks'
    means.

    Names are `v1`, `v2` ... in the order in which they are heard.
    """
    vectors = embedding.astype(np.float32)
    if not len(vectors):
        return []
    labels = np.zeros(len(vectors), dtype=int)
    means: list[NDArray[np.float32]] = []
    for begin in range(0, len(vectors), BLOCK):
        block = vectors[begin : begin + BLOCK]
        found = _clusters(block, thresholds.same_voice)
        labels[begin : begin + BLOCK] = found + len(means)
        means += [block[found == number].mean(axis=0) for number in range(found.max() + 1)]
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
    """The majority among each window and its neighbours; its own label where there is none."""
    out = []
    for place, own in enumerate(labels):
        near = labels[max(0, place - SMOOTHING // 2) : place + SMOOTHING // 2 + 1]
        values, counts = np.unique(near, return_counts=True)
        out.append(int(values[counts.argmax()]) if counts.max() > len(near) / 2 else int(own))
    return out


def without_laughter(words: Arrays, seconds: float, origin: str) -> tuple[Arrays, list[Event]]:
    """Return the words that are not spelled-out laughter, and that laughter as events.

    A recogniser writes "ha ha ha" where somebody laughs; a single "ha" is left as the word that it may be. It
    goes on writing where the laugh is long over, so that times beyond the recording's end are taken back to
    it.
    """
    texts = [str(text) for text in words["text"]]
    syllables = [
        len(SYLLABLE.findall(text)) if LAUGH.fullmatch(text.strip(" ,.!?-")) else 0 for text in texts
    ]
    laughed = np.zeros(len(texts), dtype=bool)
    events = []
    for begin, end in _stretches(syllables):
        if sum(syllables[begin:end]) < 2:
            continue
        laughed[begin:end] = True
        start, stop = float(words["start"][begin]), min(float(words["end"][end - 1]), seconds)
        events.append(
            Event("laughs", min(start, seconds), stop, float(words["probability"][begin:end].mean()), origin)
        )
    return {name: values[~laughed] for name, values in words.items()}, events


def _stretches(counts: list[int]) -> list[tuple[int, int]]:
    """(begin, end) of runs of numbers above 0."""
    above = np.concatenate(([False], np.array(counts, dtype=int) > 0, [False]))
    changes = np.flatnonzero(above[1:] != above[:-1])
    return [(int(begin), int(end)) for begin, end in zip(changes[::2], changes[1::2], strict=True)]


def voiced_words(
    words: Arrays, speech: NDArray[np.generic], middle: NDArray[np.generic], names: list[str]
) -> list[Word]:
    """Return the recognised words that lie in speech, each with the voice heard at its middle."""
    probability, times = speech.astype(np.float32), middle.astype(np.float32)
    found = []
    for text, start, end in zip(words["text"], words["start"], words["end"], strict=True):
        first, last = int(start / FRAME_SECONDS), int(end / FRAME_SECONDS) + 1
        under = probability[first:last]
        if len(under) and under.mean() >= UNHEARD:
            place = int(np.abs(times - (start + end) / 2).argmin()) if len(times) else 0
            found.append(Word(str(text), float(start), float(end), names[place] if names else "v1"))
    return found


def pieces_of(words: list[Word], thresholds: Thresholds) -> list[TimedTurn]:
    """Return stretches of words by one voice without a pause: what a clip is made of, and where it may be
    cut.
    """
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


def events_of(measured: Arrays, limits: dict[str, float], origin: str) -> list[Event]:
    """Return the nonverbal sounds: runs of windows at or above a tag's limit, in order of time.

    Of tags that share a stretch only the one with the highest score against its limit is kept.
    """
    start = measured["start"].astype(np.float32)
    tags = [str(tag) for tag in measured["tags"]]
    found: list[Event] = []
    for tag, limit in sorted(limits.items()):
        if tag not in tags:
            continue
        score = measured["score"][:, tags.index(tag)].astype(np.float32)
        for run in _runs(score >= limit, start):
            begin, end = float(start[run[0]]) + WINDOW / 4, float(start[run[-1]]) + 0.75 * WINDOW
            found.append(Event(tag, begin, end, float(score[run].max()), origin))
    return apart([], sorted(found, key=lambda event: event.score / limits[event.tag], reverse=True))


def apart(kept: list[Event], more: list[Event]) -> list[Event]:
    """Return the events of ``kept`` and those of ``more`` that share no time with one before them, in order
    of time.
    """
    kept = list(kept)
    for event in more:
        if not any(event.start < other.end and other.start < event.end for other in kept):
            kept.append(replace(event, start=max(event.start, 0.0)))
    return sorted(kept, key=lambda event: event.start)


def _runs(above: NDArray[np.bool_], start: NDArray[np.float32]) -> list[NDArray[np.int_]]:
    places = np.flatnonzero(above)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(start[places]) > OVERLAP) + 1
    return [np.asarray(run) for run in np.split(places, breaks)]


def placed(pieces: list[TimedTurn], words: list[Word], events: list[Event]) -> list[TimedTurn]:
    """Return the pieces with each event at the word boundary nearest to its middle, in the piece nearest to
    it.

    A recording without words becomes one piece of sounds.
    """
    if not pieces:
        if not events:
            return []
        turn = LabelledTurn(1, "", events[0].start, events[-1].end, "v1")
        return [TimedTurn(turn, tuple(_labelled(event, 0) for event in events))]
    by_piece: dict[int, list[LabelledNonverbal]] = {}
    for event in events:
        middle = (event.start + event.end) / 2
        number = min(range(len(pieces)), key=lambda place: _distance(pieces[place], middle))
        char = _boundary(pieces[number], words, middle)
        by_piece.setdefault(number, []).append(_labelled(event, char))
    return [_with_sounds(piece, by_piece.get(number, [])) for number, piece in enumerate(pieces)]


def _labelled(event: Event, char: int) -> LabelledNonverbal:
    return LabelledNonverbal(event.tag, 0, char, event.origin, event.start, event.end, event.score)


def _distance(piece: TimedTurn, time: float) -> float:
    return max(piece.start - time, time - piece.end, 0.0)


def _boundary(piece: TimedTurn, words: list[Word], time: float) -> int:
    """The character of a piece's text before which a sound at this time stands."""
    inside = [word for word in words if piece.start <= word.start and word.end <= piece.end]
    text = "".join(word.text for word in inside)
    lead = len(text) - len(text.lstrip())
    places, done = [(piece.start, 0)], -lead
    for word, following in zip(inside, [*inside[1:], None], strict=True):
        done += len(word.text)
        at = word.end if following is None else (word.end + following.start) / 2
        char = (
            len(piece.turn.text)
            if following is None
            else done + len(following.text) - len(following.text.lstrip())
        )
        places.append((at, min(max(char, 0), len(piece.turn.text))))
    return min(places, key=lambda place: abs(place[0] - time))[1]


def _with_sounds(piece: TimedTurn, sounds: list[LabelledNonverbal]) -> TimedTurn:
    """A piece that reaches as far as its sounds do."""
    if not sounds:
        return piece
    start = min(piece.start, *(sound.start or 0.0 for sound in sounds))
    end = max(piece.end, *(sound.end or 0.0 for sound in sounds))
    return TimedTurn(
        replace(piece.turn, start=start, end=end),
        tuple(sorted(sounds, key=lambda sound: (sound.char, sound.start))),
    )
