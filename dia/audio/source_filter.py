"""The sound-making end of the spectral codec: a harmonic and a noise source, filtered frame by frame, inverse STFT.

A head that predicts magnitude and phase from scratch must learn phases that go on from frame to frame, which spectral
losses hardly teach: it buzzes. Here the phase comes from a source (as in the neural source-filter vocoder,
arXiv 1810.11946): pulses that follow a predicted pitch, and a fixed noise. The network only shapes their spectra; the
filter of the pulses is minimum phase, as a throat's is, with a learned correction.

Everything happens at frame rate; only the pulses are written at sample rate, in closed form. A frame of the source is
twice `hop` long under a Hann window, so frames add up to the source itself, and is filled with silence up to `n_fft`,
so that a filter's tail rings on into the next frames instead of wrapping around.

Legend: B batch, L samples, F frames at `hop`, W feature width, K frequency bins (n_fft / 2 + 1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NOISE_SECONDS = 4
LOUDEST, SOFTEST = 2.0, -14.0  # natural log of a filter's gain
MIDDLE_PITCH = 150.0


class SourceFilterHead(nn.Module):
    """Features to a wave."""

    window: Tensor
    noise: Tensor

    def __init__(self, width: int, n_fft: int, hop: int, sample_rate: int) -> None:
        super().__init__()
        self.n_fft, self.hop, self.sample_rate = n_fft, hop, sample_rate
        self.bins = n_fft // 2 + 1
        self.filters = nn.Linear(width, 3 * self.bins)
        self.pitch = nn.Linear(width, 1)
        nn.init.normal_(self.filters.weight, std=0.01)
        gains = torch.tensor([-4.0, 0.0, -7.0])  # pulses, their phase correction, noise: begin as a soft voice
        self.filters.bias = nn.Parameter(gains.repeat_interleave(self.bins))
        self.register_buffer("window", torch.hann_window(2 * hop), persistent=False)
        noise = torch.randn(NOISE_SECONDS * sample_rate, generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise", noise, persistent=False)

    def forward(self, features_BFW: Tensor, pitch_BF: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the wave (B, F * hop) and the predicted natural log of the pitch over 150 Hz (B, F).

        Where ``pitch_BF`` (hertz) is given and above 0, it drives the pulses instead of the prediction: training
        begins with the true pitch of voiced frames.
        """
        log_pitch_BF = self.pitch(features_BFW).squeeze(-1)
        driven = log_pitch_BF.detach().clamp(-1.2, 1.4).exp() * MIDDLE_PITCH
        if pitch_BF is not None:
            driven = torch.where(pitch_BF > 0, pitch_BF, driven)
        filters = F.pad(self.filters(features_BFW).transpose(1, 2), (0, 1), "replicate")  # one for the wave's end
        voiced, correction, breath = filters.chunk(3, dim=1)
        length = features_BFW.shape[1] * self.hop
        pulses = self._spectra(pulse_train(driven, self.hop, self.sample_rate))
        noise = self._spectra(self.noise.repeat(length // len(self.noise) + 1)[None, :length])
        turned = torch.polar(torch.ones_like(correction), correction)
        shaped = pulses * minimum_phase_filter(voiced.clamp(SOFTEST, LOUDEST), self.n_fft) * turned
        return self._join(shaped + noise * breath.clamp(SOFTEST, LOUDEST).exp()), log_pitch_BF

    def _spectra(self, wave_BL: Tensor) -> Tensor:
        """Spectra (B, K, F + 1) of the windowed frames of a source, centred on multiples of ``hop``."""
        frames_BFL = F.pad(wave_BL, (self.hop, self.hop)).unfold(-1, 2 * self.hop, self.hop)
        return torch.fft.rfft(frames_BFL * self.window, self.n_fft).transpose(1, 2)

    def _join(self, spectra_BKF: Tensor) -> Tensor:
        """Add the filtered frames (B, K, F + 1) up to a wave (B, F * hop)."""
        frames_BLF = torch.fft.irfft(spectra_BKF, self.n_fft, dim=1)
        count = frames_BLF.shape[2]
        size = (1, self.n_fft + (count - 1) * self.hop)
        wave_BL = F.fold(frames_BLF, size, (1, self.n_fft), stride=(1, self.hop)).flatten(1)
        return wave_BL[:, self.hop : count * self.hop]


def pulse_train(pitch_BF: Tensor, hop: int, sample_rate: int) -> Tensor:
    """Return band-limited pulses (B, F * hop) of about unit power that follow the pitch (B, F) in hertz.

    A sum of equal cosines up to the Nyquist frequency in closed form (the Dirichlet kernel). The phase is summed in
    double precision, so a minute of sound does not drift.
    """
    pitch_BL = F.interpolate(pitch_BF[:, None], scale_factor=hop, mode="linear").squeeze(1)
    phase_BL = (pitch_BL.double() / sample_rate).cumsum(-1).remainder(1.0).float() * (2 * torch.pi)
    count_BL = torch.floor(0.5 * sample_rate / pitch_BL) - 1
    half = torch.sin(phase_BL / 2)
    near = half.abs() < 1e-4
    kernel = torch.sin((count_BL + 0.5) * phase_BL) / torch.where(near, torch.ones_like(half), half)
    summed = torch.where(near, 2 * count_BL + 1, kernel) - 1
    return summed / (2 * count_BL).sqrt()


def minimum_phase_filter(log_gain_BKF: Tensor, n_fft: int) -> Tensor:
    """Return the complex minimum-phase response (B, K, F) whose gain is the exponential of ``log_gain_BKF``.

    By the real cepstrum folded onto positive times (Oppenheim and Schafer, Discrete-Time Signal Processing, ch. 13).
    """
    cepstrum = torch.fft.irfft(log_gain_BKF, n_fft, dim=1)
    fold = torch.zeros(n_fft, 1, device=cepstrum.device)
    fold[0] = fold[n_fft // 2] = 1
    fold[1 : n_fft // 2] = 2
    return torch.fft.rfft(cepstrum * fold, dim=1).exp()
