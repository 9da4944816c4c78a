"""Diarize recognised words: cluster speaker embeddings of windows, without the script.

The number of voices is estimated, never given: a dialogue spoken in one voice has one. Boundaries are as
precise as a window of 1.6 s allows, so a word or two at a change of speaker may go to the wrong voice; the
ground truth's score shows how many.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from dia.judges.transcription import RecognisedWord

# mean similarity of windows of 1.6 s above which they are one voice (as in dia/config/recordings.py)
SAME_VOICE = 0.72
# windows (every .4 s) in a row that make a voice; at a change of speaker, fewer windows are a mixture of two
SHORTEST_RUN = 4
REACH = 0.8  # seconds from a word within which a window covers it


def voices_of_words(
    words: Sequence[RecognisedWord], middles: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> list[int]:
    """Return the voice of each word: 0, 1, ... in order of appearance.

    ``middles`` (windows,) in seconds and ``embeddings`` (windows, width) are of windows over the whole clip;
    windows far from any word are silence or nonverbals and are ignored.
    """
    if not words:
        return []
    times = np.array([(word.start + word.end) / 2 for word in words])
    near = np.abs(middles[:, None] - times).min(axis=1) <= REACH
    used = np.flatnonzero(near) if near.any() else np.arange(len(middles))
    labels = _cluster(embeddings[used])
    at_word = [int(labels[np.abs(middles[used] - time).argmin()]) for time in times]
    order = {label: place for place, label in enumerate(dict.fromkeys(at_word))}
    return [order[label] for label in at_word]


def speaker_runs(
    words: Sequence[RecognisedWord], voices: Sequence[int]
) -> list[tuple[int, list[RecognisedWord]]]:
    """Return voice and words of each stretch of one voice without another in between."""
    pairs = groupby(zip(voices, words, strict=True), key=lambda pair: pair[0])
    return [(voice, [word for _, word in run]) for voice, run in pairs]


def _cluster(embeddings: NDArray[np.float32]) -> NDArray[np.int_]:
    """Cluster by average linkage; windows of clusters without a long run join the most similar other one."""
    if len(embeddings) < 2:
        return np.zeros(len(embeddings), dtype=int)
    labels = fcluster(linkage(embeddings, "average", metric="cosine"), 1 - SAME_VOICE, criterion="distance")
    longest = {
        int(name): max(len(list(run)) for own, run in groupby(labels) if own == name)
        for name in np.unique(labels)
    }
    lasting = [name for name, run in longest.items() if run >= min(SHORTEST_RUN, max(longest.values()))]
    means = np.stack([embeddings[labels == name].mean(axis=0) for name in lasting])
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    nearest: NDArray[np.int_] = (embeddings @ units.T).argmax(axis=1)
    return nearest
