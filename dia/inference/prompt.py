"""Voice prompts: recordings, samples or codes of the voice that the model is to go on in.

Legend: L samples, T codec frame, C codec channel.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dia.audio.codec import Codec, pad_to_frames, require_codes
from dia.audio.files import read_wave
from dia.errors import UserError

Prompt = str | Path | NDArray[np.float32] | Tensor
SHORTEST_PROMPT = 0.5  # seconds that tell something of a voice
SILENT = 1e-3  # highest sample of what counts as silence


def is_codes(prompt: Prompt | None) -> bool:
    """Whether a prompt is codes already, so that no codec is needed for it."""
    return isinstance(prompt, Tensor) and not prompt.is_floating_point()


def encode_prompt(prompt: Prompt, codec: Codec, most_frames: int) -> Tensor:
    """Return the codes (T, C) of a prompt: a file, samples (samples,) at the codec's rate, or codes as they are.

    Raises :class:`UserError` for a prompt that is silent, too short to tell a voice, or longer than ``most_frames``.
    """
    if isinstance(prompt, Tensor) and not prompt.is_floating_point():
        require_codes(prompt[None], codec.channels, codec.codebook_size)
        return prompt
    name = str(prompt) if isinstance(prompt, str | Path) else "the audio prompt"
    wave = read_wave(prompt, codec.sample_rate) if isinstance(prompt, str | Path) else prompt
    wave_L = torch.as_tensor(wave, dtype=torch.float32)
    _require_voice(wave_L, name, codec, most_frames)
    return codec.encode(pad_to_frames(wave_L[None], codec.hop))[0]


def _require_voice(wave_L: Tensor, name: str, codec: Codec, most_frames: int) -> None:
    longest = most_frames * codec.hop / codec.sample_rate
    if wave_L.ndim != 1 or not bool(wave_L.isfinite().all()):
        raise UserError(f"{name}: samples of shape {tuple(wave_L.shape)}; give finite mono samples (samples,)")
    seconds = len(wave_L) / codec.sample_rate
    if not SHORTEST_PROMPT <= seconds < longest:
        raise UserError(f"{name} is {seconds:.3f} s long; give {SHORTEST_PROMPT} to {longest:.0f} s (best are 5 to 10)")
    if float(wave_L.abs().max()) < SILENT:
        raise UserError(f"{name} is silent; give a recording of the voice")
