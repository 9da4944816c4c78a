"""Voice prompts: recordings, samples or codes of the voice that the model continues in.

Legend: L samples, T codec frame, C codec channel.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dia.audio.files import read_audio, resample
from dia.codecs.protocol import Codec, pad_to_frames, require_codes
from dia.errors import MissingFileError, UserError
from dia.types import Waveform

Samples = NDArray[Any] | Tensor
Prompt = str | Path | Samples | tuple[int, Samples]
SHORTEST_PROMPT = 0.5  # seconds below which a prompt carries too little of a voice
SILENT = 1e-3  # largest amplitude of what counts as silence


def is_codes(prompt: Prompt | None) -> bool:
    """Return whether a prompt is codes already, so that no codec is needed: an integer array (T, C)."""
    if isinstance(prompt, Tensor):
        return not prompt.is_floating_point()
    return isinstance(prompt, np.ndarray) and prompt.ndim == 2 and np.issubdtype(prompt.dtype, np.integer)


def encode_prompt(prompt: Prompt, codec: Codec, max_frames: int) -> Tensor:
    """Return the codes (T, C) of a voice prompt.

    Args:
        prompt: An audio file; samples (L,) or (1, L) at the codec's rate; a pair of a rate in hertz and
            samples (L,), (L, 1) or (L, 2), as Gradio gives it; or codes (T, C), which are returned. Integer
            samples are scaled to -1..1.
        codec: The codec of the model.
        max_frames: The longest prompt that leaves the model room to generate, in codec frames.

    Raises:
        MissingFileError: When the file does not exist.
        UserError: When the prompt is silent, too short, or too long.
    """
    if is_codes(prompt):
        codes_TC = torch.as_tensor(prompt).long()
        require_codes(codes_TC[None], codec.channels, codec.codebook_size)
        return codes_TC
    name = str(prompt) if isinstance(prompt, str | Path) else "the audio prompt"
    waveform_L = torch.as_tensor(_samples(prompt, codec.sample_rate))
    _require_voice(waveform_L, name, codec, max_frames)
    return codec.encode(pad_to_frames(waveform_L[None], codec.hop))[0]


def _samples(prompt: Prompt, sample_rate: int) -> Waveform:
    """Return the samples of a prompt that is no codes, at ``sample_rate``."""
    if isinstance(prompt, str | Path):
        if not Path(prompt).exists():
            raise MissingFileError(f"there is no audio file at {prompt}; check the path")
        return read_audio(prompt, sample_rate)
    if isinstance(prompt, tuple):
        rate, samples = prompt
        waveform = _scaled(samples)
        mono = waveform.mean(axis=1) if waveform.ndim == 2 and waveform.shape[1] <= 2 else waveform
        return resample(mono, int(rate), sample_rate) if mono.ndim == 1 else mono
    waveform = _scaled(prompt)
    return waveform[0] if waveform.ndim == 2 and len(waveform) == 1 else waveform


def _scaled(samples: Samples) -> Waveform:
    """Return samples as float32; integers are divided by the largest value of their type."""
    array = np.asarray(samples.detach().cpu() if isinstance(samples, Tensor) else samples)
    scale = np.iinfo(array.dtype).max if np.issubdtype(array.dtype, np.integer) else 1
    return (array / scale).astype(np.float32)


def _require_voice(waveform_L: Tensor, name: str, codec: Codec, max_frames: int) -> None:
    longest = max_frames * codec.hop / codec.sample_rate
    if waveform_L.ndim != 1 or not bool(waveform_L.isfinite().all()):
        raise UserError(
            f"{name} has samples of shape {tuple(waveform_L.shape)}; give finite mono samples (samples,)"
        )
    seconds = len(waveform_L) / codec.sample_rate
    if not SHORTEST_PROMPT <= seconds < longest:
        raise UserError(
            f"{name} is {seconds:.3f} s long; give {SHORTEST_PROMPT} to {longest:.0f} s (5 to 10 s work best)"
        )
    if float(waveform_L.abs().max()) < SILENT:
        raise UserError(f"{name} is silent; give a recording of the voice")
