"""DAC through the descript-audio-codec package: its models by name, or any DAC from a local file.

The package's own `load` unpickles; here the same file is read with `weights_only=True` and the model built
from its metadata. Weights are fp32 always, and their weight norm is folded once.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import inspect
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import dac
import torch
from torch import Tensor, nn

from dia.codecs.dac_encoder import encode_in_stretches
from dia.codecs.protocol import fingerprint, fold_weight_norm, require_codes, require_whole_frames
from dia.errors import UserError, one_line


class DacCodec:
    """See :class:`dia.codecs.protocol.Codec`. Takes the model over: fp32, weight norm folded, in place.

    Encoding and decoding run on the model's device wherever their input lies. Both raise ``ValueError`` for
    input of a wrong shape.
    """

    def __init__(self, model: dac.DAC, name: str) -> None:
        self.name, self.fingerprint = name, fingerprint(model.encoder, model.quantizer)
        self.sound_fingerprint = fingerprint(model.quantizer, model.decoder)
        self.sample_rate, self.hop = int(model.sample_rate), int(model.hop_length)
        self.channels, self.codebook_size = int(model.n_codebooks), int(model.codebook_size)
        self.context = decoder_context([int(rate) for rate in model.decoder_rates])
        self.encode_context = encoder_context([int(rate) for rate in model.encoder_rates])
        self.model = fold_weight_norm(model.float().eval())

    @torch.no_grad()
    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return codes (B, T, C), int64, of waveforms (B, L) with L a multiple of ``hop``."""
        require_whole_frames(waveform_BL, self.hop)
        waveform_BDL = waveform_BL.unsqueeze(1).to(self.model.device)
        on_cpu = self.model.device.type == "cpu"  # a GPU is quickest with all of it at once
        latents = (
            encode_in_stretches(self.model.encoder, waveform_BDL)
            if on_cpu
            else self.model.encoder(waveform_BDL)
        )
        codes: Tensor = self.model.quantizer(latents)[1]
        return codes.transpose(1, 2)

    @torch.no_grad()
    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return waveforms (B, T * hop), float32, cut or filled with silence to that length.

        DAC's convolutions lose a few samples where strides are odd.
        """
        require_codes(codes_BTC, self.channels, self.codebook_size)
        latents = self.model.quantizer.from_codes(codes_BTC.transpose(1, 2).to(self.model.device))[0]
        waveform_BL: Tensor = self.model.decode(latents).squeeze(1)
        length = codes_BTC.shape[1] * self.hop
        return nn.functional.pad(waveform_BL, (0, max(0, length - waveform_BL.shape[1])))[:, :length]


def encoder_context(rates: list[int]) -> int:
    """Return how many frames on either side reach a frame's code through DAC's encoder of these downsampling
    rates.

    A convolution of width 7 over samples, then per block three of width 7 with dilations 1, 3 and 9 (39 steps
    of its input) and one of width twice the rate, and a last one of width 3 over frames (dac/model/dac.py of
    the package).
    """
    reach, step = 3, 1
    for rate in rates:
        reach += (39 + rate) * step
        step *= rate
    return math.ceil((reach + step) / step)


def decoder_context(rates: list[int]) -> int:
    """Return how many frames on either side reach a frame's sound through DAC's decoder of these upsampling
    rates.

    A convolution of width 7 over the frames, then per block a transposed one (one step of its input) and
    three of width 7 with dilations 1, 3 and 9 (39 steps of its output), and a last one of width 7 over
    samples (dac/model/dac.py of the package).
    """
    reach, steps_in_a_frame = 3.0, 1
    for rate in rates:
        reach += 1 / steps_in_a_frame
        steps_in_a_frame *= rate
        reach += 39 / steps_in_a_frame
    return math.ceil(reach + 3 / steps_in_a_frame)


def download_dac(model_type: str) -> Path:
    """Return the file of a DAC model (`44khz`, `24khz`, `16khz`), downloaded by the package unless it is
    cached.

    Raises :class:`UserError` when it cannot be had.
    """
    try:
        return Path(dac.utils.download(model_type=model_type))
    except (OSError, ValueError) as error:  # the package raises ValueError when a server refuses
        raise UserError(
            f"the DAC model {model_type} cannot be downloaded ({error}); check the network, or give a file"
        ) from error


def load_dac(path: Path, name: str, device: str = "cpu") -> DacCodec:
    """Open a DAC file as the package writes it. Raises :class:`UserError` when it is damaged or something
    else.
    """
    content = _read(path, device)
    known = inspect.signature(dac.DAC).parameters
    settings = {key: value for key, value in content["metadata"]["kwargs"].items() if key in known}
    try:
        model = dac.DAC(**settings)
        model.load_state_dict(content["state_dict"])
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"weights and settings in {path} make no DAC: {one_line(error)}; copy it again"
        ) from error
    return DacCodec(model.to(device), name)


def _read(path: Path, device: str) -> dict[str, Any]:
    """Return what the package's `save(path, package=False)` wrote: ``state_dict`` and ``metadata`` with
    ``kwargs``.
    """
    if _is_torch_package(path):
        raise UserError(
            f"{path} is a torch package, which holds code; save the model again with save(path, package=False)"
        )
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} is damaged or not a DAC file ({type(error).__name__}); copy or download it again"
        ) from error
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("state_dict"), dict)
        or not isinstance(content.get("metadata"), dict)
        or not isinstance(content["metadata"].get("kwargs"), dict)
    ):
        raise UserError(
            f"{path} is not a DAC file: it lacks state_dict, or metadata with the model's settings"
        )
    return content


def _is_torch_package(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".data/extern_modules") for name in archive.namelist())
