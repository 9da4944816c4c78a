"""Pitch of a voice by YIN (de Cheveigné and Kawahara, 2002, doi 10.1121/1.1458024), batched, by FFT.

Legend: B batch, L samples, F frames at `hop`, P lag in samples.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 60.0, 500.0
APERIODIC = 0.45  # threshold on the normalised difference (YIN has .1 to .2; a hoarse voice wants more)
STEADY = 0.1  # natural log by which a voiced frame may leave the median of its neighbours
TOP_BAND = 1000.0
SILENT = 1e-4  # root mean square below which a frame is not voiced


def yin(wave_BL: Tensor, sample_rate: int, hop: int) -> tuple[Tensor, Tensor]:
    """Return pitch (B, F) in hertz and whether each frame is voiced (B, F), F being ``L // hop``.

    Frames are centred on multiples of ``hop``. A frame that leaps from its neighbours' median counts as unvoiced.
    Pitch is searched from 60 to 500 Hz; in unvoiced frames it is the best
    guess and means nothing.
    """
    wave_BL = _low_pass(wave_BL, sample_rate)
    longest = int(sample_rate / LOWEST) + 2
    shortest = int(sample_rate / HIGHEST)
    difference_BFP, loud_BF = _normalised_difference(wave_BL, longest, hop)
    searched = difference_BFP[..., shortest:longest]
    lag_BF = _first_dip(searched) + shortest
    depth_BF = difference_BFP.gather(-1, lag_BF[..., None]).squeeze(-1)
    pitch_BF = sample_rate / (lag_BF + _parabola(difference_BFP, lag_BF))
    neighbours_BF = F.pad(pitch_BF, (2, 2), "replicate").unfold(-1, 5, 1).median(-1).values
    steady_BF = (pitch_BF / neighbours_BF).log().abs() < STEADY
    return pitch_BF, (depth_BF < APERIODIC) & steady_BF & loud_BF


def _low_pass(wave_BL: Tensor, sample_rate: int) -> Tensor:
    """Keep what lies below 1 kHz: breath above it would hide the period of a hoarse voice."""
    spectrum = torch.fft.rfft(wave_BL)
    kept = torch.linspace(0, sample_rate / 2, spectrum.shape[-1], device=wave_BL.device) < TOP_BAND
    return torch.fft.irfft(spectrum * kept, wave_BL.shape[-1])


def _normalised_difference(wave_BL: Tensor, longest: int, hop: int) -> tuple[Tensor, Tensor]:
    """Cumulative-mean-normalised difference (B, F, P) of lags 0 to ``longest``, and which frames are not silent (B, F)."""
    window = 2 * longest
    span = window + longest
    frames = F.pad(wave_BL, (span // 2, span)).unfold(-1, span, hop)[:, : wave_BL.shape[1] // hop]
    size = 2 ** (span - 1).bit_length()
    spectrum = torch.fft.rfft(frames, size) * torch.fft.rfft(frames[..., :window], size).conj()
    correlation = torch.fft.irfft(spectrum, size)[..., : longest + 1]
    energy = F.pad(frames.pow(2).cumsum(-1), (1, 0))
    moved = energy[..., window : window + longest + 1] - energy[..., : longest + 1]
    difference = (moved[..., :1] + moved - 2 * correlation).clamp_min(0)
    lags = torch.arange(1, longest + 1, device=wave_BL.device)
    normalised = difference[..., 1:] * lags / difference[..., 1:].cumsum(-1).clamp_min(1e-9)
    return F.pad(normalised, (1, 0), value=1.0), energy[..., window] > window * SILENT**2


def _first_dip(searched_BFP: Tensor) -> Tensor:
    """Place (B, F) of the first local minimum below the threshold, else of the lowest value."""
    middle = searched_BFP[..., 1:-1]
    dips = (middle < APERIODIC) & (middle <= searched_BFP[..., :-2]) & (middle < searched_BFP[..., 2:])
    first = dips.int().argmax(-1) + 1
    return torch.where(dips.any(-1), first, searched_BFP.argmin(-1))


def _parabola(difference_BFP: Tensor, lag_BF: Tensor) -> Tensor:
    """Offset (B, F) of the minimum of the parabola through a lag and its neighbours, in -1..1 samples."""
    at = lag_BF.clamp(1, difference_BFP.shape[-1] - 2)[..., None]
    left, middle, right = (difference_BFP.gather(-1, at + step).squeeze(-1) for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    return torch.where(bend > 1e-9, (left - right) / (2 * bend.clamp_min(1e-9)), torch.zeros_like(bend)).clamp(-1, 1)
