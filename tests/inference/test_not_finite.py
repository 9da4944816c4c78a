"""Logits and samples that are not finite are an error, in whatever way they are drawn."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.errors import UserError
from dia.inference import Request, Sampling, generate_codes
from dia.inference.batch import DecodingBatch
from dia.inference.engine import stream_codes
from dia.inference.sampling import NOT_FINITE, sample
from dia.model import Dia
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC

WAYS = {
    "drawn": Sampling(),
    "without guidance": Sampling(cfg_scale=0.0),
    "greedy": Sampling(temperature=0.0),
    "guided": Sampling(draw_guided=True),
    "without a filter": Sampling(cfg_filter_top_k=None),
    "rescaled": Sampling(cfg_rescale=0.7, cfg_filter_top_k=None),
}
EOS = 32


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
@settings(max_examples=10)
@given(channel=st.integers(0, 3), place=st.integers(0, 35))
def test_a_channel_whose_logits_are_not_finite_has_no_id(way, value, side, channel, place):
    generator = torch.Generator().manual_seed(0)
    both = [torch.randn(2, 4, 36, generator=generator) for _ in range(2)]
    uniform = torch.rand(2, 4, generator=generator)
    sampling = WAYS[way]
    whole = sample(both[0], both[1] if sampling.guided else None, uniform, EOS, sampling)
    assert (whole >= 0).all()
    if side and not sampling.guided:
        return
    both[side][1, channel, place] = value
    drawn = sample(both[0], both[1] if sampling.guided else None, uniform, EOS, sampling)
    expected = whole.clone()
    if not (
        side == 1 and value == float("inf")
    ):  # infinity against the condition is minus infinity: never drawn
        expected[1, channel] = NOT_FINITE
        assert torch.equal(drawn, expected)
    assert torch.equal(drawn[0], whole[0])


def broken(network, channel=2):
    """Return a copy of a network with a head that gives NaN for one channel."""
    damaged = copy.deepcopy(network)
    rows = damaged.config.decoder.vocab_size
    damaged.logits_dense.weight.data[channel * rows : (channel + 1) * rows] = float("nan")
    return damaged


@pytest.mark.parametrize("way", WAYS)
def test_a_head_of_nan_is_an_error(tiny, way):
    requests = [Request("[S1] Hi.", 1), Request("[S1] Hello there.", 2)]
    with pytest.raises(UserError, match=r"text 1 of 2 are not finite by step \d+"):
        generate_codes(broken(tiny), requests, WAYS[way], 40)
    with pytest.raises(UserError, match="not finite"):
        list(stream_codes(broken(tiny), requests[0], WAYS[way], 40, 5))


def test_an_error_is_found_at_the_next_check_where_steps_are_not_checked_one_by_one(tiny):
    with torch.inference_mode():
        batch = DecodingBatch(broken(tiny), [Request("[S1] Hi.", 1)], Sampling(), 60)
        batch.check_every = 16
        with pytest.raises(UserError, match="by step 16"):
            batch.decode(60)


@pytest.mark.slow
def test_compiled_steps_find_it_too(tiny):
    with pytest.raises(UserError, match="not finite"):
        generate_codes(broken(tiny), [Request("[S1] Hi.", 1)], Sampling(), 24, compiled=True)


def test_a_network_in_half_precision_is_told_what_overflows(tiny):
    tiny = tiny.to(torch.float16)
    with pytest.raises(UserError, match="float16 overflows; open it with compute_dtype=bfloat16"):
        generate_codes(broken(tiny), [Request("[S1] Hi.", 1)], Sampling(), 24)


def test_samples_that_are_not_finite_are_an_error():
    torch.manual_seed(0)
    network = SpectralNetwork(TINY_CODEC)
    network.decoder.norm.bias.data[0] = float("nan")
    dia = Dia.from_network(DiaNetwork(TINY).eval(), SpectralCodec(network, "tiny"), Sampling())
    with pytest.raises(UserError, match="codec tiny gives samples that are not finite"):
        dia.generate("[S1] Hi.", 40, seed=1)
    with pytest.raises(UserError, match="codec tiny gives samples that are not finite"):
        np.concatenate(list(dia.stream("[S1] Hi.", max_tokens=60, seed=1)))
