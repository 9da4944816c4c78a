"""Recorded nonverbal sounds: the committed data set, the choice by pitch, and their labels in a dialogue."""

import numpy as np
import pytest
from datasets import Audio, load_dataset
from hypothesis import given
from hypothesis import strategies as st

from dia.data.sources.demo_scripts import SPLITS, PlannedClip
from dia.data.sources.human_sounds import draw_human_sound, read_human_sounds
from dia.data.sources.synthesis import Rendering, render_clip
from dia.data.sources.voices import SAMPLE_RATE, Strength
from dia.dialogue import Script
from dia.resources import resource

ALL = {split: read_human_sounds(split) for split in SPLITS}


def test_no_person_is_in_two_splits():
    people = [{sound.person for sounds in ALL[split].values() for sound in sounds} for split in SPLITS]
    assert all(people) and len(set.union(*people)) == sum(map(len, people))


@pytest.mark.parametrize("tag", ["laughs", "coughs", "sighs", "groans", "gasps"])
def test_a_tag_has_many_people(tag):
    people = {split: {sound.person for sound in ALL[split][tag]} for split in SPLITS}
    assert len(people["train"]) >= 30 and len(people["test"]) >= 10 and len(people["validation"]) >= 4


def test_every_recording_is_short_loud_and_of_a_free_licence():
    table = load_dataset(
        "parquet", data_files={split: str(resource(f"data/human_sounds/{split}.parquet")) for split in SPLITS}
    )
    for split, rows in table.items():
        assert set(rows["licence"]) <= {"Apache-2.0", "CC0-1.0"}
        assert isinstance(rows.features["audio"], Audio)
        for sounds in ALL[split].values():
            for sound in sounds:
                waveform = sound.waveform()
                assert 0.15 < len(waveform) / SAMPLE_RATE < 2.6
                assert 0.3 < np.abs(waveform).max() < 1.2 and abs(waveform[0]) < 1e-3 > abs(waveform[-1])


@given(st.sampled_from(SPLITS), st.sampled_from(sorted(ALL["test"])), st.floats(80, 300), st.integers(0, 99))
def test_a_drawn_sound_has_the_tag_and_belongs_to_the_split(split, tag, pitch, seed):
    sound = draw_human_sound(split, tag, pitch, np.random.default_rng(seed))
    assert sound in ALL[split][tag]


def test_the_person_suits_the_voice():
    def median(pitch):
        drawn = [
            draw_human_sound("train", "laughs", pitch, np.random.default_rng(seed)) for seed in range(40)
        ]
        return np.median([sound.pitch for sound in drawn])

    assert median(110) < 0.8 * median(230)


def test_a_tag_without_recordings_is_none():
    assert draw_human_sound("train", "beep", 200, np.random.default_rng(0)) is None


def dialogue():
    script = Script.parse("[S1] Hello there. (laughs) (beep)")
    full = Strength(1.0, 1.0, 1.0)
    return PlannedClip("open-train-00000", "train", script, ("plain",), (full,), ("joe",))


def test_a_dialogue_states_which_sounds_are_recorded():
    origins = {}
    for share in (0.0, 1.0):
        clip = render_clip(dialogue(), Rendering("open_english", 0, share))
        origins[share] = {item.tag: (item.origin, item.confidence) for item in clip.nonverbals}
    assert origins[0.0] == {"laughs": ("synthesis", 1.0), "beep": ("synthesis", 1.0)}
    assert origins[1.0]["beep"] == ("synthesis", 1.0)
    origin, confidence = origins[1.0]["laughs"]
    assert origin == "recording" and 0.5 <= confidence <= 1
