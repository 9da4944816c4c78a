"""A small neural codec that trains on a CPU: log-mel spectrogram in, inverse STFT out, both at frame rate.

Encoder: waveform -> log-mel (100 frames/s) -> ConvNeXt blocks -> stride 4 -> residual vector quantizer (of
the package descript-audio-codec) -> codes (25 frames/s).
Decoder: codes -> upsampling by 4 -> ConvNeXt blocks -> mean log magnitudes -> flow matching adds detail
(:mod:`dia.codecs.flow_refiner`) -> phases by Griffin-Lim (:mod:`dia.codecs.phases`) -> waveform.

As in Vocos (arXiv 2306.00814) the decoder never upsamples to the sample rate. Vocos predicts phases as well;
here Griffin-Lim estimates them, so that training is a regression of magnitudes: a step takes .2 s on two
cores where a step with DAC's discriminators takes 1.4 s. The flow restores the detail that a regression
averages.

Legend: B batch, L samples, M mel band or feature width, F frames at `hop`, T codec frames, C codebooks, W
feature width, K frequency bins (n_fft / 2 + 1).
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from dia.codecs.dac_package import build_quantizer
from dia.codecs.flow_refiner import REACH, CodeNoise, DetailFlow, valid_convolution
from dia.codecs.phases import BlockGriffinLim
from dia.config.codec import SpectralCodecConfig

SOFTEST = -4.6  # natural log of the magnitude floor; loud speech has magnitudes of about 20


class ConvNeXtBlock(nn.Module):
    """A ConvNeXt block (arXiv 2201.03545) with an expansion of 3 and a scaled residual."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1.0 / layers))

    def forward(self, x_BMF: Tensor) -> Tensor:
        """Return features of the same shape."""
        return self.valid(F.pad(x_BMF, (REACH, REACH)))

    def valid(self, x_BMF: Tensor) -> Tensor:
        """Return the features (B, M, F - 6) of the frames that have three others on either side."""
        x_BFM = self.norm(valid_convolution(self.depthwise, x_BMF).transpose(1, 2))
        x_BFM = self.narrow(F.gelu(self.widen(x_BFM))) * self.scale
        out_BMF: Tensor = x_BMF[..., REACH:-REACH] + x_BFM.transpose(1, 2)
        return out_BMF


class SpectralEncoder(nn.Module):
    """Waveform to latents at the codec's frame rate, through a log-mel spectrogram."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.mel = torchaudio.transforms.MelSpectrogram(
            config.sample_rate, config.n_fft, hop_length=config.hop, n_mels=config.mels, power=1.0
        )
        self.read = nn.Conv1d(config.mels, width, kernel_size=7, padding=3)
        self.blocks = nn.Sequential(
            *[ConvNeXtBlock(width, config.encoder_layers) for _ in range(config.encoder_layers)]
        )
        self.narrow = nn.Conv1d(width, config.latent_width, kernel_size=config.stride, stride=config.stride)

    def forward(self, waveform_BL: Tensor) -> Tensor:
        """Return latents (B, M, T) of waveforms (B, L) of a whole number of codec frames."""
        mel_BMF = self.mel(waveform_BL)[..., :-1].clamp_min(1e-5).log()
        latents_BMT: Tensor = self.narrow(self.blocks(self.read(mel_BMF)))
        return latents_BMT


class SpectralDecoder(nn.Module):
    """Quantized latents to mean log magnitudes."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.widen = nn.ConvTranspose1d(
            config.latent_width, width, kernel_size=config.stride, stride=config.stride
        )
        self.read = nn.Conv1d(width, width, kernel_size=7, padding=3)
        self.blocks = nn.Sequential(
            *[ConvNeXtBlock(width, config.decoder_layers) for _ in range(config.decoder_layers)]
        )
        self.norm = nn.LayerNorm(width)
        self.magnitudes = nn.Linear(width, config.n_fft // 2 + 1)

    def forward(self, latents_BMT: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, F, W) and natural log magnitudes (B, F, K) of quantized latents (B, M, T)."""
        return self.described(self.blocks(self.read(self.widen(latents_BMT))))

    def convolutions(self) -> list[Callable[[Tensor], Tensor]]:
        """Return what :meth:`forward` applies after ``widen``, each without padding: F frames give F - 6."""
        blocks = [block.valid for block in self.blocks if isinstance(block, ConvNeXtBlock)]
        return [partial(valid_convolution, self.read), *blocks]

    def described(self, x_BMF: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`forward` does, from the features of the last block."""
        x_BFW = self.norm(x_BMF.transpose(1, 2))
        return x_BFW, self.magnitudes(x_BFW).float().clamp_min(SOFTEST)


class SpectralNetwork(nn.Module):
    """Encoder, quantizer, decoder and detail flow of the spectral codec."""

    window: Tensor

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpectralEncoder(config)
        self.quantizer = build_quantizer(
            config.latent_width,
            config.codebooks,
            config.codebook_size,
            config.codebook_width,
            config.quantizer_dropout,
        )
        self.decoder = SpectralDecoder(config)
        self.detail = DetailFlow(
            config.n_fft // 2 + 1, config.decoder_width, config.detail_width, config.detail_layers
        )
        self.noise = CodeNoise(config.codebooks, config.codebook_size, config.stride, config.n_fft // 2 + 1)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def encode(self, waveform_BL: Tensor) -> Tensor:
        """Return codes (B, T, C), int64, of waveforms (B, L) of a whole number of codec frames."""
        codes_BTC: Tensor = self.quantizer(self.encoder(waveform_BL))[1].transpose(1, 2)
        return codes_BTC

    def log_magnitudes(self, waveform_BL: Tensor) -> Tensor:
        """Return the natural log magnitudes (B, F, K) of waveforms, the target of the decoder."""
        spectrum_BKF = torch.stft(
            waveform_BL, self.config.n_fft, self.config.hop, window=self.window, return_complex=True
        )
        return spectrum_BKF.abs()[..., :-1].transpose(1, 2).clamp_min(math.exp(SOFTEST)).log()

    def griffin_lim(self) -> BlockGriffinLim:
        """Return what turns the magnitudes of consecutive frames into a waveform."""
        config = self.config
        return BlockGriffinLim(
            self.window, config.hop, config.phase_iterations, config.phase_block, config.phase_lookahead
        )


def without_floor(log_magnitudes: Tensor) -> Tensor:
    """Return magnitudes from their natural logarithm, less the floor.

    The floor would be audible as a hiss in pauses.
    """
    return (log_magnitudes.exp() - math.exp(SOFTEST)).clamp_min(0)
