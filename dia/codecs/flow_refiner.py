"""Conditional flow matching that adds detail to the spectra that the spectral codec's decoder predicts.

A regression predicts averages: harmonics blur where the pitch is slightly uncertain, and breath becomes a
smooth hum. Flow matching (arXiv 2210.02747) learns the distribution of the missing residual of the log
magnitudes, as a velocity field from a standard normal distribution. Decoding integrates the field from noise
that is a function of the codes, so that the audio is a function of the codes alone. Starting from zero
instead of noise gives the average again: coughs and cleared throats were not recognizable.

Legend: B batch, T codec frames, S frames of a codec frame, C codebooks, V codes of a codebook, F frames, K
frequency bins, W feature width.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESIDUAL_SCALE = 0.5  # approximately the standard deviation of the residual, in natural log
MEAN_SHIFT = 1.0  # shift and scale normalize log magnitudes to about zero mean and unit deviation
MEAN_SCALE = 2.5
TIME_FREQUENCIES = 32
REACH = 3  # frames on either side of a convolution of width 7


class DetailFlow(nn.Module):
    """The velocity field of the residual, given time, decoder features and mean log magnitudes."""

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
        """Return the velocity (B, F, K) of a scaled residual (B, F, K) at times (B,) in 0..1."""
        time_BW = self.time_features(time_B)
        x_BFW = self.inputs(residual_BFK, features_BFW, mean_BFK)
        for block in self.blocks:
            x_BFW = block(x_BFW, time_BW)
        return self.velocity(x_BFW)

    def time_features(self, time_B: Tensor) -> Tensor:
        """Return the features (B, W) of times."""
        angles = time_B[:, None] * self.frequencies
        features_BW: Tensor = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        return features_BW

    def inputs(self, residual_BFK: Tensor, features_BFW: Tensor, mean_BFK: Tensor) -> Tensor:
        """Return the input (B, F, W) of the first block."""
        normal_BFK = (mean_BFK + MEAN_SHIFT) / MEAN_SCALE
        x_BFW: Tensor = self.read(torch.cat([residual_BFK, normal_BFK, features_BFW], -1))
        return x_BFW

    def convolutions(self) -> list[Callable[[Tensor, Tensor], Tensor]]:
        """Return the blocks without padding: F frames give F - 6."""
        return [block.valid for block in self.blocks if isinstance(block, TimedConvNeXtBlock)]

    def velocity(self, x_BFW: Tensor) -> Tensor:
        """Return the velocity (B, F, K) from the output of the last block."""
        velocity_BFK: Tensor = self.write(self.norm(x_BFW))
        return velocity_BFK

    def loss(self, true_BFK: Tensor, features_BFW: Tensor, mean_BFK: Tensor, weights_K: Tensor) -> Tensor:
        """Return the flow-matching loss of true log magnitudes (B, F, K); times are logit-normal."""
        residual_BFK = (true_BFK - mean_BFK) / RESIDUAL_SCALE
        noise_BFK = torch.randn_like(residual_BFK)
        time_B = torch.randn(len(residual_BFK), device=residual_BFK.device).sigmoid()
        between_BFK = noise_BFK.lerp(residual_BFK, time_B[:, None, None])
        velocity_BFK = self(between_BFK, time_B, features_BFW, mean_BFK)
        loss: Tensor = ((velocity_BFK.float() - (residual_BFK - noise_BFK)).square() * weights_K).mean()
        return loss

    def sharpen(self, features_BFW: Tensor, mean_BFK: Tensor, start_BFK: Tensor, steps: int) -> Tensor:
        """Return log magnitudes (B, F, K) with detail, by Euler's method from the residual ``start_BFK``."""
        residual_BFK = start_BFK
        for step in range(steps):
            time_B = mean_BFK.new_full((len(mean_BFK),), step / steps)
            residual_BFK = residual_BFK + self(residual_BFK, time_B, features_BFW, mean_BFK) / steps
        return mean_BFK + RESIDUAL_SCALE * residual_BFK


class CodeNoise(nn.Module):
    """Standard normal noise as a function of codes: equal codes give equal noise at any position.

    So a window of the codes has the noise that the whole sequence has. All codebooks share one table, which
    each reads at its own shift.
    """

    table_VSK: Tensor

    def __init__(self, codebooks: int, codes: int, frames: int, bins: int) -> None:
        super().__init__()
        # NumPy guarantees that the stream of RandomState does not change
        drawn = np.random.RandomState(0).standard_normal((codes, frames, bins))
        self.register_buffer("table_VSK", torch.from_numpy(drawn).float(), persistent=False)
        self.shifts = [codebook * bins // codebooks for codebook in range(codebooks)]

    def forward(self, codes_BTC: Tensor) -> Tensor:
        """Return noise (B, F, K) for codes (B, T, C), where T codec frames have F frames."""
        noise_BTSK = torch.zeros((), device=codes_BTC.device)
        # added in a fixed order, which `sum` does not guarantee
        for codes_BT, shift in zip(codes_BTC.unbind(-1), self.shifts, strict=True):
            noise_BTSK = noise_BTSK + self.table_VSK[codes_BT].roll(shift, -1)
        noise_BFK: Tensor = noise_BTSK.flatten(1, 2) / len(self.shifts) ** 0.5
        return noise_BFK


class TimedConvNeXtBlock(nn.Module):
    """A ConvNeXt block whose norm and residual are modulated by the time, as in DiT (arXiv 2212.09748)."""

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
        return self.valid(F.pad(x_BFW, (0, 0, REACH, REACH)), time_BW)

    def valid(self, x_BFW: Tensor, time_BW: Tensor) -> Tensor:
        """Return the features (B, F - 6, W) of the frames that have three others on either side."""
        scale, shift, gate = self.modulation(time_BW)[:, None].chunk(3, -1)
        y_BFW = valid_convolution(self.depthwise, x_BFW.transpose(1, 2)).transpose(1, 2)
        y_BFW = self.norm(y_BFW) * (1 + scale) + shift
        y_BFW = self.narrow(F.gelu(self.widen(y_BFW)))
        out_BFW: Tensor = x_BFW[:, REACH:-REACH] + y_BFW * (self.scale + gate)
        return out_BFW


def valid_convolution(convolution: nn.Conv1d, x_BMF: Tensor) -> Tensor:
    """Apply a convolution of width 7 without its padding: (B, M, F) gives (B, M, F - 6)."""
    return F.conv1d(x_BMF, convolution.weight, convolution.bias, groups=convolution.groups)


def frequency_weights(bins: int, sample_rate: int, corner: float = 2000.0) -> Tensor:
    """Return weights (K,) of mean 1 that fall above ``corner`` hertz, as the resolution of hearing does."""
    hertz = torch.linspace(0, sample_rate / 2, bins)
    weights = 1 / (1 + hertz / corner)
    return weights / weights.mean()
