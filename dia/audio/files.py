"""Sound files through soundfile (WAV, FLAC, OGG, MP3): read with care, written whole or not at all.

Waves are mono float32 arrays of shape (samples,) in -1..1.
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
log = logging.getLogger(__name__)


def resample(waveform: Waveform, from_rate: float, to_rate: float) -> Waveform:
    """Return the waveform at another sample rate, in hertz."""
    if from_rate == to_rate:
        return np.asarray(waveform, dtype=np.float32)
    return np.asarray(soxr.resample(waveform, from_rate, to_rate), dtype=np.float32)


def read_audio(path: str | Path, sample_rate: int) -> Waveform:
    """Read a file as mono at ``sample_rate`` hertz; several channels are averaged. Raises as
    :func:`read_sound` does.
    """
    waveform, rate = read_sound(path)
    return resample(waveform, rate, sample_rate)


def read_sound(path: str | Path) -> tuple[Waveform, int]:
    """Read a file as mono, and its sample rate in hertz; several channels are averaged.

    Raises :class:`UserError` for a file that is missing, empty, no sound file, cut short, or holds values
    that are no numbers.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file, str(path))
    except FileNotFoundError as error:
        raise UserError(f"there is no sound file at {path}; check the path") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); give a sound file that this user may read"
        ) from error


def _read(file: BinaryIO, owner: str) -> tuple[Waveform, int]:
    """Mono samples and sample rate of an open sound file; ``owner`` names it in what is raised."""
    try:
        with soundfile.SoundFile(file) as sound:
            promised, rate = sound.frames, sound.samplerate
            samples = sound.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{owner} cannot be read as sound ({error}): it is cut short or damaged, or no sound; copy it again, or give "
            "WAV, FLAC, OGG or MP3"
        ) from error
    if len(samples) < promised or _wav_data_bytes_missing(file):
        raise UserError(
            f"{owner} is cut short: its header promises more samples than it holds; copy or record it again"
        )
    if len(samples) == 0:
        raise UserError(f"{owner} holds no samples; give a recording")
    if not np.isfinite(samples).all():
        raise UserError(f"{owner} holds values that are no numbers; export it again")
    return samples.mean(axis=1), rate


def _wav_data_bytes_missing(file: BinaryIO) -> bool:
    """Whether the data chunk of a WAV file promises more bytes than follow (libsndfile reads such a file in
    silence).

    RIFF, and RF64 (EBU Tech 3306), whose chunk `ds64` holds the sizes that need 64 bits.
    """
    length, long_size = file.seek(0, os.SEEK_END), None
    file.seek(0)
    if file.read(12)[:4] not in (b"RIFF", b"RF64"):
        return False
    while len(header := file.read(8)) == 8:
        name, size = header[:4], int.from_bytes(header[4:], "little")
        if name == b"data":
            # all ones, and no 64-bit size, means "until the end", which streaming writers leave behind
            size = long_size or 0 if size == UNKNOWN_SIZE else size
            return file.tell() + size > length
        begin = file.tell()
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        file.seek(begin + size + size % 2)
    return False


def _require_mono(waveform: Waveform, target: str) -> None:
    """Refuse what a file would hold wrongly without a word: several channels, and values that are no
    numbers.
    """
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise UserError(
            f"{target}: shape {waveform.shape} with finite={bool(np.isfinite(waveform).all())}; give finite samples (samples,)"
        )


def write_audio(path: str | Path, waveform: Waveform, sample_rate: int) -> None:
    """Write a file in the format of its ending. Values outside -1..1 are clipped, with a warning.

    Raises :class:`UserError` when the ending is unknown, the folder is missing, the samples are no mono
    waveform, or the format has no such sample rate.
    """
    target = Path(path)
    _require_mono(waveform, str(path))
    if target.suffix.lower() not in ENDINGS:
        raise UserError(f"{path} has no ending of a sound file; write .wav, .flac, .ogg or .mp3")
    if target.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if not target.parent.is_dir():
        raise UserError(f"the folder {target.parent} is missing; make it, or write elsewhere")
    if len(waveform) and float(np.abs(waveform).max()) > 1.0:
        log.warning("%s: clipped samples up to %.2f to 1", path, float(np.abs(waveform).max()))
    try:
        with atomic_write(target) as temporary:
            format_name = target.suffix[1:].upper()
            soundfile.write(str(temporary), np.clip(waveform, -1.0, 1.0), sample_rate, format=format_name)
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path} cannot be written at {sample_rate} Hz ({error}); choose another format or rate"
        ) from error


def flac_bytes(waveform: Waveform, sample_rate: int) -> bytes:
    """Return the waveform as a FLAC file, 16 bits. Raises :class:`UserError` when the samples are no mono
    waveform.
    """
    _require_mono(waveform, "FLAC")
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1.0, 1.0), sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def waveform_from_bytes(content: bytes) -> tuple[Waveform, int]:
    """Return the mono waveform and sample rate (hertz) of a sound file in memory.

    Raises :class:`UserError` as :func:`read_sound` does.
    """
    return _read(io.BytesIO(content), f"stored sound of {len(content)} bytes")
