"""The spectral codec's decoder for codes that arrive in pieces, bit by bit the same as for all codes at once.

Frames are computed in chunks whose sizes depend on their place only, so that each matrix product has the same
shape however the codes arrive: Griffin-Lim would amplify differences of rounding. Each convolution stores its
last frames of input, so that nothing is computed twice. A convolution of width 7 reads three later frames and
delays its output by them; 17 of them delay the magnitudes by half a second.

Legend: B batch (1), T codec frames, C codebooks, F frames of a chunk, M and W feature widths, K frequency
bins.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dia.codecs.flow_refiner import REACH, RESIDUAL_SCALE, DetailFlow
from dia.codecs.spectral_network import SpectralDecoder, SpectralNetwork, without_floor

# Codec frames of the chunks from a codec frame on. Short chunks at the beginning let a stream begin early;
# long ones read the weights less often (a second of audio takes .04 s in chunks of 16, .03 s in ones of 64).
CHUNKS = ((96, 64), (32, 32), (0, 16))
# Codec frames that are decoded in fp32 also where the rest is in bf16: a preview of the beginning lacks later
# codes, and its slightly different inputs would be rounded differently, which Griffin-Lim amplifies.
EXACT = 32
Decoding = tuple[SpectralDecoder, DetailFlow]


def chunk_at(frame: int) -> int:
    """Return the codec frames of the chunk that begins at a codec frame."""
    return next(size for begin, size in CHUNKS if frame >= begin)


class SpectralVocoder:
    """Turns codes into audio: the :class:`dia.codecs.vocoder.Vocoder` of the spectral codec.

    ``later`` are decoder and flow for the codec frames from ``EXACT`` on, by default those of the network.
    """

    def __init__(self, network: SpectralNetwork, later: Decoding | None = None) -> None:
        config = network.config
        self._magnitudes = MagnitudeStream(network, later)
        self._griffin_lim = network.griffin_lim()
        needed = self._magnitudes.delay + config.phase_block + config.phase_lookahead
        self.first_frames = 0
        while self.first_frames * config.stride < needed:
            self.first_frames += chunk_at(self.first_frames)

    @torch.no_grad()
    def add(self, features_TX: Tensor, ended: bool) -> Tensor:
        """Return the samples (L,) that further codes (T, C) make final."""
        return self._griffin_lim.add(self._magnitudes.add(features_TX, ended), ended)

    def preview(self) -> Tensor:
        """Return the samples (L,) after those returned, as if the waveform ended here; the state stays."""
        copied = copy.copy(self)
        copied._magnitudes, copied._griffin_lim = self._magnitudes.copy(), copy.copy(self._griffin_lim)
        return copied.add(self._magnitudes.no_codes(), ended=True)


class MagnitudeStream:
    """Decodes codes that arrive in pieces to the magnitudes of spectra.

    Frames before the first and after the last are zero at the input of each convolution, as its padding is.
    """

    def __init__(self, network: SpectralNetwork, later: Decoding | None = None) -> None:
        config = network.config
        self.network = network
        self._first = network.decoder, network.detail
        self._later = later or self._first
        flow = config.detail_layers * config.detail_steps
        self.delay = REACH * (1 + config.decoder_layers + flow)  # frames
        self._waiting_TC: Tensor | None = None
        self._stored = dict[str, Tensor]()  # the last frames of input, by convolution or delayed value
        self._begin = 0  # frame at which the next chunk begins
        self._total: int | None = None  # frames of the waveform, once it has ended

    def copy(self) -> "MagnitudeStream":
        """Return a stream with the same state."""
        copied = copy.copy(self)
        copied._stored = dict(self._stored)
        return copied

    def no_codes(self) -> Tensor:
        """Return codes of no frame."""
        return torch.zeros(
            0, self.network.config.codebooks, dtype=torch.long, device=self.network.window.device
        )

    def add(self, codes_TC: Tensor, ended: bool) -> Tensor:
        """Return the magnitudes (F, K) that further codes make final; ``ended`` makes all of them final."""
        known_TC = self._waiting_TC
        waiting_TC = codes_TC if known_TC is None else torch.cat((known_TC, codes_TC))
        final = [self.network.window.new_zeros(0, self.network.config.n_fft // 2 + 1)]
        while len(waiting_TC) >= (size := chunk_at(self._begin // self.network.config.stride)):
            final.append(self._chunk(waiting_TC[:size]))
            waiting_TC = waiting_TC[size:]
        if ended:  # a chunk of what is left and what the convolutions delay
            self._total = self._begin + len(waiting_TC) * self.network.config.stride
            delayed = math.ceil(self.delay / self.network.config.stride)
            final.append(self._chunk(F.pad(waiting_TC, (0, 0, 0, delayed))))
        self._waiting_TC = waiting_TC
        return torch.cat(final)

    def _chunk(self, codes_TC: Tensor) -> Tensor:
        """Return the magnitudes (F, K) that a chunk of codes completes."""
        network, codes_BTC = self.network, codes_TC[None]
        decoder, flow = self._first if self._begin < EXACT * network.config.stride else self._later
        x_BMF, delay = decoder.widen(network.quantizer.from_codes(codes_BTC.transpose(1, 2))[0]), 0
        for place, convolve in enumerate(decoder.convolutions()):
            x_BMF = convolve(self._with_last(f"decoder {place}", self._inside(x_BMF, delay, -1)))
            delay += REACH
        features_BFW, mean_BFK = decoder.described(x_BMF)
        start_BFK = network.config.detail_noise * self._delayed("noise", network.noise(codes_BTC), delay)
        log_BFK, delay = self._sharpened(flow, features_BFW, mean_BFK, start_BFK, delay)
        first, end = self._inside_of(log_BFK.shape[1], delay)
        self._begin += log_BFK.shape[1]
        return without_floor(log_BFK[0, first:end])

    def _sharpened(
        self, flow: DetailFlow, features_BFW: Tensor, mean_BFK: Tensor, residual_BFK: Tensor, delay: int
    ) -> tuple[Tensor, int]:
        """Return log magnitudes with the flow's detail, and their delay."""
        steps = self.network.config.detail_steps
        for step in range(steps):
            time_BW = flow.time_features(mean_BFK.new_full((1,), step / steps))
            x_BFW, begin = flow.inputs(residual_BFK, features_BFW, mean_BFK), delay
            for place, convolve in enumerate(flow.convolutions()):
                x_BFW = self._inside(x_BFW, delay, 1)
                x_BWF = self._with_last(f"flow {step} {place}", x_BFW.transpose(1, 2))
                x_BFW = convolve(x_BWF.transpose(1, 2), time_BW)
                delay += REACH
            features_BFW, mean_BFK, residual_BFK = (
                self._delayed(f"flow {step} {name}", value, delay - begin)
                for name, value in (("features", features_BFW), ("mean", mean_BFK), ("detail", residual_BFK))
            )
            residual_BFK = residual_BFK + flow.velocity(x_BFW) / steps
        return mean_BFK + RESIDUAL_SCALE * residual_BFK, delay

    def _inside_of(self, frames: int, delay: int) -> tuple[int, int]:
        """Return the first frame of a delayed chunk that belongs to the waveform, and the end of these."""
        begin = self._begin - delay
        end = frames if self._total is None else self._total - begin
        return min(max(0, -begin), frames), min(max(0, end), frames)

    def _inside(self, x: Tensor, delay: int, dimension: int) -> Tensor:
        """Return a delayed chunk with zeros for frames outside of the waveform."""
        frames = x.shape[dimension]
        first, end = self._inside_of(frames, delay)
        if (first, end) == (0, frames):
            return x
        inside = x.new_zeros(x.shape)
        part = slice(first, max(first, end))
        inside.movedim(dimension, 0)[part] = x.movedim(dimension, 0)[part]
        return inside

    def _with_last(self, name: str, x_BMF: Tensor) -> Tensor:
        """Return a convolution's chunk of input after its last frames."""
        last = self._stored.get(name)
        last = x_BMF.new_zeros(*x_BMF.shape[:2], 2 * REACH) if last is None else last
        x_BMF = torch.cat((last, x_BMF), -1)
        self._stored[name] = x_BMF[..., -2 * REACH :]
        return x_BMF

    def _delayed(self, name: str, x_BFK: Tensor, frames: int) -> Tensor:
        """Return the chunk of a value ``frames`` before."""
        last = self._stored.get(name)
        last = x_BFK.new_zeros(1, frames, x_BFK.shape[2]) if last is None else last
        x_BFK = torch.cat((last, x_BFK), 1)
        self._stored[name] = x_BFK[:, -frames:]
        return x_BFK[:, :-frames]
