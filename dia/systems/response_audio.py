"""Decode the audio of a response, and classify responses that are empty, not audio, or damaged."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from dia.audio.files import waveform_from_bytes
from dia.errors import UserError
from dia.systems.declaration import RAW_FORMATS
from dia.types import Waveform

MAGIC = ((b"RIFF", "wav"), (b"RF64", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"))
SHORTEST_FOR_LOUDNESS = 0.4  # seconds: one block of ITU-R BS.1770


class InvalidAudio(ValueError):
    """Bytes that are not the requested audio; ``kind`` is ``empty``, ``not_audio`` or ``damaged_audio``."""

    def __init__(self, kind: str, message: str) -> None:
        """``message`` describes the bytes."""
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class DecodedAudio:
    """A mono waveform, float32 (samples,), its sample rate in hertz, and the original number of channels."""

    waveform: Waveform
    sample_rate: int
    channels: int


def decode_audio(content: bytes, audio_format: str) -> DecodedAudio:
    """Decode a response in the requested format (``wav_24000``, ``pcm_24000``, ``ulaw_8000``, ``any``).

    Raises :class:`InvalidAudio` for an empty response, for text or a web page, and for truncated audio.
    """
    if not content:
        raise InvalidAudio("empty", "the response is empty")
    if _is_text(content):
        excerpt = content[:120].decode("utf-8", "replace")
        raise InvalidAudio("not_audio", f"the response is text, not audio: {excerpt!r}")
    kind, _, rate = audio_format.partition("_")
    if kind in RAW_FORMATS:
        return _decode_raw(content, RAW_FORMATS[kind], int(rate))
    try:
        waveform, sample_rate = waveform_from_bytes(content)
    except UserError as error:
        raise InvalidAudio(
            "damaged_audio" if file_extension(content, "") else "not_audio", str(error)
        ) from error
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        return DecodedAudio(waveform, sample_rate, file.channels)


def file_extension(content: bytes, audio_format: str) -> str:
    """Return the file extension for these bytes: from their first bytes, else from the requested format."""
    extension = next((name for magic, name in MAGIC if content.startswith(magic)), "")
    if not extension and len(content) > 1 and content[0] == 0xFF and content[1] & 0xE0 == 0xE0:
        extension = "mp3"  # an MPEG audio frame without tags
    fallback = audio_format.partition("_")[0] if audio_format and not _is_text(content) else ""
    return extension or fallback


def integrated_loudness(waveform: Waveform, sample_rate: int) -> float | None:
    """Return the loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm), None for silence and below 0.4 s."""
    import pyloudnorm

    if len(waveform) <= SHORTEST_FOR_LOUDNESS * sample_rate:
        return None
    measured = float(pyloudnorm.Meter(sample_rate).integrated_loudness(waveform.astype(np.float64)))
    return round(measured, 2) if np.isfinite(measured) else None


def pcm16_wav_bytes(waveform: Waveform, sample_rate: int) -> bytes:
    """Return a waveform as a 16-bit WAV file; values outside -1..1 are clipped."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1.0, 1.0), sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _decode_raw(content: bytes, subtype: str, sample_rate: int) -> DecodedAudio:
    """Decode mono samples without a header: 16-bit little-endian PCM, or G.711 of 8 bits."""
    if subtype == "PCM_16" and len(content) % 2:
        raise InvalidAudio(
            "damaged_audio",
            f"the response is cut short: {len(content)} bytes are not a whole number of 16-bit samples",
        )
    waveform, _ = soundfile.read(
        io.BytesIO(content),
        dtype="float32",
        samplerate=sample_rate,
        channels=1,
        format="RAW",
        subtype=subtype,
        endian="LITTLE",
    )
    return DecodedAudio(waveform, sample_rate, 1)


def _is_text(content: bytes) -> bool:
    """Whether the bytes begin with a run of printable ASCII, as web pages and error messages do."""
    begin = content[:256].lstrip()
    return len(begin) > 4 and all(byte >= 32 or byte in (9, 10, 13) for byte in begin) and max(begin) < 127
