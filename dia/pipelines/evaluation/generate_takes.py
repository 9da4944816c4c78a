"""What a checkpoint speaks for an evaluation: its own first attempt at every prompt, kept by all that it
depends on.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from rich.progress import track

from dia.audio.files import resample
from dia.checkpoint.adapter import weights_fingerprint
from dia.codecs.protocol import frames_per_second
from dia.dialogue import Script
from dia.dialogue.lint import estimated_seconds
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, Take, key_of_take
from dia.evaluation.prompts import Prompt
from dia.inference.voice import Voice
from dia.judges.recording import Recording
from dia.model import Dia

MODEL, BEFORE = "model", "before"
BATCH = 8
VERSION = 2  # raise when the core speaks otherwise for the same weights, text and seed
NO_VOICE = (
    "the script is longer than the model speaks at once, and there is no voice to speak its pieces in; give voice=FILE "
    "(Dia.make_voice), or data with a recording of 5 to 10 s"
)


class Speaker:
    """A checkpoint that is asked for takes, under a ``name``; ``voice`` is the one that scripts longer than
    the model are spoken in.
    """

    def __init__(self, dia: Dia, kept: ContentCache, voice: Voice | None, name: str = MODEL) -> None:
        self.dia, self.kept, self.voice, self.name = dia, kept, voice, name
        self.known = {
            "version": VERSION, "weights": weights_fingerprint(dia.network.state_dict().items()),
            "codec": dia.codec.audio_fingerprint, "sampling": asdict(dia.default_sampling),
        }  # fmt: skip

    def speak(
        self, prompts: Sequence[Prompt], seeds: int
    ) -> tuple[list[Recording], list[tuple[Prompt, str]]]:
        """Return a recording for every prompt and seed, and the prompts that could not be spoken, with the
        reason.
        """
        failed = [
            (prompt, NO_VOICE)
            for prompt in prompts
            if self._is_long(prompt) and self.voice is None
            for _ in range(seeds)
        ]
        able = [prompt for prompt in prompts if not self._is_long(prompt) or self.voice is not None]
        asked = [(prompt, seed) for prompt in able for seed in range(seeds)]
        takes = {pair: self.kept.take(self._key(*pair)) for pair in asked}
        missing = [pair for pair in asked if takes[pair] is None]
        short = [pair for pair in missing if not self._is_long(pair[0])]
        for begin in track(range(0, len(short), BATCH), "speaking", disable=not short):
            takes |= self._batch(short[begin : begin + BATCH])
        for pair in missing:
            if self._is_long(pair[0]):
                takes[pair] = self.kept.put(self._key(*pair), self._long(*pair))
        return [
            _recording(self.name, *pair, take) for pair, take in takes.items() if take is not None
        ], failed

    def _batch(self, pairs: Sequence[tuple[Prompt, int]]) -> dict[tuple[Prompt, int], Take | None]:
        """Without a guard: the model's own first attempt."""
        spoken = self.dia.synthesizer.speak(
            [prompt.script for prompt, _ in pairs], [seed for _, seed in pairs], self.dia.default_sampling
        )
        takes = [Take(speech.waveform, speech.sample_rate, speech.ended) for speech in spoken]
        return {pair: self.kept.put(self._key(*pair), take) for pair, take in zip(pairs, takes, strict=True)}

    def _long(self, prompt: Prompt, seed: int) -> Take:
        assert self.voice is not None
        pieces = list(self.dia.speak_long(prompt.script, self.voice, seed, retries=0))
        return Take(np.concatenate(pieces), self.dia.codec.sample_rate, True)

    def _is_long(self, prompt: Prompt) -> bool:
        """Whether a script takes longer than the model has room for."""
        return estimated_seconds(
            Script.parse(prompt.script)
        ) > self.dia.network.config.max_frames / frames_per_second(self.dia.codec)

    def _key(self, prompt: Prompt, seed: int) -> str:
        voice = self.voice.codes_TC.tolist() if self.voice is not None and self._is_long(prompt) else None
        return key_of_take(script=prompt.script, seed=seed, voice=voice, **self.known)


def _recording(system: str, prompt: Prompt, seed: int, take: Take) -> Recording:
    return Recording(
        prompt.id,
        system,
        Script.parse(prompt.script),
        take.waveform,
        take.sample_rate,
        seed,
        ended=take.ended,
    )


def voice_of(dia: Dia, labelled: Sequence[Recording], file: str) -> Voice | None:
    """Return the voice of a file, else that of the first recording that makes one, of two speakers if there
    is one; or None.
    """
    if file:
        return Voice.load(file)
    for recording in sorted(labelled, key=lambda found: -len({turn.speaker for turn in found.script.turns})):
        try:
            waveform = resample(recording.waveform, recording.sample_rate, dia.codec.sample_rate)
            return dia.make_voice(waveform, recording.script.render())
        except UserError:  # not 5 to 10 s
            continue
    return None
