"""Generate the takes of a checkpoint: one of every prompt and seed, cached by content.

A take is the first attempt, in one pass of the model or in pieces, unless a suite sets the protocol.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import starmap

from dia.audio.files import resample
from dia.codecs.protocol import frames_per_second
from dia.dialogue import Script
from dia.dialogue.lint import estimated_seconds
from dia.dialogue.script import normalize_text
from dia.engines.run import Workers
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, Take, take_key
from dia.evaluation.generation_protocols import GenerationProtocol
from dia.evaluation.prompts import Prompt
from dia.evaluation.results import GenerationSpeed
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.takes import MODEL, SystemTakes
from dia.inference.long_form_speech import PIECE_SECONDS
from dia.inference.voice import Voice
from dia.judges.recording import Recording
from dia.model import Dia
from dia.pipelines.evaluation.take_jobs import (
    GenerateBatch,
    GenerateByProtocol,
    TakeJob,
    TakeRequest,
    Takes,
    fingerprints,
)
from dia.progress import Progress

BATCH = 8
TIMED_PROMPTS = 4
SHORTEST_PROMPT = 0.5  # seconds of a voice prompt
VERSION = 2  # raise when generation changes for the same weights, text and seed
NO_TRANSCRIPT = "the voice prompt has no transcript; a model needs one to speak in its voice: add prompt_text"
NO_VOICE = (
    "the script is longer than the model's context, and there is no voice for its pieces; give voice=FILE "
    "(Dia.make_voice), or data with a recording of 5 to 10 s"
)
IN_PIECES = GenerationProtocol("in pieces", piece_seconds=PIECE_SECONDS)  # of scripts beyond the context
PromptAndSeed = tuple[Prompt, int]


class TakeGenerator:
    """Generates the takes of a ``checkpoint`` by a protocol; None is the first attempt in one pass.

    A prompt with a voice prompt is spoken in that voice. ``voice`` is that of other scripts that are longer
    than the model's context, which fail without one; with a protocol it is that of all other scripts, and
    None leaves it to the model.
    """

    def __init__(
        self,
        dia: Dia,
        cache: ContentCache,
        voice: Voice | None,
        checkpoint: str = MODEL,
        protocol: GenerationProtocol | None = None,
    ) -> None:
        self.dia, self.cache, self.voice = dia, cache, voice
        self.checkpoint, self.protocol = checkpoint, protocol
        self.voices: dict[str, Voice] = {}
        self._dependencies = {
            "version": VERSION,
            "sampling": asdict(dia.default_sampling),
            **fingerprints(dia),
        }

    @property
    def name(self) -> str:
        """The name of the system in results."""
        return self.checkpoint if self.protocol is None else f"{self.checkpoint}: {self.protocol.name}"

    def generate(
        self, items: Sequence[PromptItem], seeds: int, workers: Workers[TakeJob, Takes]
    ) -> SystemTakes:
        """Return a recording of every prompt and seed, and the prompts that cannot be generated.

        ``workers`` apply a :class:`TakeMaker` that knows this system.
        """
        prompts = [item.prompt for item in items]
        problems = self._open_voices(items)
        problems |= {
            prompt: NO_VOICE
            for prompt in prompts
            if self._needs_voice(prompt) and self._voice_of(prompt) is None and prompt not in problems
        }
        failures = [(prompt, problem) for prompt, problem in problems.items() for _ in range(seeds)]
        pairs = [(prompt, seed) for prompt in prompts if prompt not in problems for seed in range(seeds)]
        cached = {pair: self.cache.load_take(self._key(*pair)) for pair in pairs}
        missing = [pair for pair, take in cached.items() if take is None]
        generated = self._generate_missing(missing, workers)
        recordings = [_recording(self.name, *pair, take or generated[pair]) for pair, take in cached.items()]
        return SystemTakes(self.name, recordings, failures, in_voices_of_data=True)

    def _open_voices(self, items: Sequence[PromptItem]) -> dict[Prompt, str]:
        """Encode the voice prompts; return the prompts that cannot be spoken in theirs, and why."""
        problems: dict[Prompt, str] = {}
        opened: dict[str, Voice] = {}
        for item in items:
            if item.voice is None:
                continue
            if all(turn.silent for turn in item.voice.script.turns):
                problems[item.prompt] = NO_TRANSCRIPT
                continue
            try:
                key = item.voice.fingerprint
                if key not in opened:
                    opened[key] = open_voice(self.dia, item.voice)
                opened[key].script(item.prompt.script)
            except UserError as error:
                problems[item.prompt] = str(error)
            else:
                self.voices[item.prompt.id] = opened[key]
        return problems

    def _voice_of(self, prompt: Prompt) -> Voice | None:
        """Return the prompt's voice; without one, the voice of scripts that are spoken by a protocol."""
        return self.voices.get(prompt.id, self.voice if self._protocol_of(prompt) else None)

    def _protocol_of(self, prompt: Prompt) -> GenerationProtocol | None:
        """Return the protocol of a prompt; None for the first attempt in one pass."""
        return self.protocol or (IN_PIECES if self._is_long(prompt) else None)

    def _needs_voice(self, prompt: Prompt) -> bool:
        """Return whether nothing but a voice holds the pieces of a script together."""
        return self.protocol is None and self._is_long(prompt)

    def _generate_missing(
        self, pairs: Sequence[PromptAndSeed], workers: Workers[TakeJob, Takes]
    ) -> dict[PromptAndSeed, Take]:
        """Generate takes in batches, which do not depend on the workers, and long scripts one by one.

        The longest come first: a long one at the end would leave the other workers idle.
        """
        takes: dict[PromptAndSeed, Take] = {}
        if not pairs:
            return takes
        together = [pair for pair in pairs if not self._protocol_of(pair[0])]
        batches = [together[begin : begin + BATCH] for begin in range(0, len(together), BATCH)]
        batches += [[pair] for pair in pairs if self._protocol_of(pair[0])]
        longest_first = sorted(enumerate(batches), key=lambda batch: -_estimated_seconds(batch[1]))
        with Progress(f"generating takes of {self.name}", len(pairs), unit="takes") as progress:
            for number, made in workers.run(starmap(self._job, longest_first)):
                takes |= zip(batches[number], made, strict=True)
                progress.advance(len(made))
        return takes

    def _job(self, number: int, batch: Sequence[PromptAndSeed]) -> TakeJob:
        prompt, seed = batch[0]
        protocol = self._protocol_of(prompt)
        if protocol is None:
            requests = tuple(self._request(*pair) for pair in batch)
            return GenerateBatch(number, self.checkpoint, requests)
        voice = self._voice_of(prompt)
        values = {field.name: getattr(voice, field.name) for field in fields(Voice)} if voice else None
        codes_TC = values.pop("codes_TC").numpy() if values else None
        request = TakeRequest(self._key(prompt, seed), normalize_text(prompt.script), seed, codes_TC)
        return GenerateByProtocol(number, self.checkpoint, request, values, protocol)

    def _request(self, prompt: Prompt, seed: int) -> TakeRequest:
        voice, text = self._voice_of(prompt), normalize_text(prompt.script)
        return TakeRequest(
            self._key(prompt, seed),
            voice.script(text) if voice else text,
            seed,
            voice.codes_TC.numpy() if voice else None,
        )

    def _is_long(self, prompt: Prompt) -> bool:
        """Return whether a script is longer than the model's context."""
        longest = self.dia.network.config.max_frames / frames_per_second(self.dia.codec)
        if prompt.id in self.voices:
            longest -= self.voices[prompt.id].seconds
        return estimated_seconds(Script.parse(prompt.script)) > longest

    def _key(self, prompt: Prompt, seed: int) -> str:
        voice = self._voice_of(prompt)
        codes = voice.codes_TC.tolist() if voice else None
        transcript = {"transcript": voice.transcript} if prompt.id in self.voices and voice else {}
        chosen = self._protocol_of(prompt)
        protocol = {"protocol": chosen.settings} if chosen else {}
        script = normalize_text(prompt.script)
        return take_key(script=script, seed=seed, voice=codes, **transcript, **protocol, **self._dependencies)


def open_voice(dia: Dia, recording: Recording) -> Voice:
    """Return the voice of a voice prompt, whose length may be any that the model can continue.

    Raises:
        UserError: When the recording cannot be a voice prompt of the model.
    """
    waveform = resample(recording.waveform, recording.sample_rate, dia.codec.sample_rate)
    longest = dia.network.config.max_frames / frames_per_second(dia.codec)
    return dia.make_voice(waveform, recording.script.render(), SHORTEST_PROMPT, longest, lint="off")


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
            return dia.make_voice(waveform, recording.script.render(), lint="off")
        except UserError:  # not 5 to 10 s
            continue
    return None


def _estimated_seconds(batch: Sequence[PromptAndSeed]) -> float:
    """Return the estimated length of the speech of a batch."""
    return sum(estimated_seconds(Script.parse(prompt.script)) for prompt, _ in batch)


def _recording(system: str, prompt: Prompt, seed: int, take: Take) -> Recording:
    script = Script.parse(prompt.script)
    return Recording(
        prompt.id,
        system,
        script,
        take.waveform,
        take.sample_rate,
        seed,
        ended=take.ended,
        language=prompt.language,
    )


def measure_speed(dia: Dia, items: Sequence[PromptItem]) -> GenerationSpeed:
    """Return how many times faster than real time a checkpoint generates, one prompt at a time, uncached."""
    scripts = [normalize_text(item.prompt.script) for item in items][:TIMED_PROMPTS]
    dia.synthesizer.synthesize(scripts[:1], [0], dia.default_sampling)  # loads what is loaded once
    start, seconds = time.perf_counter(), 0.0
    for script in scripts:
        (speech,) = dia.synthesizer.synthesize([script], [0], dia.default_sampling)
        seconds += len(speech.waveform) / speech.sample_rate
    return GenerationSpeed(len(scripts), seconds, seconds / (time.perf_counter() - start))
