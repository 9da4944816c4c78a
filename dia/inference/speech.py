"""The methods of `Dia` that generate speech: one take, batches, streams, and voices."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch

from dia.audio.files import write_audio
from dia.audio.stretch import require_speed, stretch
from dia.codecs.protocol import Codec, frames_per_second
from dia.config.sampling import Sampling
from dia.config.voice import LONGEST, SHORTEST
from dia.dialogue.check import check_texts
from dia.dialogue.lint import NO_LIMITS, Limits
from dia.dialogue.vocabulary import Vocabulary
from dia.errors import UserError
from dia.inference.generation import (
    GenerationTask,
    Prompts,
    one_seed_each,
    renamed_prompts,
    with_overrides,
)
from dia.inference.guard import GuardedSpeech, GuardLimits
from dia.inference.nari_interface import NariInterface
from dia.inference.prompt import Prompt
from dia.inference.streaming import in_chunks, reported
from dia.inference.synthesizer import Synthesizer
from dia.inference.voice import Voice, make_voice
from dia.types import Waveform

OVERRIDES = ("cfg_scale", "temperature", "top_p", "cfg_filter_top_k")  # of the sampling values


class SpeechGeneration(NariInterface):
    """Speech from scripts with a network and its codec; without a codec, codes from scripts.

    Attributes:
        default_sampling: The sampling values of calls that do not override them.
        vocabulary: The words that the network was trained on; None for an open vocabulary.
    """

    default_sampling: Sampling
    vocabulary: Vocabulary | None

    @property
    def synthesizer(self) -> Synthesizer:
        """Network and codec. Raises :class:`UnavailableError` when no codec was opened."""
        return self._generator.require_synthesizer()

    @property
    def codec(self) -> Codec:
        """The codec. Raises :class:`UnavailableError` when none was opened."""
        return self.synthesizer.codec

    def sampling(self, **overrides: Any) -> Self:
        """Replace default sampling values by name (fields of :class:`Sampling`) and return this model."""
        self.default_sampling = with_overrides(self.default_sampling, overrides)
        return self

    def generate(
        self,
        text: str | list[str],
        max_tokens: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        use_torch_compile: bool = False,
        cfg_filter_top_k: int | None = None,
        audio_prompt: Prompts = None,
        audio_prompt_path: Prompts = None,
        use_cfg_filter: bool | None = None,
        verbose: bool = False,
        *,
        seed: int | Sequence[int] | None = None,
        voice: Voice | None = None,
        speed: float = 1.0,
        retries: int = 0,
        lint: str = "warn",
        text_to_generate_size: int | None = None,
    ) -> Any:
        """Generate the speech of one text or a batch of texts.

        Args:
            text: A script such as ``[S1] Hello there. (laughs) [S2] Hello!``, or a list of scripts.
            max_tokens: Decoder steps, including a prompt; None means as many as the model has.
            cfg_scale: Strength of classifier-free guidance. None takes the checkpoint's value, here and below
                (nari-labs/dia has one set of values for all checkpoints).
            temperature: Temperature of sampling.
            top_p: Probability mass of nucleus sampling.
            cfg_filter_top_k: Number of tokens that guidance leaves.
            use_torch_compile: Compile the decoder step; the first call takes about a minute.
            audio_prompt: A voice prompt for all texts, or a list with one or None for each: an audio file,
                samples at the codec's rate, a pair of a rate and samples, or codes (T, C)
                (:func:`dia.inference.prompt.encode_prompt`). Its transcript must begin the text.
            audio_prompt_path: Old name of ``audio_prompt``.
            use_cfg_filter: Without effect; nari-labs/dia had it.
            verbose: Print the number of samples and the time.
            seed: One seed for all texts, or one each. None and negative ones are drawn from torch's global
                random numbers, so that ``torch.manual_seed`` determines them.
            voice: A voice with transcript and codes, in place of ``audio_prompt``.
            speed: Pace relative to the generated one, .5 to 2, at the same pitch.
            retries: How often to generate a failed take again (:meth:`speak`).
            lint: What happens with texts that may not be spoken as meant (:meth:`check_text`).
            text_to_generate_size: Without effect; the copy of Dia in Dia-TTS-Server has it.

        Returns:
            The waveform, float32 (samples,) at ``codec.sample_rate``, or a list of them for a list of texts.
            Without a codec: integer codes (T, C).

        Raises:
            UserError: For values out of range, for texts that cannot be spoken, and for unusable prompts.

        Example::

            first, second = dia.generate(["[S1] Good morning.", "[S1] Good night."], seed=[1, 2])
        """
        require_speed(speed)
        started = time.perf_counter()
        texts = self._checked([text] if isinstance(text, str) else list(text), voice, lint)
        values = (cfg_scale, temperature, top_p, cfg_filter_top_k)
        prompts = renamed_prompts(audio_prompt, audio_prompt_path, use_cfg_filter)
        task = self._task(len(texts), max_tokens, values, prompts, voice, use_torch_compile)
        seeds = one_seed_each(seed, len(texts))
        if self._generator.synthesizer is None:
            results = [item.codes_TC.cpu().numpy() for item in self._generator.codes(texts, seeds, task)]
        else:
            takes = self._generator.takes(texts, seeds, task, retries)
            results = [stretch(take.waveform, take.sample_rate, speed) for take in takes]
        if verbose:
            seconds = time.perf_counter() - started
            print(f"generate: {sum(map(len, results))} samples or frames in {seconds:.2f} s")
        return results[0] if isinstance(text, str) else results

    def stream(
        self,
        text: str,
        max_tokens: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        use_torch_compile: bool = False,
        cfg_filter_top_k: int | None = None,
        audio_prompt: Prompts = None,
        audio_prompt_path: Prompts = None,
        use_cfg_filter: bool | None = None,
        verbose: bool = False,
        *,
        seed: int | None = None,
        voice: Voice | None = None,
        speed: float = 1.0,
        retries: int = 0,
        lint: str = "warn",
        text_to_generate_size: int | None = None,
    ) -> Iterator[Waveform]:
        """Yield the audio of a text in chunks while it is generated.

        The joined chunks are what :meth:`generate` returns for the same arguments. ``speed`` and ``retries``
        work on whole takes: with them, the first chunk follows the generation of the last.

        Raises:
            UserError: For a list of texts, and as :meth:`generate` does.
        """
        if not isinstance(text, str):
            raise UserError("a stream has one text; call generate() with a list of texts")
        values = (cfg_scale, temperature, top_p, cfg_filter_top_k)
        prompts = renamed_prompts(audio_prompt, audio_prompt_path, use_cfg_filter)
        task = self._task(1, max_tokens, values, prompts, voice, use_torch_compile)
        (chosen,) = one_seed_each(seed, 1)
        require_speed(speed)
        text = self.check_text(text, voice, lint)
        if speed == 1.0 and not retries:
            chunks = self._generator.stream(text, chosen, task)
        else:
            (take,) = self._generator.takes([text], [chosen], task, retries)
            chunks = in_chunks(stretch(take.waveform, take.sample_rate, speed), take.sample_rate)
        return reported(chunks) if verbose else chunks

    def _task(
        self,
        count: int,
        max_tokens: int | None,
        values: tuple[float | None, ...],
        prompts: Prompts,
        voice: Voice | None,
        compiled: bool,
    ) -> GenerationTask:
        """Return how ``count`` texts are generated; ``values`` are those of ``OVERRIDES``."""
        sampling = with_overrides(self.default_sampling, dict(zip(OVERRIDES, values, strict=True)))
        return GenerationTask(
            sampling, max_tokens, self._generator.encode_prompts(prompts, count), voice, compiled
        )

    def speak(
        self,
        texts: list[str],
        seeds: list[int],
        max_tokens: int | None = None,
        voice: Voice | None = None,
        retries: int = 0,
        limits: GuardLimits = GuardLimits(),
        lint: str = "warn",
    ) -> list[GuardedSpeech]:
        """Generate a batch and check each take for known failures (:mod:`dia.inference.guard`).

        A failed take is generated again with the next seed, up to ``retries`` times; retries are logged. Each
        result has the best take, the failures detected in it, and the number of attempts. ``lint`` is that of
        :meth:`check_text`.
        """
        texts = self._checked(texts, voice, lint)
        task = GenerationTask(self.default_sampling, max_tokens, [None] * len(texts), voice, False)
        return self._generator.guarded_takes(texts, seeds, task, retries, limits)

    def make_voice(
        self,
        audio: Prompt,
        transcript: str,
        shortest: float = SHORTEST,
        longest: float = LONGEST,
        lint: str = "warn",
    ) -> Voice:
        """Return a voice that can be used as a prompt and saved.

        Args:
            audio: A recording: an audio file, samples at the codec's rate, or codes (T, C).
            transcript: All words of the recording, as a script.
            shortest: Shortest accepted recording in seconds.
            longest: Longest accepted recording in seconds.
            lint: What happens with a transcript that a model may not read as meant (:meth:`check_text`).

        Raises:
            UserError: With all problems: no transcript, a length out of range, an implausible pace.

        Example::

            voice = dia.make_voice("anna.wav", "[S1] We walked along the river until the light was gone.")
            voice.save("anna.voice")
            dia.generate("[S1] And then we went home.", voice=voice)
        """
        return make_voice(self.codec, self.encode_prompt(audio), transcript, shortest, longest, lint)

    def check_text(
        self, text: str, voice: Voice | None = None, lint: str = "warn", *, one_pass: bool = True
    ) -> str:
        """Return the text that the model reads, after the linter judged it (:func:`dia.dialogue.lint`).

        Args:
            text: A script.
            voice: The voice that will speak it.
            lint: ``warn`` logs what may not be spoken as meant: asides in parentheses, marks of other
                systems, another language, words that the model does not know. ``error`` refuses it. ``off``
                returns the text as written, as nari-labs/dia reads it.
            one_pass: Whether the text is for one pass of the model; :meth:`speak_long` takes any length.

        Raises:
            UserError: For a text that cannot be spoken, and for an unknown ``lint``.
        """
        return self._checked([text], voice, lint, one_pass=one_pass)[0]

    def _checked(
        self, texts: list[str], voice: Voice | None, lint: str, *, one_pass: bool = True
    ) -> list[str]:
        """Return the texts that the model reads; see :meth:`check_text`."""
        limits = Limits(shortest_seconds=0.0, longest_seconds=self._room_seconds(voice))
        if voice is not None:  # it checks its speakers and its room for text (Voice.problems_with)
            limits = replace(NO_LIMITS, longest_seconds=limits.longest_seconds)
        if not one_pass:
            limits = NO_LIMITS
        return check_texts(texts, lint, limits, self.vocabulary)

    def _room_seconds(self, voice: Voice | None) -> float:
        """Return the seconds that one pass can speak after a voice; without a codec they are unknown."""
        if self._generator.synthesizer is None:
            return NO_LIMITS.longest_seconds
        frames = self.network.config.max_frames - (0 if voice is None else len(voice.codes_TC))
        return frames / frames_per_second(self.codec)

    def load_audio(self, audio_path: str | Path) -> torch.Tensor:
        """Return the codes (T, C) of an audio file, for repeated use as ``audio_prompt``.

        Raises:
            MissingFileError: When there is no such file.
            UnavailableError: When no codec was opened.
        """
        return self.encode_prompt(audio_path)

    def encode_prompt(self, prompt: Prompt) -> torch.Tensor:
        """Return the codes (T, C) of a voice prompt (:func:`dia.inference.prompt.encode_prompt`)."""
        return self._generator.encode_prompt(prompt)

    def voice_codes(self, voice: Voice) -> torch.Tensor:
        """Return a voice's codes (T, C). Raises :class:`UserError` when they are of another codec."""
        return self._generator.voice_codes(voice)

    def save_audio(self, path: str, audio: Waveform) -> None:
        """Write a waveform of :meth:`generate` as WAV, FLAC, OGG or MP3, by the ending of ``path``.

        Raises:
            UserError: As :func:`dia.audio.files.write_audio` does.
        """
        write_audio(path, audio, self.codec.sample_rate)
