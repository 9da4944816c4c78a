"""Audio formats: endings that can be read, formats that cannot, and MP3 files without a stated length."""

from dataclasses import dataclass
from pathlib import PurePath

READABLE = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd",
    ".caf", ".w64", ".rf64", ".sph",
)  # fmt: skip
"""Endings of the formats that libsndfile reads."""
UNREADABLE = (
    ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".aac", ".webm", ".mka", ".mkv", ".amr", ".wma", ".ac3",
    ".ape", ".wv", ".spx", ".dsf",
)  # fmt: skip
"""Endings of recordings that libsndfile does not read."""

# kilobits per second of MPEG layer III by index, for MPEG 1 and for MPEG 2 and 2.5 (ISO 11172-3, 13818-3)
_BIT_RATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_INDEX_64_KBPS = {True: 5, False: 8}  # a frame of this rate holds a Xing header at every sample rate
_FRAMES_PRESENT = 1  # flag of a Xing header


def is_audio_name(name: str) -> bool:
    """Return whether a file name has the ending of a recording, readable or not."""
    return PurePath(name).suffix.lower() in READABLE + UNREADABLE


def unreadable_format(head: bytes, name: str = "") -> str | None:
    """Return the name of a format that cannot be read, from a file's first bytes or its name; else None."""
    if head[4:8] == b"ftyp":
        return "MPEG-4 (M4A, MP4)"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "Matroska or WebM"
    if head[:5] == b"#!AMR":
        return "AMR"
    if head[:4] == b"\x30\x26\xb2\x75":
        return "Windows Media"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "AAC"
    suffix = PurePath(name).suffix.lower()
    return suffix.removeprefix(".").upper() if suffix in UNREADABLE else None


@dataclass(frozen=True)
class _Frame:
    """The header of an MPEG layer III frame."""

    header: int
    mpeg1: bool
    mono: bool
    size: int

    @property
    def tag_offset(self) -> int:
        """Bytes before a Xing header in the frame: the frame's header and its side information."""
        sizes = (17, 32) if self.mpeg1 else (9, 17)
        return 4 + sizes[not self.mono]


def _frame_at(content: bytes, place: int) -> _Frame | None:
    """The frame whose header stands at ``place``, None if there is none."""
    header = int.from_bytes(content[place : place + 4], "big")
    version, layer = header >> 19 & 3, header >> 17 & 3
    bit_rate, rate = header >> 12 & 15, header >> 10 & 3
    if len(content) < place + 4 or header >> 21 != 0x7FF or layer != 1 or version == 1:
        return None
    if bit_rate in (0, 15) or rate == 3:  # a free bit rate has no known frame size
        return None
    mpeg1 = version == 3
    factor = 144_000 if mpeg1 else 72_000
    size = factor * _BIT_RATES[mpeg1][bit_rate] // _SAMPLE_RATES[version][rate] + (header >> 9 & 1)
    return _Frame(header, mpeg1, header >> 6 & 3 == 3, size)


def _first_frame(content: bytes) -> int | None:
    """The place of the first of two consecutive frames after an ID3v2 tag, None without any."""
    place = 0
    if content[:3] == b"ID3" and len(content) >= 10:
        size = 0
        for byte in content[6:10]:
            size = size << 7 | byte & 0x7F
        place = 10 + size
    end = min(len(content), place + 65_536)
    while (place := content.find(b"\xff", place, end)) >= 0:
        frame = _frame_at(content, place)
        following = place + frame.size if frame else 0
        if frame and (following == len(content) or _frame_at(content, following)):
            return place
        place += 1
    return None


def with_stated_length(content: bytes) -> tuple[bytes, bool] | None:
    """Return an MP3 file with a Xing header that states its length, and whether its last frame is cut off.

    libsndfile estimates the length of an MP3 without such a header from its first frames, reports that many
    samples, and reads no further. The frames are counted here instead. Returns None for content that states
    its length already (Xing, Info, VBRI) or is no MPEG layer III.
    """
    begin = _first_frame(content)
    first = _frame_at(content, begin) if begin is not None else None
    if begin is None or first is None:
        return None
    if content[begin + first.tag_offset :][:4] in (b"Xing", b"Info") or content[begin + 36 :][:4] == b"VBRI":
        return None
    count, place = 0, begin
    while (frame := _frame_at(content, place)) and place + frame.size <= len(content):
        count, place = count + 1, place + frame.size
    return _xing_frame(first, count) + content[begin:place], frame is not None


def _xing_frame(like: _Frame, frames: int) -> bytes:
    """A silent frame with a Xing header for ``frames`` frames that follow it."""
    header = like.header & ~(0xF << 12 | 1 << 9) | _INDEX_64_KBPS[like.mpeg1] << 12 | 1 << 16  # no checksum
    content = header.to_bytes(4, "big")
    frame = _frame_at(content, 0)
    assert frame is not None, "the header of a frame with another bit rate is one"
    tag = b"Xing" + _FRAMES_PRESENT.to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (content.ljust(frame.tag_offset, b"\0") + tag).ljust(frame.size, b"\0")
