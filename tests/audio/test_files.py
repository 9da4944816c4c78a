"""Audio files: what is written reads back, and damaged files are refused with a reason."""

import os

import numpy as np
import pytest
import soundfile

from dia.audio.files import flac_bytes, read_audio, waveform_from_bytes, write_audio
from dia.errors import UserError

TONE = (0.3 * np.sin(np.arange(16_000) * 0.1)).astype(np.float32)


def test_a_written_waveform_reads_back(tmp_path):
    for ending in ("wav", "flac"):
        write_audio(tmp_path / f"tone.{ending}", TONE, 16_000)
        assert np.abs(read_audio(tmp_path / f"tone.{ending}", 16_000) - TONE).max() < 1e-4
    assert not list(tmp_path.glob(".*"))


def test_stereo_becomes_mono_at_the_requested_rate(tmp_path):
    soundfile.write(tmp_path / "stereo.wav", np.stack([TONE, -TONE], axis=1), 16_000)
    waveform = read_audio(tmp_path / "stereo.wav", 8_000)
    assert waveform.shape == (8_000,) and np.abs(waveform).max() < 1e-3


def test_flac_bytes_round_trip():
    waveform, rate = waveform_from_bytes(flac_bytes(TONE, 16_000))
    assert rate == 16_000 and np.abs(waveform - TONE).max() < 1e-4


def damaged_files(folder):
    write_audio(folder / "whole.wav", TONE, 16_000)
    whole = (folder / "whole.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    soundfile.write(folder / "whole64.wav", TONE, 16_000, format="RF64")
    (folder / "cut64.wav").write_bytes((folder / "whole64.wav").read_bytes()[:9_000])
    write_audio(folder / "whole.flac", TONE, 16_000)
    (folder / "cut.flac").write_bytes((folder / "whole.flac").read_bytes()[:30])
    (folder / "noise.wav").write_bytes(b"this is no audio")
    soundfile.write(folder / "empty.wav", np.zeros(0, dtype=np.float32), 16_000)
    soundfile.write(folder / "nan.wav", np.full(99, np.nan, dtype=np.float32), 16_000, subtype="FLOAT")
    return {
        "cut.wav": "truncated",
        "cut64.wav": "truncated",
        "cut.flac": "truncated, damaged",
        "noise.wav": "cannot be read as audio",
        "empty.wav": "no samples",
        "nan.wav": "not finite",
        "gone.wav": "no audio file at",
    }


def test_damaged_files_are_reported_with_their_path(tmp_path):
    for name, message in damaged_files(tmp_path).items():
        with pytest.raises(UserError, match=message) as caught:
            read_audio(tmp_path / name, 16_000)
        assert name in str(caught.value)


def test_what_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    for name, message in (("folder.wav", "Is a directory"), ("file/x.wav", "Not a directory")):
        with pytest.raises(UserError, match=f"{name} cannot be read .{message}"):
            read_audio(tmp_path / name, 16_000)
    write_audio(tmp_path / "locked.wav", TONE, 16_000)
    (tmp_path / "locked.wav").chmod(0)
    if not os.access(tmp_path / "locked.wav", os.R_OK):  # root may read everything
        with pytest.raises(UserError, match="Permission denied"):
            read_audio(tmp_path / "locked.wav", 16_000)


def test_whole_files_with_64_bit_sizes_are_read(tmp_path):
    soundfile.write(tmp_path / "whole.wav", TONE, 16_000, format="RF64")
    assert len(read_audio(tmp_path / "whole.wav", 16_000)) == len(TONE)


def test_damaged_bytes_are_an_error_of_the_data(tmp_path):
    with pytest.raises(UserError, match="damaged"):
        waveform_from_bytes(b"this is no audio")
    write_audio(tmp_path / "whole.wav", TONE, 16_000)
    whole = (tmp_path / "whole.wav").read_bytes()
    assert len(waveform_from_bytes(whole)[0]) == len(TONE)
    with pytest.raises(UserError, match="truncated"):
        waveform_from_bytes(whole[: len(whole) // 2])


def test_a_folder_or_an_impossible_rate_is_refused(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    for target, rate, message in (("folder.wav", 16_000, "is a folder"), ("tone.mp3", 17_001, "17001 Hz")):
        with pytest.raises(UserError, match=message):
            write_audio(tmp_path / target, TONE, rate)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.wav"]


def test_bad_targets_write_nothing(tmp_path):
    for target in (tmp_path / "tone.xyz", tmp_path / "missing" / "tone.wav"):
        with pytest.raises(UserError):
            write_audio(target, TONE, 16_000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "waveform", [np.full(99, np.nan, dtype=np.float32), np.zeros((2, 100), dtype=np.float32)]
)
def test_samples_that_are_no_mono_waveform_are_refused(tmp_path, waveform):
    with pytest.raises(UserError, match="samples"):
        write_audio(tmp_path / "bad.wav", waveform, 16_000)
    with pytest.raises(UserError):
        flac_bytes(waveform, 16_000)
    assert not list(tmp_path.iterdir())
