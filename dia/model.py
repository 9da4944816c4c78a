"""Class Dia: open a checkpoint, speak, save. Names and defaults follow nari-labs/dia's `dia.model.Dia`.

from dia.model import Dia
dia = Dia.from_pretrained("dia_nano")
dia.save_audio("out.wav", dia.generate("[S1] Hello there. [S2] Hello!", seed=1))
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dia.audio.codec import Codec, pad_to_frames, require_codec, require_codes
from dia.audio.files import read_wave, write_wave
from dia.audio.load import load_codec
from dia.checkpoint import load_checkpoint
from dia.dialogue.lint import Limits, require_clean
from dia.errors import UserError
from dia.inference import Sampling, Speech, Synthesizer
from dia.network import DiaNetwork
from dia.resources import resource

Wave = NDArray[np.float32]
SHIPPED = {"dia_nano": "data/models/dia_nano"}
SHORTEST_PROMPT = 0.5  # seconds that tell something of a voice
SILENT = 1e-3  # highest sample of what counts as silence
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Dia:
    """A checkpoint and its codec, ready to speak."""

    def __init__(self, network: DiaNetwork, codec: Codec, sampling: Sampling) -> None:
        self.synthesizer, self.default_sampling = Synthesizer(network, codec), sampling
        self.network, self.codec = network, codec

    @classmethod
    def from_pretrained(
        cls,
        model_name: str = "dia_nano",
        compute_dtype: str = "float32",
        device: str | torch.device | None = None,
        codec: str | None = None,
        cross_rope: bool | None = None,
    ) -> "Dia":
        """Open a shipped model by name, a run or model folder, a weights file, or a Hub id, in any layout.

        ``device`` None takes a GPU where there is one. ``codec`` replaces the codec that the checkpoint names;
        ``cross_rope`` says of which generation it is, where its config does not (true: the first).
        Raises :class:`UserError` when the checkpoint or its codec is missing, damaged, or they do not fit each other.
        """
        if compute_dtype not in DTYPES:
            raise UserError(f"compute_dtype={compute_dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
        path = resource(SHIPPED[model_name]) if model_name in SHIPPED else model_name
        place = str(device) if device is not None else "cuda" if torch.cuda.is_available() else "cpu"
        checkpoint = load_checkpoint(path, place, DTYPES[compute_dtype], cross_rope)
        if checkpoint.codec is None and codec is None:
            raise UserError(f"{model_name} does not say which codec its codes are of; give one (dac_44khz for Dia-1.6B)")
        opened = load_codec(codec or (checkpoint.codec.name if checkpoint.codec else ""), place)
        dia = cls(checkpoint.network, opened, Sampling(**checkpoint.sampling))
        if checkpoint.codec and checkpoint.codec.fingerprint:
            require_codec(opened, checkpoint.codec.fingerprint, model_name)
        return dia

    def sampling(self, **overrides: Any) -> "Dia":
        """Replace sampling defaults (cfg_scale, temperature, top_p, cfg_filter_top_k; None leaves one); returns itself."""
        self.default_sampling = _replaced(self.default_sampling, overrides)
        return self

    def generate(
        self,
        text: str | list[str],
        max_tokens: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        cfg_filter_top_k: int | None = None,
        audio_prompt: str | Wave | torch.Tensor | list[str | Wave | torch.Tensor | None] | None = None,
        seed: int | list[int] | None = None,
        verbose: bool = False,
    ) -> Wave | list[Wave]:
        """Return the wave of one text, or a list for a list: float32 (samples,) at ``codec.sample_rate``.

        ``audio_prompt`` is a file, samples at the codec's rate, or codes (T, C); its transcript must begin the text.
        ``seed`` may be one for all or one each; without it every call differs. Values left out are the checkpoint's.
        Raises :class:`UserError` for values out of range and for empty or overlong texts.
        """
        texts = [text] if isinstance(text, str) else list(text)
        values = {
            "cfg_scale": cfg_scale,
            "temperature": temperature,
            "top_p": top_p,
            "cfg_filter_top_k": cfg_filter_top_k,
        }
        sampling = _replaced(self.default_sampling, values)
        prompts = audio_prompt if isinstance(audio_prompt, list) else [audio_prompt] * len(texts)
        if len(prompts) != len(texts):
            raise UserError(f"{len(texts)} texts but {len(prompts)} audio prompts; give one prompt for each, or None")
        codes = [self.encode_prompt(prompt) for prompt in prompts]
        spoken = self.synthesizer.speak(texts, _seeds(seed, len(texts)), sampling, max_tokens, codes)
        if verbose:
            print(f"spoke {sum(len(item.wave) for item in spoken) / self.codec.sample_rate:.1f} s of sound")
        return spoken[0].wave if isinstance(text, str) else [item.wave for item in spoken]

    def speak(self, texts: list[str], seeds: list[int], max_tokens: int | None = None) -> list[Speech]:
        """Speak a batch with the default sampling; each result also says whether the model ended by itself."""
        return self.synthesizer.speak(texts, seeds, self.default_sampling, max_tokens)

    def require_script(self, text: str) -> None:
        """Raise :class:`UserError` with everything that the lint finds in a script, for this model's length."""
        longest = self.network.config.max_frames * self.codec.hop / self.codec.sample_rate
        try:
            require_clean(text, Limits(shortest_seconds=0.5, longest_seconds=longest))
        except ValueError as error:
            raise UserError(str(error)) from error

    def load_audio(self, audio_path: str) -> torch.Tensor:
        """Return the codes (T, C) of a sound file, to be given as ``audio_prompt`` again and again."""
        codes = self.encode_prompt(audio_path)
        assert codes is not None  # only no prompt has no codes
        return codes

    def encode_prompt(self, prompt: str | Wave | torch.Tensor | None) -> torch.Tensor | None:
        """Return the codes (T, C) of a voice prompt: a file, samples (samples,) at the codec's rate, or codes as they are.

        Raises :class:`UserError` for a prompt that is silent, too short to tell a voice, or longer than the model's room.
        """
        if prompt is None:
            return None
        if isinstance(prompt, torch.Tensor) and not prompt.is_floating_point():
            require_codes(prompt[None], self.codec.channels, self.codec.codebook_size)
            return prompt
        wave = read_wave(prompt, self.codec.sample_rate) if isinstance(prompt, str | Path) else prompt
        wave_L = torch.as_tensor(wave, dtype=torch.float32)
        self._require_voice(wave_L, str(prompt) if isinstance(prompt, str | Path) else "the audio prompt")
        return self.codec.encode(pad_to_frames(wave_L[None], self.codec.hop))[0]

    def _require_voice(self, wave_L: torch.Tensor, name: str) -> None:
        longest = self.network.config.max_frames * self.codec.hop / self.codec.sample_rate
        if wave_L.ndim != 1 or not bool(wave_L.isfinite().all()):
            raise UserError(f"{name}: samples of shape {tuple(wave_L.shape)}; give finite mono samples (samples,)")
        seconds = len(wave_L) / self.codec.sample_rate
        if not SHORTEST_PROMPT <= seconds < longest:
            raise UserError(f"{name} is {seconds:.3f} s long; give {SHORTEST_PROMPT} to {longest:.0f} s (best are 5 to 10)")
        if float(wave_L.abs().max()) < SILENT:
            raise UserError(f"{name} is silent; give a recording of the voice")

    def save_audio(self, path: str, audio: Wave) -> None:
        """Write a wave that :meth:`generate` returned. Raises :class:`UserError` as :func:`write_wave` does."""
        write_wave(path, audio, self.codec.sample_rate)


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
