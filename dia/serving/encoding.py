"""Encode audio while it is generated, in the formats of OpenAI's speech endpoint."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import soxr

from dia.types import Waveform

PCM_RATE = 24_000  # hertz, of `pcm`, which has no header: OpenAI's clients expect it
UNKNOWN_SIZE = 0xFFFFFFFF


class AudioEncoder(Protocol):
    """Encodes one piece of audio, (samples,) float32 in -1..1, after the other."""

    def encode(self, waveform: Waveform) -> bytes:
        """Return the bytes that are complete; they may be empty."""
        ...

    def finish(self) -> bytes:
        """Return the remaining bytes."""
        ...


@dataclass(frozen=True)
class AudioFormat:
    """A format: its media type, and container and codec of ffmpeg with a rate that the codec needs."""

    media_type: str
    container: str = ""
    codec: str = ""
    rate: int = 0
    options: tuple[tuple[str, str], ...] = ()


FORMATS = {
    "mp3": AudioFormat("audio/mpeg", "mp3", "libmp3lame", options=(("write_xing", "0"),)),
    "opus": AudioFormat("audio/ogg", "ogg", "libopus", 48_000, (("page_duration", "100000"),)),
    "aac": AudioFormat("audio/aac", "adts", "aac"),
    "flac": AudioFormat("audio/flac", "flac", "flac"),
    "wav": AudioFormat("audio/wav"),
    "pcm": AudioFormat("audio/pcm"),
}


def open_encoder(name: str, sample_rate: int) -> AudioEncoder:
    """Return an encoder of a format of ``FORMATS`` for audio of ``sample_rate`` hertz."""
    if name == "wav":
        return WavEncoder(sample_rate)
    if name == "pcm":
        return PcmEncoder(sample_rate)
    return FfmpegEncoder(FORMATS[name], sample_rate)


def as_int16(waveform: Waveform) -> bytes:
    """Return samples as 16-bit integers, little-endian."""
    return (np.clip(waveform, -1, 1) * 32_767).round().astype("<i2").tobytes()


class WavEncoder:
    """WAV with 16-bit samples; the sizes in its header are unknown, as in every WAV that is streamed."""

    def __init__(self, sample_rate: int) -> None:
        rate, bytes_a_second = sample_rate.to_bytes(4, "little"), (2 * sample_rate).to_bytes(4, "little")
        unknown = UNKNOWN_SIZE.to_bytes(4, "little")
        layout = b"\x10\0\0\0" + b"\1\0" + b"\1\0" + rate + bytes_a_second + b"\2\0" + b"\x10\0"
        self._header = b"RIFF" + unknown + b"WAVEfmt " + layout + b"data" + unknown

    def encode(self, waveform: Waveform) -> bytes:
        """See :class:`AudioEncoder`."""
        header, self._header = self._header, b""
        return header + as_int16(waveform)

    def finish(self) -> bytes:
        """See :class:`AudioEncoder`."""
        return self._header


class PcmEncoder:
    """16-bit samples at 24 kHz without a header."""

    def __init__(self, sample_rate: int) -> None:
        self._resampler = soxr.ResampleStream(sample_rate, PCM_RATE, 1, dtype="float32")

    def encode(self, waveform: Waveform) -> bytes:
        """See :class:`AudioEncoder`."""
        return as_int16(self._resampler.resample_chunk(waveform))

    def finish(self) -> bytes:
        """See :class:`AudioEncoder`."""
        return as_int16(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))


class _Output:
    """Collects what a container writes; without ``seek``, so that nothing is written twice."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data, self._parts = b"".join(self._parts), []
        return data


class FfmpegEncoder:
    """MP3, Opus, AAC and FLAC by ffmpeg's libraries (the package `av`)."""

    def __init__(self, audio_format: AudioFormat, sample_rate: int) -> None:
        import av

        self._av: Any = av
        self._rate = sample_rate
        self._output = _Output()
        self._container: Any = av.open(
            self._output, "w", format=audio_format.container, options=dict(audio_format.options)
        )
        add_stream: Any = self._container.add_stream
        self._stream: Any = add_stream(
            audio_format.codec, rate=audio_format.rate or _supported_rate(av, audio_format.codec, sample_rate)
        )
        self._stream.layout = "mono"
        self._samples = 0

    def encode(self, waveform: Waveform) -> bytes:
        """See :class:`AudioEncoder`."""
        if len(waveform):
            samples = np.ascontiguousarray(np.clip(waveform, -1, 1)[None], dtype=np.float32)
            frame = self._av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = self._rate, self._samples
            self._samples += len(waveform)
            self._write(frame)
        return self._output.take()

    def finish(self) -> bytes:
        """See :class:`AudioEncoder`."""
        self._write(None)
        self._container.close()
        return self._output.take()

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def _supported_rate(av: Any, codec: str, sample_rate: int) -> int:
    """Return the rate, or the lowest above it that the codec has."""
    rates: list[int] | None = av.codec.Codec(codec, "w").audio_rates
    return (
        sample_rate if not rates else min((rate for rate in rates if rate >= sample_rate), default=max(rates))
    )
