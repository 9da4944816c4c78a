"""Who says each recognised word, told by nothing but the sound: windows of embeddings in clusters.

How many voices there are is found, never set, and said: a dialogue spoken by one voice has one. Boundaries
are as sharp as a window of 1.6 s allows, so a word or two at a change of voices may go to the wrong one;
ground truth shows how many.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from dia.judges.transcription import RecognisedWord

# mean similarity of windows of 1.6 s above which they are one voice (as in dia/config/recordings.py)
SAME_VOICE = 0.72
SHORTEST_RUN = (
    4  # windows (every .4 s) that a voice is heard on end; at a change of voices fewer of them are a mixture
)
REACH = 0.8  # seconds from a word within which a window hears it


def voices_of_words(
    words: Sequence[RecognisedWord], middles: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> list[int]:
    """Return the voice of each word: 0, 1, ... in the order in which they are heard.

    ``middles`` (windows,) in seconds and ``embeddings`` (windows, width) are of windows over the whole clip;
    those far from any word are silence or nonverbals and tell nothing.
    """
    if not words:
        return []
    times = np.array([(word.start + word.end) / 2 for word in words])
    spoken = np.abs(middles[:, None] - times).min(axis=1) <= REACH
    kept = np.flatnonzero(spoken) if spoken.any() else np.arange(len(middles))
    labels = _clusters(embeddings[kept])
    at_word = [int(labels[np.abs(middles[kept] - time).argmin()]) for time in times]
    order = {label: place for place, label in enumerate(dict.fromkeys(at_word))}
    return [order[label] for label in at_word]


def runs(words: Sequence[RecognisedWord], voices: Sequence[int]) -> list[tuple[int, list[RecognisedWord]]]:
    """Return the voice and the words of each stretch that one voice says without another in between."""
    pairs = groupby(zip(voices, words, strict=True), key=lambda pair: pair[0])
    return [(voice, [word for _, word in run]) for voice, run in pairs]


def _clusters(embeddings: NDArray[np.float32]) -> NDArray[np.int_]:
    """Clusters by average linkage; windows of those that never last go to the likest one that does."""
    if len(embeddings) < 2:
        return np.zeros(len(embeddings), dtype=int)
    labels = fcluster(linkage(embeddings, "average", metric="cosine"), 1 - SAME_VOICE, criterion="distance")
    longest = {
        int(name): max(len(list(run)) for own, run in groupby(labels) if own == name)
        for name in np.unique(labels)
    }
    lasting = [name for name, run in longest.items() if run >= min(SHORTEST_RUN, max(longest.values()))]
    means = np.stack([embeddings[labels == name].mean(axis=0) for name in lasting])
    nearest: NDArray[np.int_] = (
        embeddings @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    ).argmax(axis=1)
    return nearest
