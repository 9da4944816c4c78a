"""Generate the takes of a checkpoint: its first attempt at every prompt and seed, cached by content."""

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from dia.audio.files import resample
from dia.checkpoint.adapter import weights_fingerprint
from dia.codecs.protocol import frames_per_second
from dia.dialogue import Script
from dia.dialogue.lint import estimated_seconds
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, Take, take_key
from dia.evaluation.prompts import Prompt
from dia.evaluation.results import GenerationSpeed
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.takes import MODEL, SystemTakes
from dia.inference.voice import Voice
from dia.judges.recording import Recording
from dia.model import Dia
from dia.progress import Progress

BATCH = 8
TIMED_PROMPTS = 4
VERSION = 2  # raise when generation changes for the same weights, text and seed
NO_VOICE = (
    "the script is longer than the model's context, and there is no voice for its pieces; give voice=FILE "
    "(Dia.make_voice), or data with a recording of 5 to 10 s"
)
PromptAndSeed = tuple[Prompt, int]


class TakeGenerator:
    """Generates the takes of a checkpoint under a system ``name``.

    ``voice`` is that of scripts longer than the model's context; without one they fail.
    """

    def __init__(self, dia: Dia, cache: ContentCache, voice: Voice | None, name: str = MODEL) -> None:
        self.dia, self.cache, self.voice, self.name = dia, cache, voice, name
        self._dependencies = {
            "version": VERSION,
            "weights": weights_fingerprint(dia.network.state_dict().items()),
            "codec": dia.codec.audio_fingerprint,
            "sampling": asdict(dia.default_sampling),
        }

    def generate(self, prompts: Sequence[Prompt], seeds: int) -> SystemTakes:
        """Return a recording of every prompt and seed, and the prompts that cannot be generated."""
        without_voice = [prompt for prompt in prompts if self._is_long(prompt) and self.voice is None]
        failures = [(prompt, NO_VOICE) for prompt in without_voice for _ in range(seeds)]
        pairs = [(prompt, seed) for prompt in prompts if prompt not in without_voice for seed in range(seeds)]
        cached = {pair: self.cache.load_take(self._key(*pair)) for pair in pairs}
        generated = self._generate_missing([pair for pair, take in cached.items() if take is None])
        recordings = [_recording(self.name, *pair, take or generated[pair]) for pair, take in cached.items()]
        return SystemTakes(self.name, recordings, failures)

    def _generate_missing(self, pairs: Sequence[PromptAndSeed]) -> dict[PromptAndSeed, Take]:
        takes: dict[PromptAndSeed, Take] = {}
        if not pairs:
            return takes
        short = [pair for pair in pairs if not self._is_long(pair[0])]
        with Progress(f"generating takes of {self.name}", len(pairs), unit="takes") as progress:
            for begin in range(0, len(short), BATCH):
                batch = short[begin : begin + BATCH]
                takes |= self._generate_batch(batch)
                progress.advance(len(batch))
            for pair in pairs:
                if self._is_long(pair[0]):
                    takes[pair] = self.cache.store_take(self._key(*pair), self._generate_long(*pair))
                    progress.advance()
        return takes

    def _generate_batch(self, pairs: Sequence[PromptAndSeed]) -> dict[PromptAndSeed, Take]:
        """Generate without the guard, which would retry failures: an evaluation scores the first attempt."""
        speeches = self.dia.synthesizer.synthesize(
            [prompt.script for prompt, _ in pairs], [seed for _, seed in pairs], self.dia.default_sampling
        )
        takes = [Take(speech.waveform, speech.sample_rate, speech.ended) for speech in speeches]
        return {
            pair: self.cache.store_take(self._key(*pair), take)
            for pair, take in zip(pairs, takes, strict=True)
        }

    def _generate_long(self, prompt: Prompt, seed: int) -> Take:
        assert self.voice is not None
        pieces = list(self.dia.speak_long(prompt.script, self.voice, seed, retries=0))
        return Take(np.concatenate(pieces), self.dia.codec.sample_rate, True)

    def _is_long(self, prompt: Prompt) -> bool:
        """Return whether a script is longer than the model's context."""
        longest = self.dia.network.config.max_frames / frames_per_second(self.dia.codec)
        return estimated_seconds(Script.parse(prompt.script)) > longest

    def _key(self, prompt: Prompt, seed: int) -> str:
        voice = self.voice.codes_TC.tolist() if self.voice is not None and self._is_long(prompt) else None
        return take_key(script=prompt.script, seed=seed, voice=voice, **self._dependencies)


def choose_voice(dia: Dia, recordings: Sequence[Recording], file: str) -> Voice | None:
    """Return the voice of ``file``, else of the first suitable recording, one of two speakers if possible.

    None where no recording is suitable (5 to 10 s).
    """
    if file:
        return Voice.load(file)
    most_speakers_first = sorted(
        recordings, key=lambda recording: -len({turn.speaker for turn in recording.script.turns})
    )
    for recording in most_speakers_first:
        try:
            waveform = resample(recording.waveform, recording.sample_rate, dia.codec.sample_rate)
            return dia.make_voice(waveform, recording.script.render())
        except UserError:  # not 5 to 10 s
            continue
    return None


def _recording(system: str, prompt: Prompt, seed: int, take: Take) -> Recording:
    script = Script.parse(prompt.script)
    return Recording(prompt.id, system, script, take.waveform, take.sample_rate, seed, ended=take.ended)


def measure_speed(dia: Dia, items: Sequence[PromptItem]) -> GenerationSpeed:
    """Return how many times faster than real time a checkpoint generates, one prompt at a time, uncached."""
    scripts = [item.prompt.script for item in items][:TIMED_PROMPTS]
    dia.synthesizer.synthesize(scripts[:1], [0], dia.default_sampling)  # loads what is loaded once
    start, seconds = time.perf_counter(), 0.0
    for script in scripts:
        (speech,) = dia.synthesizer.synthesize([script], [0], dia.default_sampling)
        seconds += len(speech.waveform) / speech.sample_rate
    return GenerationSpeed(len(scripts), seconds, seconds / (time.perf_counter() - start))
