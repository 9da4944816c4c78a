"""The demo corpus: planned dialogues spoken by two neural voices, nonverbal sounds placed between their words.

One datum: PlannedClip -> `render_clip` -> a row with audio, exact times of turns and nonverbals, and true labels.
"""

import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from dia.data.demo_scripts import PlannedClip
from dia.data.nonverbal_sounds import make_nonverbal
from dia.data.voices import SAMPLE_RATE, STYLES, Heart, Joe, Voice, Wave, speak_styled
from dia.dialogue import Nonverbal, Turn
from dia.resources import declaration

LICENCE = "Apache-2.0"  # made by this project's code with an Apache-2.0 and a CC0 voice
NONVERBAL_LEVEL = 10 ** (-22 / 20)


@cache
def _voices() -> dict[int, Voice]:
    """The voices by speaker, loaded once a process."""
    return {1: Heart(), 2: Joe()}


def render_clip(clip: PlannedClip, seed: int) -> dict[str, Any]:
    """Speak one clip. Returns a row as `dia.data.rows` describes it, without codes, plus ``audio`` and ``sample_rate``.

    Times are seconds from the clip's beginning; ``audio`` is float32 of shape (samples,) at 24 kHz.
    """
    random = np.random.default_rng(zlib.crc32(f"{clip.id} {seed}".encode()))
    parts: list[Wave] = [_silence(random.uniform(0.04, 0.12))]
    turns, nonverbals = [], []
    for number, (turn, style) in enumerate(zip(clip.script.turns, clip.styles, strict=True)):
        start = _seconds(parts)
        for piece in _pieces(turn):
            began = _seconds(parts)
            if isinstance(piece, Nonverbal):
                parts.append(_sound(piece.tag, _voices()[turn.speaker].pitch, random))
                nonverbals.append(_nonverbal_label(piece, number, began, _seconds(parts)))
            else:
                parts.append(speak_styled(_voices()[turn.speaker], piece, STYLES[style], int(random.integers(2**31))))
            end = _seconds(parts)
            parts.append(_silence(random.uniform(0.06, 0.14)))
        turns.append({"speaker": turn.speaker, "text": turn.text, "start": start, "end": end, "emotion": emotion_label(style)})
        parts.append(_silence(random.uniform(0.08, 0.25)))
    return {
        "id": clip.id, "source": "demo", "split": clip.split, "licence": LICENCE, "commercial_ok": True,
        "script": clip.script.render(), "turns": turns, "nonverbals": nonverbals,
        "audio": np.concatenate(parts), "sample_rate": SAMPLE_RATE,
    }  # fmt: skip


def render_clips(clips: Iterable[PlannedClip], seed: int, workers: int) -> Iterator[dict[str, Any]]:
    """Render clips in order, in ``workers`` processes (0: in this one)."""
    if workers == 0:
        yield from (render_clip(clip, seed) for clip in clips)
        return
    with ProcessPoolExecutor(workers) as pool:
        planned = list(clips)
        yield from pool.map(render_clip, planned, [seed] * len(planned), chunksize=8)


def emotion_label(style: str) -> dict[str, Any] | None:
    """Return the emotion label that is true of a style's sound; a plain turn claims nothing (None)."""
    if style == "plain":
        return None
    return {"label": style, "intensity": None, **declaration("data/emotions.yaml")[style], "origin": "synthesis"}


def _pieces(turn: Turn) -> list[str | Nonverbal]:
    """What is heard, in order: stretches of words and nonverbals."""
    pieces: list[str | Nonverbal] = []
    done = 0
    for nonverbal in turn.nonverbals:
        pieces += [turn.text[done : nonverbal.char].strip(), nonverbal]
        done = nonverbal.char
    pieces.append(turn.text[done:].strip())
    return [piece for piece in pieces if piece]


def _sound(tag: str, pitch: float, random: np.random.Generator) -> Wave:
    wave = make_nonverbal(tag, pitch, SAMPLE_RATE, int(random.integers(2**31)))
    level = NONVERBAL_LEVEL * 10 ** (random.uniform(-2, 3) / 20)
    return wave * np.float32(level / np.sqrt(np.mean(wave**2)))


def _nonverbal_label(nonverbal: Nonverbal, turn: int, start: float, end: float) -> dict[str, Any]:
    return {
        "tag": nonverbal.tag, "turn": turn, "char": nonverbal.char, "start": start, "end": end,
        "confidence": 1.0, "origin": "synthesis",
    }  # fmt: skip


def _silence(seconds: float) -> Wave:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def _seconds(parts: list[Wave]) -> float:
    return sum(len(part) for part in parts) / SAMPLE_RATE
