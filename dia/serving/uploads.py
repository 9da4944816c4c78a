"""Limits on the length of uploaded recordings: compressed audio of a few megabytes may last for hours."""

import io

import soundfile

from dia.errors import UserError


def require_short(content: bytes, seconds: float) -> None:
    """Raise :class:`UserError` for an audio file that is longer than ``seconds``, before it is decoded.

    What is no audio file passes: decoding it states the problem.
    """
    try:
        length = soundfile.info(io.BytesIO(content)).duration
    except (soundfile.SoundFileError, ValueError):
        return
    if length > seconds:
        raise UserError(f"the recording is {length:.0f} s long; send at most {seconds:.0f} s")
