"""The class `Dia`: open a checkpoint, generate speech, save it; compatible with nari-labs/dia.

Example::

    from dia import Dia

    dia = Dia.from_pretrained("dia_nano")
    waveform = dia.generate("[S1] Hello there. (laughs) [S2] Hello!", seed=1)
    dia.save_audio("hello.wav", waveform)
"""

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch

from dia.audio.files import write_audio
from dia.audio.stretch import require_speed, stretch
from dia.codecs.protocol import Codec, frames_per_second
from dia.config.sampling import Sampling
from dia.dialogue.lint import Limits, require_clean
from dia.errors import UserError
from dia.inference.engine import Request
from dia.inference.generation import (
    BatchGenerator,
    GenerationTask,
    Prompts,
    one_seed_each,
    with_overrides,
)
from dia.inference.guard import GuardedSpeech, GuardLimits
from dia.inference.loading import ComputeDtype, open_checkpoint, open_codec
from dia.inference.long_form import join_waveforms, split_script
from dia.inference.prompt import Prompt
from dia.inference.synthesizer import Synthesizer
from dia.inference.voice import LONGEST, SHORTEST, Voice, voice_problems
from dia.network import DiaNetwork
from dia.types import Waveform

__all__ = ["ComputeDtype", "Dia"]
logger = logging.getLogger(__name__)


class Dia:
    """A Dia checkpoint with its codec, ready to generate speech.

    Without a codec (``load_dac=False``) it generates codes instead of audio.

    Attributes:
        network: The network, in eval mode.
        default_sampling: The sampling values of calls that do not override them.
    """

    def __init__(self, network: DiaNetwork, codec: Codec | None, sampling: Sampling) -> None:
        self.network = network
        self.default_sampling = sampling
        self._generator = BatchGenerator(network, Synthesizer(network, codec) if codec is not None else None)

    @classmethod
    def from_pretrained(
        cls,
        model_name: str = "dia_nano",
        compute_dtype: str | ComputeDtype = "float32",
        device: str | torch.device | None = None,
        load_dac: bool = True,
        *,
        codec: str | None = None,
        cross_rope: bool | None = None,
        quantization: str | None = None,
        config_path: str | None = None,
        adapter: str | None = None,
    ) -> "Dia":
        """Open a checkpoint of any layout (nari, transformers, Lightning, or our own).

        Args:
            model_name: A shipped model (``dia_nano``), a run folder, a model folder, a weights file, or a Hub
                id such as ``nari-labs/Dia-1.6B-0626``.
            compute_dtype: ``float32``, ``float16`` or ``bfloat16``; norms stay in float32.
            device: Device to run on; None selects a GPU when there is one.
            load_dac: Whether to open the codec. Without one :meth:`generate` returns codes.
            codec: Name or path of a codec that replaces the one the checkpoint names.
            cross_rope: Whether the checkpoint is of the first generation of Dia-1.6B, for checkpoints whose
                config does not determine it.
            quantization: ``int8`` or ``int4`` (:mod:`dia.inference.quantization`); None does not quantize.
            config_path: A config.json that does not lie beside the weights.
            adapter: Folder of a LoRA adapter trained on this checkpoint, or of the run that trained it; it is
                merged into the weights.

        Returns:
            The opened model.

        Raises:
            UserError: When checkpoint, codec or adapter are missing, damaged, or do not fit each other.

        Example::

            dia = Dia.from_pretrained("nari-labs/Dia-1.6B-0626", compute_dtype="bfloat16", device="cuda")
        """
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        device = torch.device(device)
        checkpoint = open_checkpoint(
            model_name, compute_dtype, device, cross_rope, quantization, config_path, adapter
        )
        opened = open_codec(checkpoint, codec, model_name, device) if load_dac else None
        return cls(checkpoint.network, opened, Sampling(**checkpoint.sampling))

    @classmethod
    def from_local(
        cls,
        config_path: str,
        checkpoint_path: str,
        compute_dtype: str | ComputeDtype = "float32",
        device: str | torch.device | None = None,
        load_dac: bool = True,
        **more: Any,
    ) -> "Dia":
        """Open a weights file with a config.json that may lie elsewhere.

        Other arguments and errors are those of :meth:`from_pretrained`.
        """
        return cls.from_pretrained(
            checkpoint_path, compute_dtype, device, load_dac, config_path=config_path, **more
        )

    @property
    def synthesizer(self) -> Synthesizer:
        """Network and codec. Raises :class:`UserError` when no codec was opened."""
        return self._generator.require_synthesizer()

    @property
    def codec(self) -> Codec:
        """The codec. Raises :class:`UserError` when none was opened."""
        return self.synthesizer.codec

    def sampling(self, **overrides: Any) -> "Dia":
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
        seed: int | list[int] | None = None,
        voice: Voice | None = None,
        speed: float = 1.0,
        retries: int = 0,
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
                samples at the codec's rate, or codes (T, C). Its transcript must begin the text.
            audio_prompt_path: Old name of ``audio_prompt``.
            use_cfg_filter: Without effect; nari-labs/dia had it.
            verbose: Print the number of samples and the time.
            seed: One seed for all texts, or one each; None draws random ones.
            voice: A voice with transcript and codes, in place of ``audio_prompt``.
            speed: Pace relative to the generated one, .5 to 2, at the same pitch.
            retries: How often to generate a failed take again (:meth:`speak`).

        Returns:
            The waveform, float32 (samples,) at ``codec.sample_rate``, or a list of them for a list of texts.
            Without a codec: integer codes (T, C).

        Raises:
            UserError: For values out of range, for empty or too long texts, and for unusable prompts.

        Example::

            first, second = dia.generate(["[S1] Good morning.", "[S1] Good night."], seed=[1, 2])
        """
        if use_cfg_filter is not None:
            logger.warning("use_cfg_filter has no effect; use cfg_filter_top_k=None for no filter")
        if audio_prompt_path is not None:
            logger.warning("audio_prompt_path is an old name of audio_prompt")
        require_speed(speed)
        started = time.perf_counter()
        texts = [text] if isinstance(text, str) else list(text)
        overrides = {
            "cfg_scale": cfg_scale,
            "temperature": temperature,
            "top_p": top_p,
            "cfg_filter_top_k": cfg_filter_top_k,
        }
        task = GenerationTask(
            with_overrides(self.default_sampling, overrides),
            max_tokens,
            self._generator.encode_prompts(
                audio_prompt if audio_prompt_path is None else audio_prompt_path, len(texts)
            ),
            voice,
            use_torch_compile,
        )
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

    def speak(
        self,
        texts: list[str],
        seeds: list[int],
        max_tokens: int | None = None,
        voice: Voice | None = None,
        retries: int = 0,
        limits: GuardLimits = GuardLimits(),
    ) -> list[GuardedSpeech]:
        """Generate a batch and check each take for known failures (:mod:`dia.inference.guard`).

        A failed take is generated again with the next seed, up to ``retries`` times; retries are logged. Each
        result has the best take, the failures detected in it, and the number of attempts.
        """
        task = GenerationTask(self.default_sampling, max_tokens, [None] * len(texts), voice, False)
        return self._generator.guarded_takes(texts, seeds, task, retries, limits)

    def stream(
        self, text: str, seed: int = 0, voice: Voice | None = None, max_tokens: int | None = None
    ) -> Iterator[Waveform]:
        """Yield the audio of a text in chunks while it is generated.

        The joined chunks are what :meth:`generate` returns for the same arguments.
        """
        script, prompt_TC = (
            (voice.script(text), self._generator.voice_codes(voice)) if voice else (text, None)
        )
        return self.synthesizer.stream(Request(script, seed, prompt_TC), self.default_sampling, max_tokens)

    def speak_long(
        self,
        text: str,
        voice: Voice,
        seed: int = 0,
        batch: int = 8,
        piece_seconds: float = 12.0,
        pause: float = 0.25,
        retries: int = 1,
    ) -> Iterator[Waveform]:
        """Yield the audio of a script of any length in one voice, piece by piece and without clicks.

        Args:
            text: The script; its speakers must speak in the voice's transcript too.
            voice: The voice (:meth:`make_voice`).
            seed: Seed of the first piece; the following pieces have the following seeds.
            batch: Number of pieces that are generated together and held in memory.
            piece_seconds: Longest estimated duration of a piece; less when the voice leaves less room.
            pause: Seconds of silence between pieces.
            retries: How often to generate a failed piece again (:meth:`speak`).

        Raises:
            UserError: Before anything is generated, when the text is no script, has a speaker that the voice
                lacks, or when the voice leaves no room.
        """
        pieces = split_script(
            text, min(piece_seconds, voice.room_seconds(self.network.config.max_frames)), voice.room_bytes
        )
        for piece in pieces:
            voice.script(piece)

        def waveforms() -> Iterator[Waveform]:
            for begin in range(0, len(pieces), batch):
                some = pieces[begin : begin + batch]
                seeds = list(range(seed + begin, seed + begin + len(some)))
                for item in self.speak(some, seeds, voice=voice, retries=retries):
                    yield item.speech.waveform

        return join_waveforms(waveforms(), self.codec.sample_rate, pause)

    def make_voice(
        self, audio: Prompt, transcript: str, shortest: float = SHORTEST, longest: float = LONGEST
    ) -> Voice:
        """Return a voice that can be used as a prompt and saved.

        Args:
            audio: A recording: an audio file, samples at the codec's rate, or codes (T, C).
            transcript: All words of the recording, as a script.
            shortest: Shortest accepted recording in seconds.
            longest: Longest accepted recording in seconds.

        Raises:
            UserError: With all problems: no transcript, a length out of range, an implausible pace.

        Example::

            voice = dia.make_voice("anna.wav", "[S1] We walked along the river until the light was gone.")
            voice.save("anna.voice")
            dia.generate("[S1] And then we went home.", voice=voice)
        """
        codes_TC = self.encode_prompt(audio)
        rate = frames_per_second(self.codec)
        if problems := voice_problems(transcript, len(codes_TC) / rate, shortest, longest):
            raise UserError(
                "this makes no good voice:\n" + "\n".join(f"  - {problem}" for problem in problems)
            )
        return Voice(transcript, codes_TC.cpu(), self.codec.name, self.codec.fingerprint, rate)

    def require_script(self, text: str) -> None:
        """Raise :class:`UserError` with all problems that the linter reports for this model's length."""
        longest = self.network.config.max_frames / frames_per_second(self.codec)
        try:
            require_clean(text, Limits(shortest_seconds=0.5, longest_seconds=longest))
        except ValueError as error:
            raise UserError(str(error)) from error

    def load_audio(self, audio_path: str) -> torch.Tensor:
        """Return the codes (T, C) of an audio file, for repeated use as ``audio_prompt``."""
        return self.encode_prompt(audio_path)

    def encode_prompt(self, prompt: Prompt) -> torch.Tensor:
        """Return the codes (T, C) of a voice prompt (:func:`dia.inference.prompt.encode_prompt`)."""
        return self._generator.encode_prompt(prompt)

    def save_audio(self, path: str, audio: Waveform) -> None:
        """Write a waveform of :meth:`generate` as WAV, FLAC, OGG or MP3, by the ending of ``path``.

        Raises:
            UserError: As :func:`dia.audio.files.write_audio` does.
        """
        write_audio(path, audio, self.codec.sample_rate)
