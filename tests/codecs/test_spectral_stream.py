"""The spectral codec's decoder in chunks equals its modules on all codes at once."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.bfloat16 import in_bfloat16
from dia.codecs.spectral_network import SpectralNetwork, without_floor
from dia.codecs.spectral_stream import MagnitudeStream, SpectralVocoder
from tests.conftest import TINY_CODEC


@pytest.fixture(scope="module", params=[1, 3])
def network(request):
    """A random network with one or three steps of the flow, whose output is not zero."""
    torch.manual_seed(0)
    made = SpectralNetwork(replace(TINY_CODEC, detail_layers=2, detail_steps=request.param)).eval()
    with torch.no_grad():
        for parameter in made.detail.parameters():
            parameter.normal_(std=0.2)
    return made


def codes_of(network, frames):
    generator = torch.Generator().manual_seed(frames)
    return torch.randint(
        0, network.config.codebook_size, (frames, network.config.codebooks), generator=generator
    )


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 31, 40, 100, 170])
def test_chunks_equal_the_whole(network, frames):
    codes_BTC = codes_of(network, frames)[None]
    features, mean = network.decoder(network.quantizer.from_codes(codes_BTC.transpose(1, 2))[0])
    start = network.config.detail_noise * network.noise(codes_BTC)
    wanted = without_floor(network.detail.sharpen(features, mean, start, network.config.detail_steps))[0]
    made = MagnitudeStream(network).add(codes_BTC[0], ended=True)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_how_codes_arrive_changes_no_bit(network, sizes):
    codes_TC = codes_of(network, max(1, sum(sizes)))[: sum(sizes)]
    stream, made = MagnitudeStream(network), []
    for size, piece_TC in zip(sizes, codes_TC.split(sizes), strict=True):
        made.append(stream.add(piece_TC, ended=False))
        assert len(piece_TC) == size
    made.append(stream.add(codes_TC[:0], ended=True))
    assert torch.equal(torch.cat(made), MagnitudeStream(network).add(codes_TC, ended=True))


@torch.no_grad()
def test_the_vocoder_has_audio_after_its_first_frames_and_previews_before(network):
    vocoder, codes_TC = SpectralVocoder(network), codes_of(network, 80)
    whole = SpectralVocoder(network).add(codes_TC, ended=True)
    assert not len(vocoder.add(codes_TC[:9], ended=False))
    preview = vocoder.preview()
    assert torch.equal(preview, SpectralVocoder(network).add(codes_TC[:9], ended=True))
    assert not len(vocoder.add(codes_TC[9 : vocoder.first_frames - 1], ended=False))
    begin = vocoder.add(codes_TC[vocoder.first_frames - 1 : vocoder.first_frames], ended=False)
    rest = vocoder.add(codes_TC[vocoder.first_frames :], ended=True)
    assert len(begin) and torch.equal(torch.cat((begin, rest)), whole)


@torch.no_grad()
def test_in_bfloat16_a_stream_is_the_whole_and_magnitudes_are_close(network):
    codes_TC = codes_of(network, 130)
    later = in_bfloat16(network.decoder), in_bfloat16(network.detail)
    wanted = MagnitudeStream(network).add(codes_TC, ended=True)
    made = MagnitudeStream(network, later).add(codes_TC, ended=True)
    assert 0 < (made - wanted).norm() / wanted.norm() < 0.05
    stream = SpectralVocoder(network, later)
    pieces = [stream.add(piece_TC, ended=False) for piece_TC in codes_TC.split(7)]
    pieces.append(stream.add(codes_TC[:0], ended=True))
    assert torch.equal(torch.cat(pieces), SpectralVocoder(network, later).add(codes_TC, ended=True))
