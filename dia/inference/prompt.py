"""Voice prompts: recordings, samples or codes of the voice that the model continues in.

Legend: L samples, T codec frame, C codec channel.
"""

from pathlib import Path

import torch
from torch import Tensor

from dia.audio.files import read_audio
from dia.codecs.protocol import Codec, pad_to_frames, require_codes
from dia.errors import UserError
from dia.types import Waveform

Prompt = str | Path | Waveform | Tensor
SHORTEST_PROMPT = 0.5  # seconds below which a prompt carries too little of a voice
SILENT = 1e-3  # largest amplitude of what counts as silence


def is_codes(prompt: Prompt | None) -> bool:
    """Return whether a prompt is codes already, so that no codec is needed."""
    return isinstance(prompt, Tensor) and not prompt.is_floating_point()


def encode_prompt(prompt: Prompt, codec: Codec, max_frames: int) -> Tensor:
    """Return the codes (T, C) of a voice prompt.

    Args:
        prompt: An audio file, samples (samples,) at the codec's rate, or codes (T, C), which are returned.
        codec: The codec of the model.
        max_frames: The longest prompt that leaves the model room to generate, in codec frames.

    Raises:
        UserError: When the prompt is silent, too short, or too long.
    """
    if isinstance(prompt, Tensor) and not prompt.is_floating_point():
        require_codes(prompt[None], codec.channels, codec.codebook_size)
        return prompt
    name = str(prompt) if isinstance(prompt, str | Path) else "the audio prompt"
    waveform = read_audio(prompt, codec.sample_rate) if isinstance(prompt, str | Path) else prompt
    waveform_L = torch.as_tensor(waveform, dtype=torch.float32)
    _require_voice(waveform_L, name, codec, max_frames)
    return codec.encode(pad_to_frames(waveform_L[None], codec.hop))[0]


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
