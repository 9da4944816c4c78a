"""Phases of magnitude spectra by Griffin-Lim, block by block, so that a stream equals the whole.

Griffin-Lim iterates over all frames of a waveform, so that each sample depends on frames far away. Here it
iterates over a block of frames and a few later ones; then the block's phases are final, and its audio is the
fixed beginning of the next block, as frames are in RTISI-LA (X. Zhu et al., "Real-time signal estimation from
modified short-time Fourier transform magnitude spectra", 2007). Momentum is that of fast Griffin-Lim
(N. Perraudin et al., "A fast Griffin-Lim algorithm", 2013).

Legend: F frames, K frequency bins, N samples of a window, H samples between frames, R rows of H samples.
"""

import torch
from torch import Tensor

# torchaudio's griffinlim has the same for its momentum of .99: m / (1 + m)
MOMENTUM = 0.99 / 1.99
# Blocks become longer once a stream has this many: a second of audio takes .008 s of processor time in blocks
# of 128 frames, .013 in ones of 32 (one core, AMD EPYC).
SHORT_BLOCKS, GROWTH = 12, 4
LEAST_COVERAGE = 1e-6  # of a sample by squared windows


class BlockGriffinLim:
    """Turns the magnitudes of consecutive frames into a waveform, of which it returns what is final.

    The waveform of F frames has F * H samples. How the frames are divided over calls changes nothing.

    Args:
        window_N: The window; its length is a multiple of ``hop``.
        hop: Samples between two frames.
        iterations: Iterations of each block.
        block: Frames of each of the first blocks; the later ones have four times as many.
        lookahead: Later frames that a block's phases depend on, 1 or more.
    """

    def __init__(self, window_N: Tensor, hop: int, iterations: int, block: int, lookahead: int) -> None:
        self.window_N, self.hop = window_N, hop
        self.iterations, self.block, self.lookahead = iterations, block, lookahead
        self._overlap = len(window_N) // hop - 1  # rows that a frame shares with the next ones
        none_RH = window_N.new_zeros(self._overlap, hop)
        self._sum_RH, self._coverage_RH = none_RH, none_RH  # of final frames, in rows that later ones share
        self._magnitudes_FK: Tensor | None = None  # frames that are not final
        bins = len(window_N) // 2 + 1
        self._phases_FK = self._rebuilt_FK = window_N.new_zeros(0, bins, dtype=torch.complex64)
        self._blocks = 0  # that are final
        self._to_skip = len(window_N) // 2  # samples before the centre of the first frame
        self._to_return = 0

    def add(self, magnitudes_FK: Tensor, ended: bool) -> Tensor:
        """Return the samples (L,) that further frames make final; ``ended`` makes all of them final."""
        known_FK = self._magnitudes_FK
        frames_FK = magnitudes_FK if known_FK is None else torch.cat((known_FK, magnitudes_FK))
        self._magnitudes_FK = frames_FK
        self._to_return += len(magnitudes_FK) * self.hop
        if not len(frames_FK):
            return self.window_N.new_zeros(0)
        if ended:  # one frame more for the end of the waveform
            self._magnitudes_FK = torch.cat((frames_FK, frames_FK[-1:]))
        final = []
        while len(self._magnitudes_FK) >= (block := self._next_block()) + self.lookahead + ended:
            final.append(self._finish(block, block + self.lookahead))
            self._blocks += 1
        if ended:
            final.append(self._finish(len(self._magnitudes_FK), len(self._magnitudes_FK)))
            final.append(self._sum_RH / self._coverage_RH.clamp_min(LEAST_COVERAGE))
        return self._cut(torch.cat(final).flatten() if final else self.window_N.new_zeros(0))

    def _next_block(self) -> int:
        """Return the frames of the next block."""
        return self.block * (1 if self._blocks < SHORT_BLOCKS else GROWTH)

    def _cut(self, samples_L: Tensor) -> Tensor:
        """Return the samples between the centres of the first and the last frame."""
        skipped = min(self._to_skip, len(samples_L))
        self._to_skip -= skipped
        samples_L = samples_L[skipped:][: self._to_return]
        self._to_return -= len(samples_L)
        return samples_L

    def _finish(self, count: int, frames: int) -> Tensor:
        """Return the rows (R, H) that ``count`` frames complete, from phases of the first ``frames``."""
        assert self._magnitudes_FK is not None
        magnitudes_FK = self._magnitudes_FK[:frames]
        self._estimate(magnitudes_FK)
        spectra_FK = magnitudes_FK[:count] * self._phases_FK[:count]
        self._magnitudes_FK = self._magnitudes_FK[count:]
        self._phases_FK, self._rebuilt_FK = self._phases_FK[count:], self._rebuilt_FK[count:]
        sum_RH, coverage_RH = self._overlapped(spectra_FK), self._covered(count)
        self._sum_RH, self._coverage_RH = sum_RH[count:], coverage_RH[count:]
        return sum_RH[:count] / coverage_RH[:count].clamp_min(LEAST_COVERAGE)

    def _estimate(self, magnitudes_FK: Tensor) -> None:
        """Iterate the phases of these frames, from those that they have; new frames begin at zero."""
        frames, new = len(magnitudes_FK), len(magnitudes_FK) - len(self._phases_FK)
        shape = (new, magnitudes_FK.shape[1])
        phases_FK = torch.cat((self._phases_FK, self._phases_FK.new_ones(shape)))
        before_FK = torch.cat((self._rebuilt_FK, self._rebuilt_FK.new_zeros(shape)))
        coverage_RH = self._covered(frames).clamp_min(LEAST_COVERAGE)
        for _ in range(self.iterations):
            rows_RH = self._overlapped(magnitudes_FK * phases_FK) / coverage_RH
            windows_FN = rows_RH.flatten().unfold(0, len(self.window_N), self.hop) * self.window_N
            rebuilt_FK = torch.fft.rfft(windows_FN)
            phases_FK, before_FK = torch.sgn(rebuilt_FK - MOMENTUM * before_FK), rebuilt_FK
        self._phases_FK, self._rebuilt_FK = phases_FK, before_FK

    def _overlapped(self, spectra_FK: Tensor) -> Tensor:
        """Return the windowed waveforms of spectra, added to those of final frames (F + overlap, H)."""
        windows_FN = torch.fft.irfft(spectra_FK, n=len(self.window_N)) * self.window_N
        return self._add_rows(windows_FN, self._sum_RH)

    def _covered(self, frames: int) -> Tensor:
        """Return the sum of squared windows in the rows of :meth:`_overlapped`."""
        return self._add_rows(self.window_N.square().expand(frames, -1), self._coverage_RH)

    def _add_rows(self, windows_FN: Tensor, begin_RH: Tensor) -> Tensor:
        frames, parts_FRH = len(windows_FN), windows_FN.unflatten(1, (-1, self.hop))
        rows_RH = windows_FN.new_zeros(frames + self._overlap, self.hop)
        for part in range(self._overlap + 1):
            rows_RH[part : part + frames] += parts_FRH[:, part]
        rows_RH[: self._overlap] += begin_RH
        return rows_RH
