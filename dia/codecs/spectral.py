"""The spectral codec as a member of the codec protocol, in a folder with config.json and model.safetensors.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dia.codecs.protocol import fingerprint, fold_weight_norm, require_codes, require_whole_frames
from dia.codecs.spectral_network import SpectralCodecConfig, SpectralNetwork
from dia.errors import UserError, one_line
from dia.files import atomic_write, write_text

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Seconds on either side that a frame's sound depends on. Phases are found by iteration, which carries far: a
# window with .6 s more on either side is 50 dB close to the whole, with 1.6 s 114 dB (codec_nano, largest
# difference 1e-6).
CONTEXT = 1.6
HALVED = (
    "decoder.",
    "detail.",
)  # saved in half precision, computed in full: what makes codes keeps every bit


class SpectralCodec:
    """See :class:`dia.codecs.protocol.Codec`. Takes the network over: its weight norm is folded, in place.

    Encoding and decoding take no gradient, and run on the network's device wherever their input lies. Both
    raise ``ValueError`` for input of a wrong shape.
    """

    def __init__(self, network: SpectralNetwork, name: str) -> None:
        config = network.config
        self.name, self.fingerprint = name, fingerprint(network.encoder, network.quantizer)
        sound = fingerprint(network.quantizer, network.decoder, network.detail)
        self.sound_fingerprint = hashlib.sha256(
            f"{sound} {sorted(asdict(config).items())}".encode()
        ).hexdigest()
        self.sample_rate, self.hop = config.sample_rate, config.hop * config.stride
        self.channels, self.codebook_size = config.codebooks, config.codebook_size
        self.context = math.ceil(CONTEXT * self.sample_rate / self.hop)
        reach = (
            3 * (config.encoder_layers + 1) + config.n_fft / 2 / config.hop
        )  # log-mel frames: kernels of 7, half a window
        self.encode_context = math.ceil(reach / config.stride) + 1
        self.network = fold_weight_norm(network.eval())

    @torch.no_grad()
    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return codes (B, T, C), int64, of waveforms (B, L) with L a multiple of ``hop``."""
        require_whole_frames(waveform_BL, self.hop)
        return self.network.encode(waveform_BL.to(self.network.window.device))

    @torch.no_grad()
    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return waveforms (B, T * hop), float32."""
        require_codes(codes_BTC, self.channels, self.codebook_size)
        # one by one: phases are found by iteration, which would turn the rounding of a batch's matrix
        # products into sound
        return torch.cat(
            [
                self.network.decode(codes_1TC)
                for codes_1TC in codes_BTC.to(self.network.window.device).split(1)
            ]
        )


def save_spectral(network: SpectralNetwork, folder: Path) -> None:
    """Write a codec's config and weights, each whole or not at all.

    Raises ``OSError`` as the file system does, and ``ValueError`` for a network that a :class:`SpectralCodec`
    has taken over.
    """
    if not hasattr(network.quantizer.quantizers[0].in_proj, "weight_g"):
        raise ValueError(
            "the network's weight norm is folded, so it cannot be read back; save it before a codec takes it over"
        )
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.contiguous().half() if name.startswith(HALVED) else tensor.contiguous()
        for name, tensor in network.state_dict().items()
    }
    with atomic_write(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)
    write_text(folder / CONFIG, json.dumps({"kind": "spectral", **asdict(network.config)}, indent=2) + "\n")


def load_spectral(folder: Path, name: str, device: str = "cpu") -> SpectralCodec:
    """Open a codec folder. Raises :class:`UserError` as :func:`load_network` does."""
    return SpectralCodec(load_network(folder).to(device), name)


def load_network(folder: Path) -> SpectralNetwork:
    """Return the network of a codec folder, fp32.

    Raises :class:`UserError` when a file is missing, damaged, or of another shape.
    """
    network = SpectralNetwork(read_config(folder))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder / WEIGHTS} is missing or damaged ({error}); copy it again or train it anew"
        ) from error
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS} does not fit {CONFIG} beside it: {one_line(error)}") from error
    return network


def read_config(folder: Path) -> SpectralCodecConfig:
    """Return the shape of a codec folder. Raises :class:`UserError` when its config is missing, damaged, or
    another one's.
    """
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / CONFIG} is missing or damaged ({error}); name the folder of a spectral codec"
        ) from error
    if not isinstance(content, dict) or content.pop("kind", None) != "spectral":
        raise UserError(
            f'{folder / CONFIG} does not say "kind": "spectral"; name the folder of a spectral codec'
        )
    try:
        config = OmegaConf.merge(OmegaConf.structured(SpectralCodecConfig), content)
    except OmegaConfBaseException as error:
        raise UserError(f"{folder / CONFIG} describes no spectral codec: {one_line(error)}") from error
    return cast(SpectralCodecConfig, OmegaConf.to_object(config))
