"""The text side of a dialogue: scripts, turns, nonverbal tags, a linter, and byte tokens."""

from dia.dialogue.lint import Limits, LintResult, lint
from dia.dialogue.script import Nonverbal, Script, Turn
from dia.dialogue.text import decode_text, encode_text
from dia.dialogue.vocabulary import Vocabulary

__all__ = [
    "Limits",
    "LintResult",
    "Nonverbal",
    "Script",
    "Turn",
    "Vocabulary",
    "decode_text",
    "encode_text",
    "lint",
]
