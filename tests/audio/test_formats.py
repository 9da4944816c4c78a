"""Audio formats: MP3 without a stated length, everything that is read, and what is not."""

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.audio.files import read_audio_file, waveform_from_bytes
from dia.audio.formats import (
    READABLE,
    UNREADABLE,
    _first_frame,
    _frame_at,
    is_audio_name,
    unreadable_format,
    with_stated_length,
)
from dia.errors import UserError

RATE = 24_000
DELAY = 529  # samples of the decoder, which mpg123 leaves out where a length is stated


def tone(seconds=1.0, rate=RATE, silent_after=None):
    waveform = (0.3 * np.sin(np.arange(round(seconds * rate)) * 0.05)).astype(np.float32)
    if silent_after is not None:
        waveform[round(silent_after * rate) :] = 0
    return waveform


def mp3(waveform, rate=RATE, mode="CONSTANT"):
    """Return an MP3 file with its Xing or Info header, as LAME writes it."""
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return file.getvalue()


def frames_of(content):
    """Return the places of the frames of an MP3 file."""
    places, place = [], _first_frame(content)
    while place is not None and (frame := _frame_at(content, place)) and place + frame.size <= len(content):
        places.append(place)
        place += frame.size
    return places


def without_header(content):
    """Return an MP3 without the frame that states its length, as streaming services send it."""
    places = frames_of(content)
    assert (
        content[places[0] : places[1]].find(b"Xing") > 0 or content[places[0] : places[1]].find(b"Info") > 0
    )
    return content[places[1] :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_an_mp3_without_a_stated_length_is_whole(mode, rate):
    waveform = tone(2.3, rate, silent_after=0.7)  # the first frames are larger than the others
    content = without_header(mp3(waveform, rate, mode))
    read, read_rate = waveform_from_bytes(content)
    samples_per_frame = 1152 if rate > 24_000 else 576
    assert read_rate == rate and len(read) == len(frames_of(content)) * samples_per_frame - DELAY
    assert len(waveform) <= len(read) <= len(waveform) + 4 * samples_per_frame
    assert np.abs(read[:1000]).max() < 0.35 and np.abs(read[2000:6000]).max() > 0.25


def test_tags_around_an_mp3_are_no_audio():
    content = without_header(mp3(tone()))
    tagged = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 4]) + bytes(132) + content + b"TAG".ljust(128, b"\0")
    assert np.array_equal(waveform_from_bytes(tagged)[0], waveform_from_bytes(content)[0])


def test_an_mp3_that_is_cut_off_is_refused():
    for content in (mp3(tone()), without_header(mp3(tone()))):
        with pytest.raises(UserError, match="truncated"):
            waveform_from_bytes(content[: len(content) * 2 // 3 + 5])


def test_a_stated_length_is_left_as_it_is():
    assert with_stated_length(mp3(tone())) is None
    assert with_stated_length(b"this is no audio" * 100) is None


@given(st.binary(max_size=4000))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused(content):
    for head in (b"", b"\xff\xfb\x90\x64", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f", b"RIFF\xff\xff\xff\xffWAVE"):
        with suppress(UserError):
            waveform_from_bytes(head + content)


WRITABLE = {
    ".wav": ("WAV", "PCM_16"), ".wave": ("WAV", "PCM_24"), ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"), ".oga": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"), ".aiff": ("AIFF", "PCM_16"), ".aif": ("AIFF", "FLOAT"),
    ".aifc": ("AIFF", "ULAW"), ".au": ("AU", "PCM_16"), ".snd": ("AU", "ULAW"), ".caf": ("CAF", "ALAC_16"),
    ".w64": ("W64", "PCM_16"), ".rf64": ("RF64", "PCM_16"), ".sph": ("NIST", "PCM_16"),
}  # fmt: skip


@pytest.mark.parametrize("ending", READABLE)
def test_every_readable_format_is_read(ending, tmp_path):
    path = tmp_path / f"tone{ending}"
    kind, subtype = WRITABLE[ending]
    soundfile.write(path, tone(), RATE, format=kind, subtype=subtype)
    waveform, rate = read_audio_file(path)
    assert rate == RATE and RATE <= len(waveform) <= RATE + 2400
    assert 0.25 < np.abs(waveform[: RATE // 2]).max() < 0.35


HEADS = {
    "M4A": b"\x00\x00\x00\x20ftypM4A ", "WebM": b"\x1aE\xdf\xa3\x9fB\x86\x81", "AMR": b"#!AMR\n",
    "Windows Media": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "AAC": b"\xff\xf1\x50\x80",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HEADS))
def test_a_format_that_cannot_be_read_is_named_with_the_remedy(name, tmp_path):
    path = tmp_path / "talk.mp3"  # the content decides, not the ending
    path.write_bytes(HEADS[name] + bytes(500))
    with pytest.raises(UserError, match=rf"talk\.mp3 is .*{name}.*cannot be read; convert it: ffmpeg -i"):
        read_audio_file(path)


def test_endings_without_a_known_content_are_named():
    assert unreadable_format(b"", "a.WMA") == "WMA" and unreadable_format(b"RIFF", "a.wav") is None
    assert all(is_audio_name(f"x{ending.upper()}") for ending in READABLE + UNREADABLE)
    assert not is_audio_name("LJ001-0001") and not set(READABLE) & set(UNREADABLE)


def test_a_header_that_declares_any_length_costs_no_memory(tmp_path):
    soundfile.write(tmp_path / "a.au", tone(), RATE, format="AU", subtype="PCM_16")
    content = bytearray((tmp_path / "a.au").read_bytes())
    content[8:12] = struct.pack(">I", 0xFFFFFFFF)  # "unknown", as streaming writers leave it
    (tmp_path / "a.au").write_bytes(content)
    assert len(read_audio_file(tmp_path / "a.au")[0]) == RATE


def test_a_flac_that_was_streamed_is_whole(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0  # the total number of samples, 0 where it was not known
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert len(read_audio_file(tmp_path / "a.flac")[0]) == RATE
