"""Synthesis of planned dialogues: voices speak the words, nonverbal sounds are recorded or synthesized.

A :class:`PlannedClip` becomes a clip with audio, exact times of turns and nonverbals, and true labels.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from dia.data.clip import Clip, Emotion, LabelledNonverbal, LabelledTurn
from dia.data.sources.demo_scripts import PlannedClip, stated_feeling
from dia.data.sources.human_sounds import draw_human_sound
from dia.data.sources.nonverbal_sounds import synthesize_nonverbal
from dia.data.sources.voices import SAMPLE_RATE, STYLES, Strength, open_voice, speak_styled
from dia.dialogue import Nonverbal, Turn
from dia.resources import declaration
from dia.types import Waveform

# synthesized by this project's code with voices and recorded sounds under Apache-2.0 and CC0
LICENCE = "Apache-2.0"
# Highest sample. Louder clips are scaled instead of clipped; resampling raises peaks by 5 % and more.
PEAK = 0.85
NONVERBAL_LEVEL = 10 ** (-22 / 20)


@dataclass(frozen=True)
class Rendering:
    """How the dialogues of the corpus ``source`` are synthesized.

    ``recorded_sounds`` is the probability that a nonverbal is a recording of a person, where the clip's split
    has one of its tag; ``device`` and ``dtype`` are those of Kokoro's voices.
    """

    source: str
    seed: int
    recorded_sounds: float = 0.0
    device: str = "cpu"
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class _Sound:
    waveform: Waveform
    origin: str
    confidence: float


def render_clip(clip: PlannedClip, rendering: Rendering) -> Clip:
    """Synthesize one dialogue, at 24 kHz."""
    random = np.random.default_rng(zlib.crc32(f"{clip.id} {rendering.seed}".encode()))
    parts: list[Waveform] = [_silence(random.uniform(0.04, 0.12))]
    turns, nonverbals = [], []
    for number, (turn, name, strength, voice_name) in enumerate(
        zip(clip.script.turns, clip.styles, clip.strengths, clip.voices, strict=True)
    ):
        voice = open_voice(voice_name, rendering.device, rendering.dtype)
        start, style = _seconds(parts), STYLES[name].at(strength)
        for piece in _pieces(turn):
            begin = _seconds(parts)
            if isinstance(piece, Nonverbal):
                sound = _nonverbal(piece.tag, voice.pitch, clip.split, rendering.recorded_sounds, random)
                parts.append(sound.waveform)
                label = LabelledNonverbal(piece.tag, number, piece.char, sound.origin, begin, _seconds(parts))
                nonverbals.append(replace(label, confidence=sound.confidence))
            else:
                parts.append(speak_styled(voice, piece, style, int(random.integers(2**31))))
            end = _seconds(parts)
            parts.append(_silence(random.uniform(0.06, 0.14)))
        turns.append(
            LabelledTurn(turn.speaker, turn.text, start, end, voice.name, emotions(name, strength, turn.text))
        )
        parts.append(_silence(random.uniform(0.08, 0.25)))
    waveform = np.concatenate(parts)
    waveform *= np.float32(min(1.0, PEAK / np.abs(waveform).max()))
    return Clip(
        clip.id, rendering.source, LICENCE, True, tuple(turns), tuple(nonverbals), waveform, SAMPLE_RATE
    )


def emotions(style: str, strength: Strength, sentence: str) -> tuple[Emotion, ...]:
    """Return the labels of a turn: of its speaking style, if any, and of the feeling that its words state.

    The words do not describe the audio: their label has no category and no arousal, and half the confidence.
    """
    labels = []
    if style != "plain":
        arousal = strength.mean * declaration("data/emotions.yaml")[style]["arousal"]
        labels.append(Emotion("synthesis", style, intensity=strength.mean, arousal=arousal, confidence=1.0))
    if (stated := stated_feeling(sentence)) is not None:
        labels.append(Emotion("words", valence=stated[0], dominance=stated[1], confidence=0.5))
    return tuple(labels)


def _pieces(turn: Turn) -> list[str | Nonverbal]:
    """Text segments and nonverbals in temporal order."""
    pieces: list[str | Nonverbal] = []
    done = 0
    for nonverbal in turn.nonverbals:
        pieces += [turn.text[done : nonverbal.char].strip(), nonverbal]
        done = nonverbal.char
    pieces.append(turn.text[done:].strip())
    return [piece for piece in pieces if piece]


def _nonverbal(tag: str, pitch: float, split: str, recorded: float, random: np.random.Generator) -> _Sound:
    human = draw_human_sound(split, tag, pitch, random) if recorded and random.random() < recorded else None
    if human is None:
        waveform = synthesize_nonverbal(tag, pitch, SAMPLE_RATE, int(random.integers(2**31)))
    else:
        waveform = human.waveform()
    level = NONVERBAL_LEVEL * 10 ** (random.uniform(-2, 3) / 20)
    waveform = waveform * np.float32(level / np.sqrt(np.mean(waveform**2)))
    return _Sound(waveform, "synthesis", 1.0) if human is None else _Sound(waveform, "recording", human.score)


def _silence(seconds: float) -> Waveform:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def _seconds(parts: list[Waveform]) -> float:
    return sum(len(part) for part in parts) / SAMPLE_RATE
