"""The protocol of codecs, and what all of them share.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import hashlib
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.errors import UserError

Module = TypeVar("Module", bound=nn.Module)


class Codec(Protocol):
    """Sound to codes and back.

    ``name`` opens it again, ``sample_rate`` is in hertz, ``hop`` are the samples of one frame, ``channels``
    the codes of one frame, ``codebook_size`` the ids of one channel. ``context`` are the frames on either
    side of a frame that its sound depends on: with these, a window of the codes gives the sound that the
    whole gives. ``fingerprint`` is the sha256 over the weights that decide what a code means (encoder and
    quantizer): a decoder may learn to sound better, and stored codes stay valid; ``sound_fingerprint`` is
    that over what decides how they sound. ``encode_context`` are the frames on either side of a frame that
    its code depends on: with these, a window of the sound gives the codes that the whole gives.
    """

    name: str
    sample_rate: int
    hop: int
    channels: int
    codebook_size: int
    context: int
    encode_context: int
    fingerprint: str
    sound_fingerprint: str

    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return codes (B, T, C), int64, of waveforms of equal length; L is a multiple of ``hop``."""
        ...

    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return waveforms (B, T * hop), float32."""
        ...


def pad_to_frames(waveform_BL: Tensor, hop: int) -> Tensor:
    """Return the waveforms with silence after them, up to a whole number of frames."""
    return F.pad(waveform_BL, (0, -waveform_BL.shape[-1] % hop))


def require_whole_frames(waveform_BL: Tensor, hop: int) -> None:
    """Raise ``ValueError`` unless waveforms are (B, L) with L a multiple of ``hop``: a codec would cut the
    rest off.
    """
    if waveform_BL.ndim != 2 or waveform_BL.shape[1] % hop or not waveform_BL.shape[1]:
        raise ValueError(
            f"waveforms of shape {tuple(waveform_BL.shape)} are no (B, L) of whole frames; pad_to_frames(waveform_BL, {hop})"
        )


def require_codes(codes_BTC: Tensor, channels: int, codebook_size: int) -> None:
    """Raise ``ValueError`` unless codes are integers (B, T, C) with ids of the codebooks: BOS, EOS and PAD
    have no sound.
    """
    if codes_BTC.ndim != 3 or codes_BTC.shape[2] != channels or codes_BTC.is_floating_point():
        raise ValueError(
            f"codes {tuple(codes_BTC.shape)} {codes_BTC.dtype} are no integers (B, T, {channels})"
        )
    if codes_BTC.numel() == 0 or int(codes_BTC.min()) < 0 or int(codes_BTC.max()) >= codebook_size:
        raise ValueError(
            f"codes must be 1 frame or more of ids 0 to {codebook_size - 1}; cut special tokens off first"
        )


def frames_per_second(codec: Codec) -> float:
    """Return the codec's frame rate in hertz."""
    return codec.sample_rate / codec.hop


def fingerprint(*modules: nn.Module) -> str:
    """Return the sha256 over all weights of the modules: names, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in (pair for module in modules for pair in sorted(module.state_dict().items())):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def require_codec(codec: Codec, expected: str, owner: str) -> None:
    """Raise :class:`UserError` unless the codec's fingerprint is the one that ``owner`` (a checkpoint) was
    made with.
    """
    if codec.fingerprint != expected:
        raise UserError(
            f"the codec {codec.name} (sha256 {codec.fingerprint[:12]}) is not the one that {owner} was made with "
            f"(sha256 {expected[:12]}); give that codec with codec.name=..."
        )


def fold_weight_norm(module: Module) -> Module:
    """Replace every weight-normed weight by its value, in place, and return the module."""
    for child in module.modules():
        if hasattr(child, "weight_g"):
            nn.utils.remove_weight_norm(child)
    return module
