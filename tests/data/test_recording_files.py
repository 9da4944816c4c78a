"""Which files of a folder are recordings, which cannot be read, and the split of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.formats import READABLE, UNREADABLE
from dia.config.recordings import RecordingsConfig
from dia.data.recordings.files import assign_splits, list_recordings
from dia.errors import UserError

SHARES = RecordingsConfig().splits


def test_every_format_is_listed_and_what_was_converted_counts_once(tmp_path):
    for ending in READABLE + UNREADABLE:
        (tmp_path / f"talk{ending.strip('.')}{ending}").touch()
    (tmp_path / "notes.txt").touch()
    for name in ("film.mp4", "film.WAV", "call.amr"):
        (tmp_path / name).touch()
    names = [path.name for path in list_recordings(tmp_path)]
    assert len(names) == len(READABLE) + len(UNREADABLE) + 2
    assert "film.WAV" in names and "call.amr" in names and "film.mp4" not in names


def test_a_folder_without_readable_audio_counts_what_it_has(tmp_path):
    for name in ("a.m4a", "b.M4A", "c.webm"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"no audio that can be read \(2 \.m4a, 1 \.webm\); convert.*ffmpeg"):
        list_recordings(tmp_path)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=30, unique=True), st.integers(10_001, 20_000))
def test_validation_is_never_empty_and_other_recordings_stay_in_their_split(numbers, other):
    names = [f"{number}.wav" for number in numbers]
    splits = assign_splits(names, SHARES)
    if list(splits.values()).count("train") > 1:
        assert "validation" in splits.values()
    assert "train" in splits.values() or set(splits.values()) <= {"validation", "test"}
    more = assign_splits([*names, f"{other}.wav"], SHARES)
    assert sum(more[name] != splits[name] for name in names) <= 1
    assert set(assign_splits(names, {"train": 1.0}).values()) == {"train"}
