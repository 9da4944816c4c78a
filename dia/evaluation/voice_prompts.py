"""The voice prompts that a prompts' file names: audio files beside it, each read once."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from dia.audio.files import read_audio_file, resample
from dia.dialogue import Script
from dia.errors import UserError
from dia.evaluation.prompts import Prompt
from dia.files import inside
from dia.judges.recording import Recording

VoiceKey = tuple[tuple[str, str], ...]  # file and script of each voice


def read_voice_prompts(prompts: Iterable[Prompt], folder: Path, file: str) -> dict[str, Recording]:
    """Return the recording of each prompt's voice, by the prompt's id, for prompts that name one.

    Raises :class:`UserError` with every file that is outside of ``folder``, missing or damaged.
    """
    recordings: dict[VoiceKey, Recording] = {}
    by_id: dict[str, Recording] = {}
    problems: list[str] = []
    for prompt in prompts:
        if not (key := prompt.voices):
            continue
        try:
            if key not in recordings:
                recordings[key] = _recording_of(key, folder, file)
            by_id[prompt.id] = recordings[key]
        except UserError as error:
            problems.append(f"{prompt.id}: {error}")
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise UserError(f"voice prompts of {file} cannot be used:\n{listed}")
    return by_id


def _recording_of(voices: VoiceKey, folder: Path, file: str) -> Recording:
    """Return all voices one after the other; a file of one turn is that turn from end to end."""
    audio = [read_audio_file(inside(folder, name, file)) for name, _ in voices]
    scripts = [Script.parse(script) for _, script in voices]
    rate = max(rate for _, rate in audio)
    pieces = [resample(waveform, own, rate) for waveform, own in audio]
    ends = [0.0, *(float(end) / rate for end in np.cumsum([len(piece) for piece in pieces]))]
    known = all(len(script.turns) == 1 for script in scripts)
    files = zip((name for name, _ in voices), scripts, strict=True)
    names = [_name(file, script, turn.speaker) for file, script in files for turn in script.turns]
    return Recording(
        " ".join(name for name, _ in voices),
        "voice prompt",
        Script(tuple(turn for script in scripts for turn in script.turns)),
        np.concatenate(pieces),
        rate,
        turn_times=tuple(pairwise(ends)) if known else None,
        voice_names=tuple(names),
    )


def _name(file: str, script: Script, speaker: int) -> str:
    """Return the name of a voice: its file, with the speaker if the file has several."""
    several = len({turn.speaker for turn in script.turns}) > 1
    return f"{file} [S{speaker}]" if several else file
