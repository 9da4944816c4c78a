"""DAC through the package descript-audio-codec: published models by name, or any DAC model from a file.

The package's own loader unpickles arbitrary objects. This module reads the same file with
``weights_only=True`` and builds the model from its metadata. Weights are always fp32, with weight
normalization folded once at loading.

Legend: B batch, L samples, T codec frames, C codec channels.
"""

import inspect
import math
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dia.codecs.dac_encoder import encode_in_chunks
from dia.codecs.dac_package import build_dac, dac_package
from dia.codecs.protocol import (
    CodecShape,
    CodecType,
    fingerprint,
    fold_weight_norm,
    require_codes,
    require_finite,
    require_whole_frames,
)
from dia.codecs.vocoder import SamplesAsFeatures
from dia.errors import UserError, one_line
from dia.tensor_files import read_pickled, tensor_problems

if TYPE_CHECKING:
    import dac

WEIGHTS = "weights.pth"
MAX_SETTING = 1 << 18
MOST = {
    "encoder_rates": 8,
    "decoder_rates": 8,
    "n_codebooks": 64,
    "encoder_dim": 1024,
    "codebook_size": 1 << 16,
}
PUBLISHED = {
    "dac_44khz": CodecShape(channels=9, codebook_size=1024, sample_rate=44_100, hop=512),
    "dac_24khz": CodecShape(channels=32, codebook_size=1024, sample_rate=24_000, hop=320),
    "dac_16khz": CodecShape(channels=12, codebook_size=1024, sample_rate=16_000, hop=320),
}


class DacCodec(SamplesAsFeatures):
    """A DAC model as a :class:`dia.codecs.protocol.Codec`.

    The model is changed in place: it becomes fp32 and its weight normalization is folded. Encoding and
    decoding run on the model's device, whatever the device of their input. Both raise ``ValueError`` for
    input of a wrong shape.
    """

    def __init__(self, model: "dac.DAC", name: str) -> None:
        self.name = name
        self.fingerprint = fingerprint(model.encoder, model.quantizer)
        self.audio_fingerprint = fingerprint(model.quantizer, model.decoder)
        self.sample_rate = int(model.sample_rate)
        self.hop = int(model.hop_length)
        self.channels = int(model.n_codebooks)
        self.codebook_size = int(model.codebook_size)
        self.context = decoder_context([int(rate) for rate in model.decoder_rates])
        self.preview_context = self.context
        self.encode_context = encoder_context([int(rate) for rate in model.encoder_rates])
        self.model = fold_weight_norm(model.float().eval())

    @torch.no_grad()
    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return the codes (B, T, C), int64, of waveforms (B, L) with L a multiple of ``hop``."""
        require_whole_frames(waveform_BL, self.hop)
        waveform_BDL = waveform_BL.unsqueeze(1).to(self.model.device)
        # a GPU is fastest with the whole waveform at once, a CPU with chunks that fit its cache
        on_cpu = self.model.device.type == "cpu"
        encode = partial(encode_in_chunks, self.model.encoder) if on_cpu else self.model.encoder
        codes: Tensor = self.model.quantizer(encode(waveform_BDL))[1]
        return codes.transpose(1, 2)

    @torch.no_grad()
    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return the waveforms (B, T * hop), float32, of codes (B, T, C).

        DAC's convolutions lose a few samples where strides are odd; they are filled with silence.
        """
        require_codes(codes_BTC, self.channels, self.codebook_size)
        latents = self.model.quantizer.from_codes(codes_BTC.transpose(1, 2).to(self.model.device))[0]
        waveform_BL: Tensor = self.model.decode(latents).squeeze(1)
        length = codes_BTC.shape[1] * self.hop
        return nn.functional.pad(waveform_BL, (0, max(0, length - waveform_BL.shape[1])))[:, :length]


def encoder_context(rates: list[int]) -> int:
    """Return how many frames on either side affect a frame's codes in an encoder with these strides.

    The encoder has a convolution of width 7 over samples; then per block three of width 7 with dilations 1, 3
    and 9 (39 steps of the block's input) and one of width twice the stride; and a last one of width 3 over
    frames (``dac/model/dac.py`` of descript-audio-codec).
    """
    reach, step = 3, 1
    for rate in rates:
        reach += (39 + rate) * step
        step *= rate
    return math.ceil((reach + step) / step)


def decoder_context(rates: list[int]) -> int:
    """Return how many frames on either side affect a frame's audio in a decoder with these strides.

    The decoder has a convolution of width 7 over frames; then per block a transposed one (one step of its
    input) and three of width 7 with dilations 1, 3 and 9 (39 steps of the block's output); and a last one of
    width 7 over samples (``dac/model/dac.py`` of descript-audio-codec).
    """
    reach, steps_per_frame = 3.0, 1
    for rate in rates:
        reach += 1 / steps_per_frame
        steps_per_frame *= rate
        reach += 39 / steps_per_frame
    return math.ceil(reach + 3 / steps_per_frame)


def download_dac(name: str) -> Path:
    """Return the weights file of a model in ``PUBLISHED``; the package downloads it on first use.

    Raises:
        UserError: When the download fails.
    """
    try:
        return Path(dac_package().utils.download(model_type=name.removeprefix("dac_")))
    except (OSError, ValueError) as error:  # the package raises ValueError when a server refuses
        raise UserError(
            f"the DAC model {name} cannot be downloaded ({error}); check the network, or give a file"
        ) from error


def load_dac(path: Path, name: str, device: str = "cpu") -> DacCodec:
    """Open a DAC weights file as the package saves it, or a codec folder that holds it as ``weights.pth``.

    Raises:
        UserError: When the file is missing, damaged, or no DAC model.
    """
    path = path / WEIGHTS if path.is_dir() else path
    content = _read(path)
    parameters = inspect.signature(dac_package().DAC).parameters
    settings = {key: value for key, value in content["metadata"]["kwargs"].items() if key in parameters}
    if problems := [*_settings_problems(settings), *tensor_problems(content["state_dict"])]:
        raise UserError(f"{path} is not a DAC file: {problems[0]}; copy or download it again")
    try:
        with torch.device("meta"):  # the weights take no memory before they are known to fit
            model = build_dac(**settings)
        model.load_state_dict(content["state_dict"], assign=True)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"the weights in {path} do not fit the settings beside them: {one_line(error)}; copy the file "
            "again"
        ) from error
    require_finite(model, path)
    return DacCodec(model.to(device), name)


def _settings_problems(settings: dict[str, Any]) -> list[str]:
    """Return which settings are no sizes of a DAC model; the published ones are far below the limits."""
    sizes = {
        f"{name}[{place}]" if isinstance(value, list | tuple) else name: size
        for name, value in settings.items()
        for place, size in enumerate(value if isinstance(value, list | tuple) else [value])
    }
    problems = [
        f"{name}={size!r} is no number from 0 to {MAX_SETTING}"
        for name, size in sizes.items()
        if size is not None and not (isinstance(size, int | float) and 0 <= size <= MAX_SETTING)
    ]
    if problems:
        return problems
    counts = {name: settings.get(name) or 0 for name in MOST}
    lengths = {
        name: len(value) if isinstance(value, list | tuple) else value for name, value in counts.items()
    }
    return [f"{name} is above {MOST[name]}" for name, value in lengths.items() if value > MOST[name]]


def _read(path: Path) -> dict[str, Any]:
    """Return what ``save(path, package=False)`` wrote: ``state_dict``, and ``metadata`` with ``kwargs``."""
    if path.is_file() and _is_torch_package(path):
        raise UserError(
            f"{path} is a torch package, which holds code; save the model again with save(path, "
            "package=False)"
        )
    content = read_pickled(path, mmap=False)
    metadata = content.get("metadata") if isinstance(content, dict) else None
    complete = (
        isinstance(metadata, dict)
        and isinstance(metadata.get("kwargs"), dict)
        and isinstance(content.get("state_dict"), dict)
    )
    if not complete:
        raise UserError(
            f"{path} is not a DAC file: it lacks state_dict, or metadata with the model's settings; give the "
            "file of a DAC model"
        )
    return dict(content)


def _is_torch_package(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".data/extern_modules") for name in archive.namelist())


def _unknown_shape(path: Path) -> None:
    """Return None: the shape of a DAC file is stored beside its weights only."""


DAC = CodecType(load_dac, _unknown_shape, PUBLISHED, download_dac)
