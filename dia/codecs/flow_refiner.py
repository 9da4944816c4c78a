"""A conditional flow that gives averaged spectra their detail back.

A regression predicts what is right on average: harmonics blur where the pitch is a little uncertain, breath
turns into a smooth hum. Flow matching (arXiv 2210.02747) learns the distribution of what is missing, the
residual of the log magnitudes, as a velocity field from a standard normal distribution to it. Decoding
follows the field from noise that is drawn from the codes, so that the sound is a function of the codes alone.
From the middle of that distribution, zero, breath and rasp come out as what they are on average, which is a
hum: coughs and cleared throats were not heard as such.

Legend: B batch, T codec frames, S frames of a codec frame, C codebooks, V codes of a codebook, F frames, K
frequency bins, W feature width.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESIDUAL_SCALE = 0.5  # about the standard deviation of the residual, in natural log
MEAN_SHIFT, MEAN_SCALE = 1.0, 2.5  # bring log magnitudes to about zero mean, unit deviation
TIME_FREQUENCIES = 32


class DetailFlow(nn.Module):
    """Velocity of the residual given time, decoder features and mean log magnitudes."""

    frequencies: Tensor

    def __init__(self, bins: int, feature_width: int, width: int, layers: int) -> None:
        super().__init__()
        self.read = nn.Linear(2 * bins + feature_width, width)
        self.time = nn.Sequential(
            nn.Linear(2 * TIME_FREQUENCIES, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.blocks = nn.ModuleList(TimedConvNeXtBlock(width, layers) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, bins)
        nn.init.zeros_(self.write.weight)
        self.register_buffer("frequencies", torch.logspace(0, 3, TIME_FREQUENCIES), persistent=False)

    def forward(self, residual_BFK: Tensor, time_B: Tensor, features_BFW: Tensor, mean_BFK: Tensor) -> Tensor:
        """Return the velocity (B, F, K) of a scaled residual at a time in 0..1."""
        angles = time_B[:, None] * self.frequencies
        time_BW = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        x_BFW = self.read(torch.cat([residual_BFK, (mean_BFK + MEAN_SHIFT) / MEAN_SCALE, features_BFW], -1))
        for block in self.blocks:
            x_BFW = block(x_BFW, time_BW)
        velocity_BFK: Tensor = self.write(self.norm(x_BFW))
        return velocity_BFK

    def loss(self, true_BFK: Tensor, features_BFW: Tensor, mean_BFK: Tensor, weights_K: Tensor) -> Tensor:
        """Flow-matching loss, a scalar, of true log magnitudes (B, F, K); times are drawn logit-normal."""
        residual_BFK = (true_BFK - mean_BFK) / RESIDUAL_SCALE
        noise_BFK = torch.randn_like(residual_BFK)
        time_B = torch.randn(len(residual_BFK), device=residual_BFK.device).sigmoid()
        between_BFK = noise_BFK.lerp(residual_BFK, time_B[:, None, None])
        velocity_BFK = self(between_BFK, time_B, features_BFW, mean_BFK)
        loss: Tensor = ((velocity_BFK.float() - (residual_BFK - noise_BFK)).square() * weights_K).mean()
        return loss

    def sharpen(self, features_BFW: Tensor, mean_BFK: Tensor, start_BFK: Tensor, steps: int) -> Tensor:
        """Return log magnitudes (B, F, K) with detail, by Euler's method in ``steps`` steps from a scaled
        residual.
        """
        residual_BFK = start_BFK
        for step in range(steps):
            time_B = mean_BFK.new_full((len(mean_BFK),), step / steps)
            residual_BFK = residual_BFK + self(residual_BFK, time_B, features_BFW, mean_BFK) / steps
        return mean_BFK + RESIDUAL_SCALE * residual_BFK


class CodeNoise(nn.Module):
    """Standard normal noise that codes tell: equal codes give equal noise wherever they stand, in a window as
    in the whole, and other codes give another.

    One table for all codebooks, each of which reads it a stretch further on.
    """

    table_VSK: Tensor

    def __init__(self, codebooks: int, codes: int, frames: int, bins: int) -> None:
        super().__init__()
        drawn = np.random.RandomState(0).standard_normal(
            (codes, frames, bins)
        )  # a stream that NumPy promises not to change
        self.register_buffer("table_VSK", torch.from_numpy(drawn).float(), persistent=False)
        self.shifts = [codebook * bins // codebooks for codebook in range(codebooks)]

    def forward(self, codes_BTC: Tensor) -> Tensor:
        """Return noise (B, F, K) for codes (B, T, C), F the frames of T."""
        noise_BTSK = torch.zeros((), device=codes_BTC.device)
        for codes_BT, shift in zip(
            codes_BTC.unbind(-1), self.shifts, strict=True
        ):  # in this order, which `sum` does not promise
            noise_BTSK = noise_BTSK + self.table_VSK[codes_BT].roll(shift, -1)
        noise_BFK: Tensor = noise_BTSK.flatten(1, 2) / len(self.shifts) ** 0.5
        return noise_BFK


class TimedConvNeXtBlock(nn.Module):
    """A ConvNeXt block whose norm and residual are modulated by the time (as in DiT, arXiv 2212.09748)."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 3 * width)
        self.widen = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)
        self.scale = 1 / layers
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x_BFW: Tensor, time_BW: Tensor) -> Tensor:
        """Return features of the same shape."""
        scale, shift, gate = self.modulation(time_BW)[:, None].chunk(3, -1)
        y_BFW = self.norm(self.depthwise(x_BFW.transpose(1, 2)).transpose(1, 2)) * (1 + scale) + shift
        y_BFW = self.narrow(F.gelu(self.widen(y_BFW)))
        out_BFW: Tensor = x_BFW + y_BFW * (self.scale + gate)
        return out_BFW


def frequency_weights(bins: int, sample_rate: int, corner: float = 2000.0) -> Tensor:
    """Weights (K,) of mean 1 that fall with frequency above ``corner`` hertz, as the ear's resolution
    does.
    """
    hertz = torch.linspace(0, sample_rate / 2, bins)
    weights = 1 / (1 + hertz / corner)
    return weights / weights.mean()
