"""The protocol that every audio codec implements, and helpers that codecs and their callers share.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.codecs.vocoder import Vocoder
from dia.documents import read_json
from dia.errors import UserError, one_line
from dia.tensor_files import not_finite

CONFIG = "config.json"
Module = TypeVar("Module", bound=nn.Module)


class Codec(Protocol):
    """A neural audio codec: encodes waveforms to codes, and decodes codes to waveforms.

    Attributes:
        name: What :func:`dia.codecs.registry.load_codec` opens the codec by; checkpoints store it.
        sample_rate: Hertz.
        hop: Samples per codec frame.
        channels: Codes per frame (the number of codebooks).
        codebook_size: Number of codes of each channel.
        context: Frames on either side of a frame that its features depend on. A window of the codes that is
            longer by this context decodes to the same features as the whole sequence.
        preview_context: Later frames with which the preview of a frame's audio agrees with it to 50 dB, if
            that is sooner; otherwise the same as ``context``.
        encode_context: Frames on either side of a frame that its codes depend on, likewise for windows of
            the waveform.
        fingerprint: SHA-256 of the weights that decide what a code means (encoder and quantizer). Stored
            codes stay valid when only the decoder is trained further.
        audio_fingerprint: SHA-256 of everything that decides how codes sound.
    """

    name: str
    sample_rate: int
    hop: int
    channels: int
    codebook_size: int
    context: int
    preview_context: int
    encode_context: int
    fingerprint: str
    audio_fingerprint: str

    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return the codes (B, T, C), int64, of waveforms of equal length; L is a multiple of ``hop``."""
        ...

    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return the waveforms (B, T * hop), float32, of codes."""
        ...

    def decode_features(self, codes_BTC: Tensor) -> Tensor:
        """Return the features (B, T, X) of codes, which a vocoder turns into audio."""
        ...

    def vocoder(self) -> Vocoder:
        """Return a new vocoder: with the features of all frames it gives the waveform of :meth:`decode`."""
        ...


@dataclass(frozen=True)
class CodecShape:
    """The properties of a codec that a model depends on; see the attributes of :class:`Codec`."""

    channels: int
    codebook_size: int
    sample_rate: int
    hop: int

    @property
    def frame_rate(self) -> float:
        """Codec frames per second."""
        return self.sample_rate / self.hop


def _no_download(name: str) -> Path:
    raise UserError(f"the codec {name} cannot be downloaded; give the path of its folder")


@dataclass(frozen=True)
class CodecType:
    """How codecs of one type are opened: the entry of a type in :mod:`dia.codecs.registry`.

    Attributes:
        load: ``load(path, name, device)`` returns the codec of a folder or file under the given name. Raises
            :class:`UserError` when files are missing or damaged.
        read_shape: Returns the shape without reading weights, or None when only the weights hold it.
        pretrained: Shapes of published models of this type, by name.
        download: Returns the path of a model in ``pretrained``, downloading it on first use.
    """

    load: Callable[[Path, str, str], Codec]
    read_shape: Callable[[Path], CodecShape | None]
    pretrained: Mapping[str, CodecShape] = field(default_factory=dict)
    download: Callable[[str], Path] = _no_download


def read_codec_config(folder: Path) -> dict[str, Any]:
    """Return the content of a codec folder's config.json; its ``type`` names the codec type.

    The first folders have the key ``kind`` instead; it is returned as ``type``.

    Raises:
        UserError: When the file is missing, damaged, or names no type.
    """
    try:
        content = read_json(folder / CONFIG)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / CONFIG} is missing or damaged ({one_line(error)}); give the folder of a codec"
        ) from error
    if isinstance(content, dict) and "kind" in content:
        content.setdefault("type", content.pop("kind"))
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise UserError(
            f'{folder / CONFIG} has no "type", so it is no codec\'s config; give the folder of a codec'
        )
    return content


def pad_to_frames(waveform_BL: Tensor, hop: int) -> Tensor:
    """Return the waveforms padded at the end with silence to a whole number of frames."""
    return F.pad(waveform_BL, (0, -waveform_BL.shape[-1] % hop))


def require_whole_frames(waveform_BL: Tensor, hop: int) -> None:
    """Raise ``ValueError`` unless waveforms are (B, L) with L a positive multiple of ``hop``."""
    if waveform_BL.ndim != 2 or waveform_BL.shape[1] % hop or not waveform_BL.shape[1]:
        raise ValueError(
            f"waveforms have the shape {tuple(waveform_BL.shape)}, expected (B, L) with L a multiple of "
            f"{hop}; "
            f"call pad_to_frames(waveform_BL, {hop})"
        )


def require_codes(codes_BTC: Tensor, channels: int, codebook_size: int) -> None:
    """Raise ``ValueError`` unless codes are integers (B, T, C) from 0 to ``codebook_size - 1``."""
    if codes_BTC.ndim != 3 or codes_BTC.shape[2] != channels or codes_BTC.is_floating_point():
        raise ValueError(
            f"codes have the shape {tuple(codes_BTC.shape)} and type {codes_BTC.dtype}, expected integers "
            f"(B, T, {channels})"
        )
    if codes_BTC.numel() == 0 or int(codes_BTC.min()) < 0 or int(codes_BTC.max()) >= codebook_size:
        raise ValueError(
            f"codes must have one frame or more with ids 0 to {codebook_size - 1}; remove special tokens "
            "first"
        )


def frames_per_second(codec: Codec) -> float:
    """Return the codec's frame rate in hertz."""
    return codec.sample_rate / codec.hop


def fingerprint(*modules: nn.Module) -> str:
    """Return the SHA-256 over all weights of the modules: names, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in (pair for module in modules for pair in sorted(module.state_dict().items())):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def require_codec(codec: Codec, expected: str, owner: str) -> None:
    """Raise :class:`UserError` unless the codec has the fingerprint that ``owner`` (a checkpoint) expects."""
    if codec.fingerprint != expected:
        raise UserError(
            f"the codec {codec.name} (sha256 {codec.fingerprint[:12]}) is not the one that {owner} was "
            "made with "
            f"(sha256 {expected[:12]}); give that codec with codec.name=..."
        )


def require_finite(module: nn.Module, path: Path) -> None:
    """Raise :class:`UserError` that names the first of the weights with values that are not finite."""
    if problems := not_finite(module.state_dict()):
        raise UserError(
            f"the weights in {path} cannot be used: {problems[0]}, {len(problems)} tensors in "
            "all; copy the codec "
            "again, or train it again"
        )


def fold_weight_norm(module: Module) -> Module:
    """Replace every weight-normalized weight by its value, in place, and return the module."""
    for child in module.modules():
        if hasattr(child, "weight_g"):
            nn.utils.remove_weight_norm(child)
    return module
