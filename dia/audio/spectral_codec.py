"""The spectral codec as a member of the codec protocol, in a folder with config.json and model.safetensors.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dia.audio.codec import fingerprint
from dia.audio.dac_codec import fold_weight_norm
from dia.audio.spectral import SpectralCodecConfig, SpectralNetwork
from dia.errors import UserError

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class SpectralCodec:
    """See :class:`dia.audio.codec.Codec`. Weight norm is folded once; encoding and decoding take no gradient."""

    def __init__(self, network: SpectralNetwork, name: str) -> None:
        config = network.config
        self.name, self.fingerprint = name, fingerprint(network.encoder, network.quantizer)
        self.sample_rate, self.hop = config.sample_rate, config.hop * config.stride
        self.channels, self.codebook_size = config.codebooks, config.codebook_size
        self.network = fold_weight_norm(network.eval())

    @torch.no_grad()
    def encode(self, wave_BL: Tensor) -> Tensor:
        """Return codes (B, T, C), int64, of waves (B, L) with L a multiple of ``hop``."""
        return self.network.encode(wave_BL)

    @torch.no_grad()
    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return waves (B, T * hop), float32."""
        return self.network.decode(codes_BTC)


def save_spectral(network: SpectralNetwork, folder: Path) -> None:
    """Write a codec's config and weights, each whole or not at all. Raises ``OSError`` as the file system does."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f".{os.getpid()}-made"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, made, metadata={"format": "pt"})
    made.chmod(0o644)
    os.replace(made, folder / WEIGHTS)
    made.write_text(json.dumps({"kind": "spectral", **asdict(network.config)}, indent=2) + "\n", encoding="utf-8")
    os.replace(made, folder / CONFIG)


def load_spectral(folder: Path, name: str, device: str = "cpu") -> SpectralCodec:
    """Open a codec folder. Raises :class:`UserError` when a file is missing, damaged, or of another shape."""
    network = SpectralNetwork(_read_config(folder))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder / WEIGHTS} is missing or damaged ({error}); copy it again or train it anew") from error
    except RuntimeError as error:
        raise UserError(f"{folder / WEIGHTS} does not fit {CONFIG} beside it: {error}") from error
    return SpectralCodec(network.to(device), name)


def _read_config(folder: Path) -> SpectralCodecConfig:
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / CONFIG} is missing or damaged ({error}); name the folder of a spectral codec") from error
    if not isinstance(content, dict) or content.pop("kind", None) != "spectral":
        raise UserError(f'{folder / CONFIG} does not say "kind": "spectral"; name the folder of a spectral codec')
    try:
        return SpectralCodecConfig(**content)
    except TypeError as error:
        raise UserError(f"{folder / CONFIG} has a key that a spectral codec has not ({error})") from error
