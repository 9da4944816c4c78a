"""What a codec is trained to: the multi-scale mel and STFT losses, discriminators and adversarial losses of dac.

Weights follow the dac package's 44.1 kHz configuration (mel 15, feature matching 2, adversarial 1, codebook 1,
commitment .25); windows and mel bands are scaled to the sample rate in use.
"""

from dataclasses import dataclass

import torch
from audiotools import AudioSignal
from dac.model.discriminator import Discriminator
from dac.nn.loss import GANLoss, MelSpectrogramLoss, MultiScaleSTFTLoss
from torch import Tensor, nn

from dia.audio.source_filter import MIDDLE_PITCH


@dataclass
class LossWeights:
    """Weights of the codec's losses (unitless)."""

    mel: float = 15.0
    stft: float = 1.0
    pitch: float = 10.0
    adversarial: float = 1.0
    feature: float = 2.0
    commitment: float = 0.25
    codebook: float = 1.0


class ReconstructionLoss(nn.Module):
    """Multi-scale log-mel distance and multi-scale STFT distance between two waves (B, L)."""

    def __init__(self, sample_rate: int, weights: LossWeights) -> None:
        super().__init__()
        self.sample_rate, self.weights = sample_rate, weights
        self.mel = MelSpectrogramLoss(
            n_mels=[10, 20, 40, 80, 120], window_lengths=[128, 256, 512, 1024, 2048],
            mel_fmin=[0.0] * 5, mel_fmax=[None] * 5, pow=1.0, mag_weight=0.0, clamp_eps=1e-5,
        )  # fmt: skip
        self.stft = MultiScaleSTFTLoss(window_lengths=[1024, 256], clamp_eps=1e-4)

    def forward(self, made_BL: Tensor, real_BL: Tensor) -> Tensor:
        """Return the weighted sum, a scalar."""
        made, real = as_signal(made_BL, self.sample_rate), as_signal(real_BL, self.sample_rate)
        total: Tensor = self.weights.mel * self.mel(made, real) + self.weights.stft * self.stft(made, real)
        return total


def as_signal(wave_BL: Tensor, sample_rate: int) -> AudioSignal:
    """Return the waves (B, L) as the mono signals that dac's losses take."""
    return AudioSignal(wave_BL.unsqueeze(1), sample_rate)


def adversarial_losses(sample_rate: int, periods: list[int], fft_sizes: list[int]) -> GANLoss:
    """Return dac's discriminators and their least-squares losses. ``periods`` and ``fft_sizes`` are in samples."""
    return GANLoss(Discriminator(rates=[], periods=periods, fft_sizes=fft_sizes, sample_rate=sample_rate))


def pitch_loss(log_pitch_BF: Tensor, pitch_BF: Tensor, voiced_BF: Tensor) -> Tensor:
    """Mean absolute error of the log pitch where the voice is voiced; 0 where nothing is. Pitches in hertz."""
    error_BF = (log_pitch_BF - (pitch_BF / MIDDLE_PITCH).log()).abs() * voiced_BF
    return error_BF.sum() / voiced_BF.sum().clamp_min(1)


def random_crop(waves: tuple[Tensor, Tensor], samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut the same random stretch of ``samples`` out of both waves (B, L), one place for the whole batch."""
    start = int(torch.randint(waves[0].shape[1] - samples + 1, (1,), generator=generator))
    return waves[0][:, start : start + samples], waves[1][:, start : start + samples]
