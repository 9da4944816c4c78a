"""Clips that calibrate a detector: running speech, with each labelled recording of a sound in one of them.

The clips are as long as those that are scored. A detector's score of a clip is its best window, so short
recordings of a sound alone would flatter it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dia.audio.sound_mixtures import PlacedSound, mix
from dia.types import Waveform

SAMPLE_RATE = 16_000
FOLDS = 5  # of people; thresholds are evaluated on other people than those they are chosen on
SPEECH_CLIPS = 240  # at most, without any sound
UTTERANCES = 12  # at most in a clip; they repeat where they are shorter than the clip


@dataclass(frozen=True)
class LabelledRecording:
    """A recording at 16 kHz (samples,) of one person: a sound with its tags, or speech without any."""

    source: str
    person: str
    tags: frozenset[str]
    waveform: Waveform


@dataclass(frozen=True)
class CalibrationClip:
    """A clip (samples,) at 16 kHz, its tags, the placed sounds, its fold, and the source of its speech."""

    waveform: Waveform
    tags: frozenset[str]
    sounds: tuple[PlacedSound, ...]
    fold: int
    speech_source: str


def calibration_clips(
    recordings: Sequence[LabelledRecording], seconds: float, seed: int = 0
) -> Iterator[CalibrationClip]:
    """Yield one clip for each recording of a sound, and clips of speech alone, at most as many a person.

    A clip has only people of its own fold, so that no voice of a threshold is in its evaluation.

    Args:
        recordings: Sounds and speech; speech of at least two people.
        seconds: Length of each clip.
        seed: Decides which speech surrounds a sound, and where the sound lies.
    """
    folds = folds_of_people(recordings)
    speech: dict[int, dict[str, list[LabelledRecording]]] = defaultdict(lambda: defaultdict(list))
    for item in recordings:
        if not item.tags:
            speech[folds[item.person]][item.person].append(item)
    for number, item in enumerate(item for item in recordings if item.tags):
        fold = folds[item.person]
        yield _clip(speech[fold], [item], fold, seconds, np.random.default_rng([seed, 1, number]))
    each = max(1, SPEECH_CLIPS // sum(map(len, speech.values())))
    for fold, people in sorted(speech.items()):
        for person, utterances in sorted(people.items()):
            length = sum(len(item.waveform) for item in utterances) / SAMPLE_RATE
            for number in range(min(each, max(1, int(length // seconds)))):
                random = np.random.default_rng([seed, 2, *_digest(person), number])
                yield _clip({person: utterances}, [], fold, seconds, random)


def folds_of_people(recordings: Sequence[LabelledRecording]) -> dict[str, int]:
    """Return the fold of each person; every fold has speech of somebody.

    Raises ``ValueError`` when fewer than two people speak.
    """
    speakers = sorted({item.person for item in recordings if not item.tags}, key=_digest)
    others = sorted({item.person for item in recordings} - set(speakers), key=_digest)
    folds = min(FOLDS, len(speakers))
    if folds < 2:
        raise ValueError(f"{len(speakers)} of the people speak; at least two are necessary")
    return {person: number % folds for group in (speakers, others) for number, person in enumerate(group)}


def _clip(
    speech: Mapping[str, Sequence[LabelledRecording]],
    sounds: Sequence[LabelledRecording],
    fold: int,
    seconds: float,
    random: np.random.Generator,
) -> CalibrationClip:
    """Return a clip of one of the speakers."""
    person = sorted(speech)[int(random.integers(len(speech)))]
    order = random.permutation(len(speech[person]))[:UTTERANCES]
    utterances = [speech[person][place] for place in order]
    mixture = mix(
        [item.waveform for item in utterances],
        [(min(item.tags), item.waveform) for item in sounds],
        SAMPLE_RATE,
        seconds,
        random,
    )
    tags = frozenset(tag for item in sounds for tag in item.tags)
    return CalibrationClip(mixture.waveform, tags, mixture.sounds, fold, utterances[0].source)


def _digest(person: str) -> list[int]:
    """Return numbers that order people independently of their names."""
    return list(hashlib.sha256(person.encode()).digest()[:8])
