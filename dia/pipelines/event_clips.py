"""Training clips of a detector of nonverbal sounds: mixed from recordings, then turned into features.

A clip is a function of the seed and its number, so processes may compute clips in any order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dia.audio.channels import RandomChannel
from dia.audio.sound_mixtures import Mixture, mix
from dia.config.engine import EngineConfig
from dia.engines.run import Workers
from dia.evaluation.calibration_clips import SAMPLE_RATE, UTTERANCES, LabelledRecording
from dia.judges.event_features import FRAME_RATE, EventFeatures
from dia.progress import progress
from dia.training.event_module import LabelledFrames
from dia.types import Waveform


@dataclass(frozen=True)
class ClipPlan:
    """What clips are mixed from: recordings of some people, the tags in order, and the settings.

    ``channels`` is the probability that a recording passes through a random channel.
    """

    recordings: tuple[LabelledRecording, ...]
    tags: tuple[str, ...]
    seconds: float
    most_sounds: int
    seed: int
    channels: float = 0.0


def labelled_frames(plan: ClipPlan, clips: int, engine: EngineConfig) -> list[LabelledFrames]:
    """Return clips in order, computed by the workers of an engine, with progress."""
    with Workers(engine, ClipMaker(plan), gpu=False) as workers:
        made = progress(workers.run(range(clips)), "Computing features", clips, unit="clips")
        return [clip for _, clip in sorted(made, key=lambda item: item[0])]


def mixed_clip(plan: ClipPlan, number: int) -> Mixture:
    """Return the clip of a number: one voice, and up to ``most_sounds`` sounds with equal shares of tags."""
    random = np.random.default_rng([plan.seed, number])
    speech: dict[str, list[LabelledRecording]] = {}
    sounds: dict[str, list[LabelledRecording]] = {}
    for item in plan.recordings:
        if not item.tags:
            speech.setdefault(item.person, []).append(item)
        for tag in item.tags & set(plan.tags):
            sounds.setdefault(tag, []).append(item)
    person = sorted(speech)[int(random.integers(len(speech)))]
    utterances = random.permutation(len(speech[person]))[: 3 * UTTERANCES]
    chosen = []
    for _ in range(int(random.integers(plan.most_sounds + 1))):
        tag = sorted(sounds)[int(random.integers(len(sounds)))]
        chosen.append((tag, sounds[tag][int(random.integers(len(sounds[tag])))].waveform))
    voices = [speech[person][place].waveform for place in utterances]
    if plan.channels:  # without channels nothing is drawn for them
        channel = _channel(plan.channels, random)
        chosen = [(tag, channel(waveform)) for tag, waveform in chosen]
        voices = [channel(waveform) for waveform in voices]
    return mix(voices, chosen, SAMPLE_RATE, plan.seconds, random)


def _channel(share: float, random: np.random.Generator) -> Callable[[Waveform], Waveform]:
    channel = RandomChannel(SAMPLE_RATE)
    return lambda waveform: channel(waveform, random) if random.random() < share else waveform


def frame_labels(mixture: Mixture, frames: int, tags: Sequence[str]) -> NDArray[np.bool_]:
    """Return which tags sound in each frame, bool (frames, tags)."""
    labels = np.zeros((frames, len(tags)), dtype=bool)
    for sound in mixture.sounds:
        first = int(sound.start * FRAME_RATE)
        labels[first : max(first + 1, int(np.ceil(sound.end * FRAME_RATE))), tags.index(sound.tag)] = True
    return labels


class ClipMaker:
    """Makes the clip of a number; each process opens the models of the features once."""

    def __init__(self, plan: ClipPlan) -> None:
        self.plan = plan
        self._features: EventFeatures | None = None

    def __call__(self, number: int) -> tuple[int, LabelledFrames]:
        """Return the number, and its clip."""
        self._features = self._features or EventFeatures()
        mixture = mixed_clip(self.plan, number)
        features = self._features(mixture.waveform).astype(np.float16)
        return number, LabelledFrames(features, frame_labels(mixture, len(features), self.plan.tags))
