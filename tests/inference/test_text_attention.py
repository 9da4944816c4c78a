"""The recorded attention is the one that the network computes, and it is a distribution over the text."""

import numpy as np
import pytest
import torch

from dia.inference.text_attention import (
    TextAttention,
    attention_weights,
    text_attention,
)
from dia.network import DiaNetwork
from tests.conftest import TINY

TEXT = "[S1] So it goes."


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DiaNetwork(TINY).eval()


@pytest.fixture(scope="module")
def codes_TC():
    return torch.randint(TINY.decoder.codebook_size, (12, TINY.channels))


def test_the_weights_are_distributions_over_the_bytes(network, codes_TC):
    result = text_attention(network, TEXT, codes_TC)
    bytes_of_text = len(TEXT) - len("[S1]") + 1  # a speaker is one id
    layers, heads = TINY.decoder.layers, TINY.decoder.cross_heads
    assert result.weights_LNTS.shape == (layers, heads, len(codes_TC), bytes_of_text)
    torch.testing.assert_close(result.weights_LNTS.sum(-1), torch.ones(layers, heads, len(codes_TC)))


@torch.inference_mode()
def test_weights_times_values_are_what_torchs_attention_returns(network):
    """For several items, of which one has padding, and for keys that several heads share."""
    attention = network.decoder.layers[0].cross_attention
    width = TINY.decoder.hidden_size
    x, memory = torch.randn(2, 5, width), torch.randn(2, 7, TINY.encoder.hidden_size)
    mask = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    mask[1, ..., 4:] = False
    queries, (keys, values) = attention.queries(x), attention.keys_values(memory)
    weights = attention_weights(queries, keys, mask)
    assert (weights[1, ..., 4:] == 0).all()
    mixed = weights @ values.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    expected = attention.attend(queries, keys, values, mask, causal=False)
    torch.testing.assert_close(attention.o_proj(mixed.transpose(1, 2).flatten(2)), expected)


@torch.inference_mode()
def test_recording_changes_no_logits_and_ends_with_the_block(network, codes_TC):
    text, mask = torch.randint(1, 200, (1, 9)), torch.ones(1, 9, dtype=torch.bool)
    expected = network(text, mask, codes_TC[None])
    every_layer = range(TINY.decoder.layers)
    with pytest.raises(KeyError), network.decoder.record_cross_attention(every_layer) as recorded:
        assert torch.equal(network(text, mask, codes_TC[None]), expected)
        assert len(recorded) == TINY.decoder.layers
        raise KeyError
    assert torch.equal(network(text, mask, codes_TC[None]), expected)
    assert len(recorded) == TINY.decoder.layers


def test_the_reading_head_is_the_one_that_reads_the_text_once():
    """Other heads look everywhere, at one place only, or read from the end to the beginning."""
    weights = torch.full((2, 2, 4, 4), 0.25)
    weights[0, 1] = torch.eye(4)[[2, 2, 2, 2]]
    weights[1, 0] = torch.eye(4)
    weights[1, 1] = torch.eye(4).flip(0)
    result = TextAttention("abcd", weights)
    assert result.reading_head() == (1, 0)
    assert result.focus_rates().tolist() == [[0.25, 1.0], [1.0, 1.0]]
    torch.testing.assert_close(result.reading_scores(), torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double())
    np.testing.assert_array_equal(result.picture(), 255 * np.eye(4, dtype=np.uint8))
