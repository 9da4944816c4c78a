"""Griffin-Lim by blocks: streams, consistency, and the Griffin-Lim of torchaudio as a comparison."""

import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.phases import BlockGriffinLim

HOP, WINDOW = 40, torch.hann_window(160)


def magnitudes_of(waveform_L):
    spectrum_KF = torch.stft(waveform_L, len(WINDOW), HOP, window=WINDOW, return_complex=True)
    return spectrum_KF.abs().T


def hum(frames, seed=0):
    """Return a waveform (frames * HOP,) of harmonics with noise."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames * HOP) / 4_000
    harmonics = sum(torch.sin(2 * torch.pi * 120 * number * time + number) / number for number in range(1, 9))
    return 0.1 * harmonics + 0.01 * torch.randn(len(time), generator=generator)


def inconsistency(magnitudes_FK, waveform_L):
    """Return the distance of a waveform's spectra from the wanted ones, relative to these."""
    made_FK = magnitudes_of(waveform_L)[: len(magnitudes_FK)]
    return float((made_FK - magnitudes_FK).norm() / magnitudes_FK.norm())


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=8),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_how_frames_arrive_changes_nothing(sizes, block, lookahead, iterations):
    magnitudes_FK = magnitudes_of(hum(max(8, sum(sizes))))[: sum(sizes)]
    whole = BlockGriffinLim(WINDOW, HOP, iterations, block, lookahead).add(magnitudes_FK, ended=True)
    assert whole.shape == (sum(sizes) * HOP,)
    by_pieces = BlockGriffinLim(WINDOW, HOP, iterations, block, lookahead)
    made = [by_pieces.add(piece, ended=False) for piece in magnitudes_FK.split(sizes)]
    made.append(by_pieces.add(magnitudes_FK[:0], ended=True))
    assert torch.equal(torch.cat(made), whole)


@given(st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_audio_comes_as_soon_as_its_block_has_its_later_frames(frames):
    phases = BlockGriffinLim(WINDOW, HOP, 2, block=8, lookahead=3)
    made = phases.add(magnitudes_of(hum(48))[:frames], ended=False)
    blocks = max(0, frames - 3) // 8
    assert len(made) == max(0, 8 * blocks * HOP - len(WINDOW) // 2)


def test_true_phases_are_a_fixed_point():
    waveform_L = hum(64)
    spectra_FK = torch.stft(waveform_L, len(WINDOW), HOP, window=WINDOW, return_complex=True).T[:64]
    phases = BlockGriffinLim(WINDOW, HOP, 3, block=8, lookahead=4)
    phases._phases_FK, phases._rebuilt_FK = torch.sgn(spectra_FK), torch.zeros_like(spectra_FK)
    phases._magnitudes_FK = spectra_FK.abs()
    phases._estimate(spectra_FK.abs())
    moved = (phases._phases_FK - torch.sgn(spectra_FK)).abs() * spectra_FK.abs()
    assert moved[4:-4].max() < 1e-3 * spectra_FK.abs().max()


@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_about_as_consistent_as_griffin_lim_of_the_whole(seed):
    wanted_FK = magnitudes_of(hum(128, seed))[:128]
    blocks = BlockGriffinLim(WINDOW, HOP, 24, block=32, lookahead=8).add(wanted_FK, ended=True)
    whole = torchaudio.functional.griffinlim(
        torch.cat((wanted_FK, wanted_FK[-1:])).T,
        WINDOW,
        len(WINDOW),
        HOP,
        len(WINDOW),
        power=1.0,
        n_iter=32,
        momentum=0.99,
        length=128 * HOP,
        rand_init=False,
    )
    assert inconsistency(wanted_FK, blocks) <= min(0.15, 2 * inconsistency(wanted_FK, whole))
