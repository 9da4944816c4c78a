"""Transcripts in which a recogniser repeats itself instead of transcribing.

Whisper rejects a window whose text compresses to less than 1 / 2.4 of its length. A transcript that still
contains such a stretch says nothing about the recording.
"""

import zlib

LIMIT = 2.4  # characters by compressed characters; Whisper's `compression_ratio_threshold`
STRETCH = 500  # characters, about 30 s of speech; longer texts compress better without any repetition


def compression_ratio(text: str) -> float:
    """Return the highest ratio of bytes to compressed bytes of any stretch of 500 characters."""
    starts = range(0, max(1, len(text) - STRETCH // 2), STRETCH // 2)
    stretches = [text[start : start + STRETCH].encode() for start in starts]
    return max(len(stretch) / len(zlib.compress(stretch)) for stretch in stretches)


def is_looping(transcript: str, script: str = "") -> bool:
    """Whether a transcript repeats itself although its ``script`` does not."""
    return compression_ratio(transcript) > LIMIT >= compression_ratio(script)
