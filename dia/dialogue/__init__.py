"""The text side: scripts, turns, nonverbal tags, lint and byte tokens. Knows nothing of sound."""

from dia.dialogue.lint import Limits, lint
from dia.dialogue.script import Nonverbal, Script, Turn
from dia.dialogue.text import decode_text, encode_text

__all__ = ["Limits", "Nonverbal", "Script", "Turn", "decode_text", "encode_text", "lint"]
