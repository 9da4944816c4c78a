"""Clips with invented values, for tests of summaries."""

from dia.dialogue import Script
from dia.evaluation.metrics.nonverbals import tag_slots
from dia.evaluation.metrics.protocol import ClipScore
from dia.evaluation.prompts import Prompt
from dia.evaluation.turn_alignment import script_words
from dia.judges.events import Calibration

PERFECT = Calibration(0.5, 1.0, 1.0, 50, 50)
WEAK = Calibration(0.5, 0.6, 0.8, 50, 50)
HOP, FIRST = 0.2, 0.2


def clip(script, events=(), group="", version="", tag="", number=0, errors=0, read_aloud=0, seed=0):
    """A clip whose words take a second each; ``events`` are (tag, seconds) of windows with a score of .9."""
    parsed = Script.parse(script)
    words = script_words(parsed)
    windows = 5 * (len(words) + 2)
    scores = {name: [0.0] * windows for name in ("laughs", "coughs", "sighs")}
    for name, time in events:
        scores[name][round((time - FIRST) / HOP)] = 0.9
    values = {
        "hop": HOP,
        "first": FIRST,
        "scores": scores,
        "words": [[place, place + 0.9] for place in range(len(words))],
        "pauses": [[place + 0.9, place + 1.0] for place in range(len(words))],
        "word_turns": [word.turn for word in words],
        "speakers": [turn.speaker for turn in parsed.turns],
        "asked": tag_slots(parsed),
        "seconds": float(len(words)),
        "errors": errors,
        "word_count": len(words),
        "read_aloud": read_aloud,
    }
    prompt = Prompt(f"{group or 'p'}-{version}-{number}", script, group=group, version=version, tag=tag)
    return ClipScore(prompt, seed, values)


def results_by_name(results):
    """Return results by their names, which are unique."""
    by_name = {result.name: result for result in results}
    assert len(by_name) == len(results)
    return by_name
