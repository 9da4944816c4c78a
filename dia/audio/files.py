"""Read and write audio files (WAV, FLAC, OGG, MP3) through soundfile; writes are atomic.

Waveforms are mono float32 arrays of shape (samples,) in -1..1 (:data:`dia.types.Waveform`).
"""

import io
import logging
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from dia.errors import UserError
from dia.files import atomic_write
from dia.types import Waveform

UNKNOWN_SIZE = 0xFFFFFFFF
ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
logger = logging.getLogger(__name__)


def resample(waveform: Waveform, from_rate: float, to_rate: float) -> Waveform:
    """Return the waveform resampled from one sample rate to another, in hertz."""
    if from_rate == to_rate:
        return np.asarray(waveform, dtype=np.float32)
    return np.asarray(soxr.resample(waveform, from_rate, to_rate), dtype=np.float32)


def read_audio(path: str | Path, sample_rate: int) -> Waveform:
    """Return an audio file as mono at ``sample_rate`` hertz; raises as :func:`read_audio_file` does."""
    waveform, rate = read_audio_file(path)
    return resample(waveform, rate, sample_rate)


def read_audio_file(path: str | Path) -> tuple[Waveform, int]:
    """Return an audio file as mono at its own sample rate, and that rate in hertz; channels are averaged.

    Raises:
        UserError: When the file is missing, unreadable, empty, truncated, no audio file, or holds values that
            are not finite.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file, str(path))
    except FileNotFoundError as error:
        raise UserError(f"there is no audio file at {path}; check the path") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); give an audio file that this user may read"
        ) from error


def _read(file: BinaryIO, owner: str) -> tuple[Waveform, int]:
    """Return mono samples and sample rate of an open audio file; ``owner`` names it in errors."""
    try:
        with soundfile.SoundFile(file) as audio:
            declared_frames = audio.frames
            rate = audio.samplerate
            samples = audio.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{owner} cannot be read as audio ({error}): it is truncated, damaged, or no audio file; copy it "
            "again, or give WAV, FLAC, OGG or MP3"
        ) from error
    if len(samples) < declared_frames or _wav_data_bytes_missing(file):
        raise UserError(
            f"{owner} is truncated: its header declares more samples than it holds; copy or record it again"
        )
    if len(samples) == 0:
        raise UserError(f"{owner} holds no samples; give a file with audio")
    if not np.isfinite(samples).all():
        raise UserError(f"{owner} holds values that are not finite; export it again")
    return samples.mean(axis=1), rate


def _wav_data_bytes_missing(file: BinaryIO) -> bool:
    """Return whether the data chunk of a WAV file declares more bytes than follow it.

    libsndfile reads such a file without an error. Both RIFF and RF64 (EBU Tech 3306) are checked; the chunk
    `ds64` of RF64 holds the sizes that need 64 bits.
    """
    length, long_size = file.seek(0, os.SEEK_END), None
    file.seek(0)
    if file.read(12)[:4] not in (b"RIFF", b"RF64"):
        return False
    while len(header := file.read(8)) == 8:
        name, size = header[:4], int.from_bytes(header[4:], "little")
        if name == b"data":
            # all ones without a 64-bit size means "until the end of the file"; streaming writers leave it so
            size = long_size or 0 if size == UNKNOWN_SIZE else size
            return file.tell() + size > length
        begin = file.tell()
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        file.seek(begin + size + size % 2)
    return False


def _require_mono(waveform: Waveform, target: str) -> None:
    """Raise :class:`UserError` for several channels or values that are not finite."""
    finite = bool(np.isfinite(waveform).all())
    if waveform.ndim != 1 or not finite:
        raise UserError(
            f"{target}: the waveform has the shape {waveform.shape} and finite={finite}; give finite samples "
            "of shape (samples,)"
        )


def write_audio(path: str | Path, waveform: Waveform, sample_rate: int) -> None:
    """Write a waveform in the format of the file's ending; values outside -1..1 are clipped with a warning.

    Raises:
        UserError: When the ending is unknown, the folder is missing, the samples are no mono waveform, or the
            format has no such sample rate.
    """
    target = Path(path)
    _require_mono(waveform, str(path))
    if target.suffix.lower() not in ENDINGS:
        raise UserError(f"{path} has no ending of an audio file; write .wav, .flac, .ogg or .mp3")
    if target.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if not target.parent.is_dir():
        raise UserError(f"the folder {target.parent} is missing; create it, or write elsewhere")
    if len(waveform) and float(np.abs(waveform).max()) > 1.0:
        logger.warning("%s: clipped samples up to %.2f to 1", path, float(np.abs(waveform).max()))
    try:
        with atomic_write(target) as temporary:
            format_name = target.suffix[1:].upper()
            soundfile.write(str(temporary), np.clip(waveform, -1.0, 1.0), sample_rate, format=format_name)
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path} cannot be written at {sample_rate} Hz ({error}); choose another format or rate"
        ) from error


def flac_bytes(waveform: Waveform, sample_rate: int) -> bytes:
    """Return a waveform as a 16-bit FLAC file in memory; raises :class:`UserError` unless it is mono."""
    _require_mono(waveform, "FLAC")
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1.0, 1.0), sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def waveform_from_bytes(content: bytes) -> tuple[Waveform, int]:
    """Return the mono waveform and sample rate (hertz) of an audio file in memory.

    Raises :class:`UserError` as :func:`read_audio_file` does.
    """
    return _read(io.BytesIO(content), f"stored audio of {len(content)} bytes")
