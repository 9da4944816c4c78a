"""The text side of a dialogue: scripts, turns, nonverbal tags, a linter, and byte tokens."""

from dia.dialogue.lint import Limits, lint
from dia.dialogue.script import Nonverbal, Script, Turn
from dia.dialogue.text import decode_text, encode_text

__all__ = ["Limits", "Nonverbal", "Script", "Turn", "decode_text", "encode_text", "lint"]
