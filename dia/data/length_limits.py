"""Limits on the length of clips, from the model that they are prepared for."""

from dataclasses import dataclass

from dia.data.clip import Clip
from dia.dialogue.text import text_size
from dia.errors import UserError

SHOWN = 10


@dataclass(frozen=True)
class LengthLimits:
    """The longest text in bytes and the longest audio in seconds that the model takes; None without a limit.

    With ``skip`` longer clips are dropped. Without it a longer text is an error, and longer audio is reported
    when training starts: the same data may be for a larger model.
    """

    text_bytes: int | None = None
    seconds: float | None = None
    skip: bool = False

    def text_problem(self, text: str) -> str | None:
        """Return why a text is too long, None if it is not."""
        size = text_size(text)
        if self.text_bytes is None or size <= self.text_bytes:
            return None
        return f"its text has {size:,} bytes"

    def drop_reason(self, clip: Clip) -> str | None:
        """Return why a clip is dropped with ``skip``, None if it is not."""
        if not self.skip:
            return None
        if self.text_problem(clip.script().render()):
            return f"its text is longer than {self.text_bytes:,} bytes"
        if self.seconds is not None and clip.seconds > self.seconds:
            return f"its audio is longer than {self.seconds:.1f} s"
        return None

    def require_short(self, listed: list[str]) -> None:
        """Raise :class:`UserError` about texts that are too long, each named by one entry of ``listed``."""
        if not listed or self.skip:
            return
        limit = self.text_bytes or 0
        lines = [f"  - {entry}" for entry in listed[:SHOWN]]
        lines += [f"  and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
        remedy = (
            "cut these clips at a turn, leave them out with data.too_long=skip, or choose a model that reads "
            "longer texts (model.encoder.max_positions)"
        )
        head = f"{len(listed)} texts are longer than the {limit:,} bytes that the model reads; {remedy}:"
        raise UserError("\n".join([head, *lines]))
