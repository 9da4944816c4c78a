"""Clips with made-up values, for tests of what is summed up."""

from dia.dialogue import Script
from dia.evaluation.metrics.nonverbals import asked_slots
from dia.evaluation.metrics.protocol import Clip
from dia.evaluation.prompts import Prompt
from dia.evaluation.turn_alignment import script_words
from dia.judges.events import Calibration

PERFECT = Calibration(0.5, 1.0, 1.0, 50, 50)
WEAK = Calibration(0.5, 0.6, 0.8, 50, 50)
HOP, FIRST = 0.2, 0.2


def clip(script, heard=(), group="", version="", tag="", number=0, errors=0, read_aloud=0, seed=0):
    """A clip whose words take a second each; ``heard`` are (tag, seconds) of windows with a score of .9."""
    parsed = Script.parse(script)
    words = script_words(parsed)
    windows = 5 * (len(words) + 2)
    scores = {name: [0.0] * windows for name in ("laughs", "coughs", "sighs")}
    for name, time in heard:
        scores[name][round((time - FIRST) / HOP)] = 0.9
    values = {
        "hop": HOP, "first": FIRST, "scores": scores, "words": [[place, place + 0.9] for place in range(len(words))],
        "pauses": [[place + 0.9, place + 1.0] for place in range(len(words))],
        "word_turns": [word.turn for word in words], "speakers": [turn.speaker for turn in parsed.turns],
        "asked": asked_slots(parsed), "seconds": float(len(words)), "errors": errors, "word_count": len(words),
        "read_aloud": read_aloud,
    }  # fmt: skip
    prompt = Prompt(f"{group or 'p'}-{version}-{number}", script, group=group, version=version, tag=tag)
    return Clip(prompt, seed, values)


def rows_by_name(rows):
    """Rows by their names, of which each comes once."""
    found = {row.name: row for row in rows}
    assert len(found) == len(rows)
    return found
