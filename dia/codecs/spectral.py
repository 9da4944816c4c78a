"""The spectral codec (see :mod:`dia.codecs.spectral_network`) as a codec folder of config.json and weights.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import torch
from omegaconf.errors import OmegaConfBaseException
from safetensors.torch import save_file
from torch import Tensor

from dia.codecs.bfloat16 import in_bfloat16, multiplies_bfloat16
from dia.codecs.flow_refiner import REACH
from dia.codecs.protocol import (
    CONFIG,
    CodecShape,
    CodecType,
    fingerprint,
    fold_weight_norm,
    read_codec_config,
    require_codes,
    require_finite,
    require_whole_frames,
)
from dia.codecs.spectral_network import SpectralNetwork
from dia.codecs.spectral_stream import Decoding, SpectralVocoder
from dia.config.codec import SpectralCodecConfig
from dia.config.values import typed
from dia.errors import UserError, one_line
from dia.files import atomic_write, make_folder, write_text
from dia.tensor_files import read_safetensors

TYPE = "spectral"
WEIGHTS = "model.safetensors"
PREVIEW = 0.24  # seconds of later codes with which audio agrees to 53 dB; .16 s to 33 (codec_nano)
# Modules saved in half precision and computed in fp32; the encoder and quantizer, which decide the codes,
# are saved in fp32.
SAVED_IN_HALF = ("decoder.", "detail.")


class SpectralCodec:
    """A spectral network as a :class:`dia.codecs.protocol.Codec`.

    The network is changed in place: its weight normalization is folded. All but the beginning is decoded in
    bfloat16 on a CPU with instructions for it. Encoding and decoding compute no gradient and run on the
    network's device, whatever the device of their input. Both raise ``ValueError`` for input of a wrong
    shape.
    """

    def __init__(self, network: SpectralNetwork, name: str) -> None:
        config = network.config
        self.name = name
        self.fingerprint = fingerprint(network.encoder, network.quantizer)
        weights = fingerprint(network.quantizer, network.decoder, network.detail)
        described = f"{weights} {sorted(asdict(config).items())}"
        self.audio_fingerprint = hashlib.sha256(described.encode()).hexdigest()
        shape = _shape_of(config)
        self.sample_rate = shape.sample_rate
        self.hop = shape.hop
        self.channels = shape.channels
        self.codebook_size = shape.codebook_size
        self.context = 0  # the vocoder reads codes
        self.preview_context = math.ceil(PREVIEW * self.sample_rate / self.hop)
        # in log-mel frames: convolutions of width 7, and half a window
        reach = REACH * (config.encoder_layers + 1) + config.n_fft / 2 / config.hop
        self.encode_context = math.ceil(reach / config.stride) + 1
        self.network = fold_weight_norm(network.eval())
        self._rounded: Decoding | None = None
        if multiplies_bfloat16(network.window.device):
            self._rounded = in_bfloat16(network.decoder), in_bfloat16(network.detail)

    @torch.no_grad()
    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return the codes (B, T, C), int64, of waveforms (B, L) with L a multiple of ``hop``."""
        require_whole_frames(waveform_BL, self.hop)
        return self.network.encode(waveform_BL.to(self.network.window.device))

    @torch.no_grad()
    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return the waveforms (B, T * hop), float32, of codes (B, T, C)."""
        require_codes(codes_BTC, self.channels, self.codebook_size)
        codes_BTC = codes_BTC.to(self.network.window.device)
        return torch.stack([self.vocoder().add(codes_TC, ended=True) for codes_TC in codes_BTC])

    def decode_features(self, codes_BTC: Tensor) -> Tensor:
        """Return the codes (B, T, C) themselves: the vocoder reads them."""
        require_codes(codes_BTC, self.channels, self.codebook_size)
        return codes_BTC.to(self.network.window.device)

    def vocoder(self) -> SpectralVocoder:
        """Return a new vocoder, whose audio does not depend on how codes arrive."""
        return SpectralVocoder(self.network, self._rounded)


def save_spectral(network: SpectralNetwork, folder: Path) -> None:
    """Write a codec folder, each file atomically; the folder is created when it is missing.

    Raises:
        StorageError: When the folder cannot be written.
        ValueError: When the network belongs to a :class:`SpectralCodec`, which folded its weight norm.
    """
    if not hasattr(network.quantizer.quantizers[0].in_proj, "weight_g"):
        raise ValueError(
            "the network's weight norm is folded, so its weights cannot be loaded again; save the network "
            "before "
            "a SpectralCodec takes it"
        )
    make_folder(folder)
    tensors = {
        name: tensor.contiguous().half() if name.startswith(SAVED_IN_HALF) else tensor.contiguous()
        for name, tensor in network.state_dict().items()
    }
    with atomic_write(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)
    write_text(folder / CONFIG, json.dumps({"type": TYPE, **asdict(network.config)}, indent=2) + "\n")


def load_spectral(folder: Path, name: str, device: str = "cpu") -> SpectralCodec:
    """Open a codec folder. Raises :class:`UserError` as :func:`load_network` does."""
    return SpectralCodec(load_network(folder).to(device), name)


def load_network(folder: Path) -> SpectralNetwork:
    """Return the network of a codec folder, fp32, with its weight normalization not folded.

    Raises:
        UserError: When a file is missing, damaged, or of another shape than config.json.
    """
    config, tensors = read_config(folder), read_safetensors(folder / WEIGHTS)
    if config.fewest_weights > sum(tensor.numel() for tensor in tensors.values()):
        raise UserError(
            f"{folder / WEIGHTS} holds fewer weights than {CONFIG} beside it describes; copy both again"
        )
    network = SpectralNetwork(config)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS} does not fit {CONFIG} beside it: {one_line(error)}") from error
    require_finite(network, folder / WEIGHTS)
    return network


def read_config(folder: Path) -> SpectralCodecConfig:
    """Return the network's shape from the config.json of a codec folder.

    Raises:
        UserError: When the file is missing, damaged, or describes a codec of another type.
    """
    content = read_codec_config(folder)
    if (type_name := content.pop("type")) != TYPE:
        raise UserError(
            f"{folder / CONFIG} describes a codec of type {type_name!r}; give the folder of a {TYPE} codec"
        )
    try:
        config = typed(SpectralCodecConfig, content)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(f"{folder / CONFIG} describes no {TYPE} codec: {one_line(error)}") from error
    if problems := config.problems():
        raise UserError(f"{folder / CONFIG} describes no {TYPE} codec: {'; '.join(problems)}")
    return config


def _shape_of(config: SpectralCodecConfig) -> CodecShape:
    return CodecShape(
        config.codebooks, config.codebook_size, config.sample_rate, hop=config.hop * config.stride
    )


def _read_shape(folder: Path) -> CodecShape:
    return _shape_of(read_config(folder))


SPECTRAL = CodecType(load_spectral, _read_shape)
