"""Read audio files through soundfile, and write WAV, FLAC, OGG and MP3; writes are atomic.

Waveforms are mono float32 arrays of shape (samples,) in -1..1 (:data:`dia.types.Waveform`).
"""

import io
import logging
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from dia.audio.formats import unreadable_format, with_stated_length
from dia.errors import UserError, one_line
from dia.files import write_bytes
from dia.types import Waveform

UNKNOWN_SIZE = 0xFFFFFFFF
ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
"""Endings of the files that can be written; those that can be read are `dia.audio.formats.READABLE`."""
UNKNOWN_FRAMES = 1 << 62  # libsndfile: a FLAC that was written to a pipe does not state its length
BLOCK = 1 << 20  # frames that are read at a time: a damaged header may declare any number of them
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
        if stat.S_ISFIFO(Path(path).stat().st_mode):  # opening it would wait for a writer
            raise UserError(f"{path} is a named pipe; give an audio file")
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
    head = file.read(12)
    file.seek(0)
    try:
        waveform, rate, whole = _decode(file)
    except soundfile.LibsndfileError as error:
        if unreadable := unreadable_format(head, owner):
            raise UserError(
                f"{owner} is {unreadable}, which cannot be read; convert it: ffmpeg -i INPUT OUTPUT.wav"
            ) from error
        raise UserError(
            f"{owner} cannot be read as audio ({one_line(error)}): it is truncated, damaged, or no audio "
            "file; copy it again, or give WAV, FLAC, OGG or MP3"
        ) from error
    if not whole or _wav_data_bytes_missing(file):
        raise UserError(
            f"{owner} is truncated: its header declares more samples than it holds; copy or record it again"
        )
    if len(waveform) == 0:
        raise UserError(f"{owner} holds no samples; give a file with audio")
    if not np.isfinite(waveform).all():
        raise UserError(f"{owner} holds values that are not finite; export it again")
    return waveform, rate


def _decode(file: BinaryIO) -> tuple[Waveform, int, bool]:
    """Return mono samples, sample rate, and whether the file holds as many samples as it declares.

    Raises ``soundfile.LibsndfileError``.
    """
    with soundfile.SoundFile(file) as audio:
        if audio.format != "MP3":
            waveform, rate = _samples(audio)
            return waveform, rate, len(waveform) >= audio.frames or audio.frames >= UNKNOWN_FRAMES
    file.seek(0)
    content = file.read()
    rebuilt, cut = with_stated_length(content) or (content, False)
    with soundfile.SoundFile(io.BytesIO(rebuilt)) as audio:
        waveform, rate = _samples(audio)
        return waveform, rate, len(waveform) >= audio.frames and not cut


def _samples(audio: soundfile.SoundFile) -> tuple[Waveform, int]:
    """Return the mono samples and the sample rate of an open file."""
    blocks = [np.zeros(0, dtype=np.float32)]
    if audio.frames >= UNKNOWN_FRAMES:  # soundfile would seek to an end that libsndfile does not know
        audio._info.seekable = 0
    while len(block := audio.read(BLOCK, dtype="float32", always_2d=True)):
        blocks.append(block.mean(axis=1))
    return np.concatenate(blocks), audio.samplerate


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
        UserError: When the ending is unknown, the folder is missing or cannot be written, the samples are no
            mono waveform, or the format has no such sample rate.
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
    encoded = io.BytesIO()  # libsndfile does not say why a file cannot be written
    try:
        soundfile.write(encoded, np.clip(waveform, -1.0, 1.0), sample_rate, format=target.suffix[1:].upper())
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path} cannot be written at {sample_rate} Hz ({error}); choose another format or rate"
        ) from error
    write_bytes(target, encoded.getvalue())


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
