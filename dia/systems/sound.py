"""Answers as sound: what is no sound, or not whole, is a failure of its own kind."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from dia.audio.files import waveform_from_bytes
from dia.errors import UserError
from dia.types import Waveform

MAGIC = ((b"RIFF", "wav"), (b"RF64", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"))
SHORTEST_FOR_LOUDNESS = 0.4  # seconds: one block of ITU-R BS.1770


class BadSound(ValueError):
    """Bytes that are not the sound that was asked for; ``kind`` says how: ``empty``, ``not_audio``,
    ``damaged_audio``.
    """

    def __init__(self, kind: str, message: str) -> None:
        """``message`` says what was found."""
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Sound:
    """A mono waveform, float32 (samples,), its sample rate in hertz, and how many channels it came with."""

    waveform: Waveform
    sample_rate: int
    channels: int


def decode(raw: bytes, spelled: str) -> Sound:
    """Read an answer in the format that was asked for (``wav_24000``, ``pcm_24000``, ``any``).

    Raises :class:`BadSound` for an empty answer, for text or a page instead of sound, and for sound that is
    cut short.
    """
    if not raw:
        raise BadSound("empty", "the answer is empty")
    if _is_text(raw):
        raise BadSound(
            "not_audio", f"the answer is text, not sound: {raw[:120].decode('utf-8', 'replace')!r}"
        )
    kind, _, rate = spelled.partition("_")
    if kind == "pcm":
        return _pcm(raw, int(rate))
    try:
        waveform, sample_rate = waveform_from_bytes(raw)
    except UserError as error:
        raise BadSound("damaged_audio" if ending(raw, "") else "not_audio", str(error)) from error
    with soundfile.SoundFile(io.BytesIO(raw)) as file:
        return Sound(waveform, sample_rate, file.channels)


def ending(raw: bytes, spelled: str) -> str:
    """Return the ending of a file of these bytes by what they begin with, else by the format's spelling."""
    found = next((name for begin, name in MAGIC if raw.startswith(begin)), "")
    if not found and len(raw) > 1 and raw[0] == 0xFF and raw[1] & 0xE0 == 0xE0:
        found = "mp3"  # a frame of MPEG audio without tags
    return found or (spelled.partition("_")[0] if spelled and not _is_text(raw) else "")


def loudness(waveform: Waveform, sample_rate: int) -> float | None:
    """Return the integrated loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm), None for silence and below .4
    s.
    """
    import pyloudnorm

    if len(waveform) <= SHORTEST_FOR_LOUDNESS * sample_rate:
        return None
    measured = float(pyloudnorm.Meter(sample_rate).integrated_loudness(waveform.astype(np.float64)))
    return round(measured, 2) if np.isfinite(measured) else None


def wav_bytes(waveform: Waveform, sample_rate: int) -> bytes:
    """Return a waveform as the bytes of a WAV file of 16 bits; values outside -1..1 are clipped."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1.0, 1.0), sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _pcm(raw: bytes, sample_rate: int) -> Sound:
    if len(raw) % 2:
        raise BadSound(
            "damaged_audio",
            f"the answer is cut short: {len(raw)} bytes are no whole number of 16-bit samples",
        )
    return Sound(np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768), sample_rate, 1)


def _is_text(raw: bytes) -> bool:
    """Whether it begins like a page or an error message: printable ASCII over a stretch that no sound has."""
    begin = raw[:256].lstrip()
    return len(begin) > 4 and all(byte >= 32 or byte in (9, 10, 13) for byte in begin) and max(begin) < 127
