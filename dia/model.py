"""Class Dia: open a checkpoint, speak, save. A drop-in for nari-labs/dia's `dia.model.Dia`, with what its
users ask for.

from dia.types import Waveform
from dia.model import Dia
dia = Dia.from_pretrained("dia_nano")
dia.save_audio("out.wav", dia.generate("[S1] Hello there. [S2] Hello!", seed=1))
"""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from dia.audio.files import write_audio
from dia.audio.stretch import require_speed, stretch
from dia.codecs.protocol import Codec, frames_per_second, require_codec
from dia.dialogue.lint import Limits, require_clean
from dia.errors import UserError
from dia.inference import (
    Generated,
    GuardedSpeech,
    GuardLimits,
    Request,
    Sampling,
    Speech,
    Synthesizer,
    Voice,
    generate_codes,
)
from dia.inference.guard import synthesize_guarded
from dia.inference.loading import ComputeDtype, open_checkpoint, open_codec
from dia.inference.long_form import join_waveforms, split_script
from dia.inference.prompt import Prompt, encode_prompt, is_codes
from dia.inference.voice import LONGEST, SHORTEST, voice_problems
from dia.network import DiaNetwork
from dia.types import Waveform

Prompts = Prompt | list[Prompt | None] | None
__all__ = ["ComputeDtype", "Dia"]
log = logging.getLogger(__name__)


class Dia:
    """A checkpoint and its codec, ready to speak. Without a codec (``load_dac=False``) it gives codes instead
    of sound.
    """

    def __init__(self, network: DiaNetwork, codec: Codec | None, sampling: Sampling) -> None:
        self.network, self.default_sampling = network, sampling
        self._synthesizer = Synthesizer(network, codec) if codec is not None else None

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
        """Open a shipped model by name, a run or model folder, a weights file, or a Hub id, in any layout.

        ``device`` None takes a GPU where there is one. ``codec`` replaces the codec that the checkpoint
        names; without ``load_dac`` none is opened. ``cross_rope`` says of which generation the checkpoint is,
        where its config does not (true: the first). ``quantization`` is `int8` or `int4`
        (dia/inference/quantization.py). ``adapter`` is the folder of what LoRA learned on this checkpoint, or
        the run that learned it; it is merged into the weights. Raises :class:`UserError` when the checkpoint
        or its codec is missing, damaged, or they do not fit each other.
        """
        place = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
        checkpoint = open_checkpoint(
            model_name, compute_dtype, place, cross_rope, quantization, config_path, adapter
        )
        opened = open_codec(checkpoint, codec, model_name, place) if load_dac else None
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
        """Open a weights file whose config lies anywhere; ``more`` and errors are those of
        :meth:`from_pretrained`.
        """
        return cls.from_pretrained(
            checkpoint_path, compute_dtype, device, load_dac, config_path=config_path, **more
        )

    @property
    def synthesizer(self) -> Synthesizer:
        """Network and codec. Raises :class:`UserError` when no codec was opened."""
        if self._synthesizer is None:
            raise UserError(
                "no codec was opened (load_dac=False), so there is no sound; give and take codes, or open one"
            )
        return self._synthesizer

    @property
    def codec(self) -> Codec:
        """The codec. Raises :class:`UserError` when none was opened."""
        return self.synthesizer.codec

    def sampling(self, **overrides: Any) -> "Dia":
        """Replace sampling defaults (fields of :class:`Sampling`; None leaves one); returns itself."""
        self.default_sampling = _replaced(self.default_sampling, overrides)
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
        """Return the waveform of one text, or a list for a list: float32 (samples,) at ``codec.sample_rate``.

        ``max_tokens`` are decoder steps. Values left out are the checkpoint's own (nari's signature has one
        set for all). ``audio_prompt`` is a file, samples at the codec's rate, or codes (T, C), one or one for
        each text; its transcript must begin the text. A ``voice`` brings both. ``seed`` may be one for all or
        one each; without it every call differs. ``speed`` changes the pace and not the pitch. ``retries``
        lets a guard speak what failed again (:meth:`speak`). ``audio_prompt_path`` and ``use_cfg_filter`` are
        old names: the first is taken for ``audio_prompt``, the second does nothing. Without a codec the
        result is codes (T, C), integers. Raises :class:`UserError` for values out of range and for empty or
        overlong texts.
        """
        if use_cfg_filter is not None:
            log.warning("use_cfg_filter does nothing; cfg_filter_top_k says how many ids guidance leaves")
        if audio_prompt_path is not None:
            log.warning("audio_prompt_path is an old name of audio_prompt")
        require_speed(speed)
        begun, texts = time.perf_counter(), [text] if isinstance(text, str) else list(text)
        values = {
            "cfg_scale": cfg_scale,
            "temperature": temperature,
            "top_p": top_p,
            "cfg_filter_top_k": cfg_filter_top_k,
        }
        prompts = self._prompts(audio_prompt if audio_prompt_path is None else audio_prompt_path, len(texts))
        task = _Task(_replaced(self.default_sampling, values), max_tokens, prompts, voice, use_torch_compile)
        seeds = _seeds(seed, len(texts))
        if self._synthesizer is None:
            made = [item.codes_TC.cpu().numpy() for item in self._codes(texts, seeds, task)]
        else:
            spoken = (
                [item.speech for item in self._guarded(texts, seeds, task, retries)]
                if retries
                else self._speak(texts, seeds, task)
            )
            made = [stretch(speech.waveform, speech.sample_rate, speed) for speech in spoken]
        if verbose:
            print(f"generate: {sum(map(len, made))} samples or frames in {time.perf_counter() - begun:.2f} s")
        return made[0] if isinstance(text, str) else made

    def speak(
        self,
        texts: list[str],
        seeds: list[int],
        max_tokens: int | None = None,
        voice: Voice | None = None,
        retries: int = 0,
        limits: GuardLimits = GuardLimits(),
    ) -> list[GuardedSpeech]:
        """Speak a batch with the default sampling under a guard: each result says what is wrong with it and
        how many attempts there were. What failed is spoken again with the next seed, up to ``retries`` times,
        and logged."""
        task = _Task(self.default_sampling, max_tokens, [None] * len(texts), voice, False)
        return self._guarded(texts, seeds, task, retries, limits)

    def stream(
        self, text: str, seed: int = 0, voice: Voice | None = None, max_tokens: int | None = None
    ) -> Iterator[Waveform]:
        """Yield the sound of a text while it is generated, chunk by chunk; joined it is what :meth:`generate`
        returns.
        """
        script, prompt_TC = (voice.script(text), self._voice_codes(voice)) if voice else (text, None)
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
        """Yield the sound of a script of any length, in one voice; joined it is one waveform without clicks.

        The script is cut at turns into pieces of ``piece_seconds`` or what the model has room for behind the
        voice, spoken ``batch`` at a time under a guard; one batch is in memory. Raises :class:`UserError`,
        before anything is spoken, for a text that is no script, with other speakers than the voice's, or when
        the voice leaves no room.
        """
        pieces = split_script(
            text, min(piece_seconds, voice.room_seconds(self.network.config.max_frames)), voice.room_bytes
        )
        for piece in pieces:
            voice.script(piece)

        def spoken() -> Iterator[Waveform]:
            for begin in range(0, len(pieces), batch):
                some = pieces[begin : begin + batch]
                seeds = list(range(seed + begin, seed + begin + len(some)))
                yield from (
                    item.speech.waveform for item in self.speak(some, seeds, voice=voice, retries=retries)
                )

        return join_waveforms(spoken(), self.codec.sample_rate, pause)

    def make_voice(
        self, audio: Prompt, transcript: str, shortest: float = SHORTEST, longest: float = LONGEST
    ) -> Voice:
        """Return the voice of a recording (a file, samples or codes) and its transcript, to be used and
        saved.

        Raises :class:`UserError` with all that makes it a bad one: no transcript, not 5 to 10 s, an unlikely
        pace.
        """
        codes_TC, rate = self.encode_prompt(audio), frames_per_second(self.codec)
        if problems := voice_problems(transcript, len(codes_TC) / rate, shortest, longest):
            raise UserError(
                "this makes no good voice:\n" + "\n".join(f"  - {problem}" for problem in problems)
            )
        return Voice(transcript, codes_TC.cpu(), self.codec.name, self.codec.fingerprint, rate)

    def require_script(self, text: str) -> None:
        """Raise :class:`UserError` with everything that the lint finds in a script, for this model's
        length.
        """
        longest = self.network.config.max_frames / frames_per_second(self.codec)
        try:
            require_clean(text, Limits(shortest_seconds=0.5, longest_seconds=longest))
        except ValueError as error:
            raise UserError(str(error)) from error

    def load_audio(self, audio_path: str) -> torch.Tensor:
        """Return the codes (T, C) of a sound file, to be given as ``audio_prompt`` again and again."""
        return self.encode_prompt(audio_path)

    def encode_prompt(self, prompt: Prompt) -> torch.Tensor:
        """Return the codes (T, C) of a voice prompt, as :func:`dia.inference.prompt.encode_prompt` does."""
        if self._synthesizer is None and isinstance(prompt, torch.Tensor) and is_codes(prompt):
            return prompt
        return encode_prompt(prompt, self.codec, self.network.config.max_frames)

    def save_audio(self, path: str, audio: Waveform) -> None:
        """Write a waveform that :meth:`generate` returned. Raises :class:`UserError` as :func:`write_audio`
        does.
        """
        write_audio(path, audio, self.codec.sample_rate)

    def _guarded(
        self,
        texts: list[str],
        seeds: list[int],
        task: "_Task",
        retries: int,
        limits: GuardLimits = GuardLimits(),
    ) -> list[GuardedSpeech]:
        def speak(places: list[int], seeds: list[int]) -> list[Speech]:
            return self._speak([texts[place] for place in places], seeds, task.of(places))

        return synthesize_guarded(speak, texts, seeds, retries, limits)

    def _speak(self, texts: list[str], seeds: list[int], task: "_Task") -> list[Speech]:
        scripts, prompts = self._scripts(texts, task)
        return self.synthesizer.speak(scripts, seeds, task.sampling, task.max_tokens, prompts, task.compiled)

    def _codes(self, texts: list[str], seeds: list[int], task: "_Task") -> list[Generated]:
        scripts, prompts = self._scripts(texts, task)
        requests = [Request(*item) for item in zip(scripts, seeds, prompts, strict=True)]
        steps = task.max_tokens or self.network.config.decoder.max_positions
        return generate_codes(self.network, requests, task.sampling, steps, task.compiled)

    def _scripts(self, texts: list[str], task: "_Task") -> tuple[list[str], list[torch.Tensor | None]]:
        """What the model reads: texts and prompts as they are, or behind a voice's."""
        if task.voice is None:
            return texts, task.prompts
        if any(prompt is not None for prompt in task.prompts):
            raise UserError("a voice and an audio_prompt were given; give one of them")
        return [task.voice.script(text) for text in texts], [self._voice_codes(task.voice)] * len(texts)

    def _voice_codes(self, voice: Voice) -> torch.Tensor:
        if self._synthesizer is not None:
            require_codec(self.codec, voice.fingerprint, "the voice")
        return voice.codes_TC

    def _prompts(self, given: Prompts, count: int) -> list[torch.Tensor | None]:
        prompts = given if isinstance(given, list) else [given] * count
        if len(prompts) != count:
            raise UserError(
                f"{count} texts but {len(prompts)} audio prompts; give one prompt for each, or None"
            )
        return [None if prompt is None else self.encode_prompt(prompt) for prompt in prompts]


@dataclass(frozen=True)
class _Task:
    """How a batch is spoken: sampling values, room, prompts' codes, a voice, compiled or not."""

    sampling: Sampling
    max_tokens: int | None
    prompts: list[torch.Tensor | None]
    voice: Voice | None
    compiled: bool

    def of(self, places: list[int]) -> "_Task":
        """The same for some items of the batch."""
        return replace(self, prompts=[self.prompts[place] for place in places])


def _replaced(sampling: Sampling, values: dict[str, Any]) -> Sampling:
    """Return the sampling values with those replaced that are not None."""
    return replace(sampling, **{key: value for key, value in values.items() if value is not None})


def _seeds(seed: int | list[int] | None, count: int) -> list[int]:
    if seed is None:
        return [int.from_bytes(os.urandom(4)) for _ in range(count)]
    if isinstance(seed, int):
        return [seed] * count
    if len(seed) != count:
        raise UserError(f"{count} texts but {len(seed)} seeds; give one seed for each, or one for all")
    return list(seed)
