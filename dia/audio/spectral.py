"""A small neural codec for CPU runs: log-mel in, inverse STFT out, both at frame rate.

wave -> log-mel (100 frames/s) -> ConvNeXt encoder -> stride 4 -> residual vector quantizer (dac) -> codes (25 frames/s)
codes -> x4 -> ConvNeXt decoder -> pitch and filters per frame -> inverse STFT -> wave (dia/audio/source_filter.py)

The decoder never upsamples to sample rate; the inverse STFT does it for nothing (the idea of Vocos, arXiv 2306.00814).
Cost: about 0.5 GMAC a second of sound each way, some hundred times faster than real time on two cores.

Legend: B batch, L samples, M mel band or feature width, F frames at `hop`, T codec frames, C codebooks.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchaudio
from dac.nn.quantize import ResidualVectorQuantize
from torch import Tensor, nn

from dia.audio.source_filter import SourceFilterHead


@dataclass
class SpectralCodecConfig:
    """Shape of the codec. ``hop`` and ``n_fft`` are in samples; a code stands for ``hop * stride`` samples."""

    sample_rate: int = 16_000
    hop: int = 160
    n_fft: int = 640
    mels: int = 100
    stride: int = 4
    encoder_layers: int = 4
    encoder_width: int = 192
    latent_width: int = 128
    codebooks: int = 8
    codebook_size: int = 512
    codebook_width: int = 8
    quantizer_dropout: float = 0.25
    decoder_layers: int = 8
    decoder_width: int = 256


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, norm, and a three-fold widened pointwise pair with a scaled residual (arXiv 2201.03545)."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1.0 / layers))

    def forward(self, x_BMF: Tensor) -> Tensor:
        """Return features of the same shape (B, M, F)."""
        y_BFM = self.norm(self.depthwise(x_BMF).transpose(1, 2))
        y_BFM = self.narrow(F.gelu(self.widen(y_BFM)))
        return x_BMF + (self.scale * y_BFM).transpose(1, 2)


class SpectralEncoder(nn.Module):
    """Log-mel frames to latents at codec rate."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.mel = torchaudio.transforms.MelSpectrogram(
            config.sample_rate, config.n_fft, hop_length=config.hop, n_mels=config.mels, power=1.0
        )
        self.read = nn.Conv1d(config.mels, width, kernel_size=7, padding=3)
        self.blocks = nn.Sequential(*[ConvNeXtBlock(width, config.encoder_layers) for _ in range(config.encoder_layers)])
        self.narrow = nn.Conv1d(width, config.latent_width, kernel_size=config.stride, stride=config.stride)

    def forward(self, wave_BL: Tensor) -> Tensor:
        """Return latents (B, M, T) of a wave whose length is a whole number of codec frames."""
        mel_BMF = self.mel(wave_BL)[..., :-1].clamp_min(1e-5).log()
        return self.narrow(self.blocks(self.read(mel_BMF)))


class SpectralDecoder(nn.Module):
    """Quantized latents to a wave."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.widen = nn.ConvTranspose1d(config.latent_width, width, kernel_size=config.stride, stride=config.stride)
        self.read = nn.Conv1d(width, width, kernel_size=7, padding=3)
        self.blocks = nn.Sequential(*[ConvNeXtBlock(width, config.decoder_layers) for _ in range(config.decoder_layers)])
        self.norm = nn.LayerNorm(width)
        self.head = SourceFilterHead(width, config.n_fft, config.hop, config.sample_rate)

    def forward(self, latents_BMT: Tensor, pitch_BF: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the wave (B, L) of quantized latents (B, M, T), L being ``T * stride * hop``, and the log pitch (B, F).

        See :class:`SourceFilterHead` for the pitch.
        """
        x_BMF = self.blocks(self.read(self.widen(latents_BMT)))
        wave_BL, log_pitch_BF = self.head(self.norm(x_BMF.transpose(1, 2)), pitch_BF)
        return wave_BL, log_pitch_BF


class SpectralNetwork(nn.Module):
    """Encoder, quantizer and decoder of the spectral codec."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SpectralEncoder(config)
        self.quantizer = ResidualVectorQuantize(
            config.latent_width, config.codebooks, config.codebook_size, config.codebook_width, config.quantizer_dropout
        )
        self.decoder = SpectralDecoder(config)

    def encode(self, wave_BL: Tensor) -> Tensor:
        """Return codes (B, T, C), int64, of a wave whose length is a whole number of codec frames."""
        return self.quantizer(self.encoder(wave_BL))[1].transpose(1, 2)

    def decode(self, codes_BTC: Tensor) -> Tensor:
        """Return the wave (B, L) of codes (B, T, C)."""
        return self.decoder(self.quantizer.from_codes(codes_BTC.transpose(1, 2))[0])[0]
