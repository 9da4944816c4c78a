"""Dia's text tokenization: UTF-8 bytes, with each speaker tag as one id.

The scheme is that of nari-labs/dia (`dia/model.py`, `_encode_text`).
"""

from dia.errors import UserError

PAD_ID = 0
MAX_BYTES = 1024
SPEAKER_BYTES = ((b"[S1]", b"\x01"), (b"[S2]", b"\x02"))


def text_size(text: str) -> int:
    """Return the number of ids of a text, whether it is too long or not."""
    data = text.encode("utf-8")
    for tag, byte in SPEAKER_BYTES:
        data = data.replace(tag, byte)
    return len(data)


def encode_text(text: str, max_bytes: float = MAX_BYTES) -> list[int]:
    """Return the ids of a text: [S1] is 1, [S2] is 2, everything else its UTF-8 bytes.

    Raises:
        UserError: Above ``max_bytes`` ids (nari-labs/dia truncates there silently), for text that UTF-8
            cannot encode (a lone surrogate), and for the characters 0, 1 and 2, which would collide with
            padding and speakers.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"the text has a lone surrogate at character {error.start}; remove it") from error
    if clash := sorted(set(data) & {0, 1, 2}):
        raise UserError(
            f"the text has the control characters {clash}, which mean padding and speakers; remove them"
        )
    for tag, byte in SPEAKER_BYTES:
        data = data.replace(tag, byte)
    if len(data) > max_bytes:
        raise UserError(
            f"the text has {len(data):,} bytes, over the {max_bytes:,} of one pass; cut it at a turn"
        )
    return list(data)


def decode_text(ids: list[int]) -> str:
    """Return the text of ids without padding (0); inverts :func:`encode_text`."""
    data = bytes(token for token in ids if token != PAD_ID)
    for tag, byte in SPEAKER_BYTES:
        data = data.replace(byte, tag)
    return data.decode("utf-8", errors="replace")


def joined_text(transcript: str, text: str) -> str:
    """Return the transcript of a voice prompt and a script as one text, in training as in generation.

    Turns of the same speaker stay apart: users of nari-labs/dia and of transformers concatenate, too.
    """
    return f"{transcript} {text}"
