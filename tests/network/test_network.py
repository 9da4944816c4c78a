import pytest
import torch

from dia.network import DecoderConfig, DiaConfig, DiaNetwork
from tests.conftest import TINY


def inputs(steps=7):
    torch.manual_seed(1)
    text, mask = torch.randint(1, 200, (2, 10)), torch.ones(2, 10, dtype=torch.bool)
    mask[1, 6:], text[1, 6:] = False, 0
    return text, mask, torch.randint(0, 36, (2, steps, 4))


@pytest.mark.parametrize("cross_rope", [False, True])
@torch.no_grad()
def test_incremental_forward_agrees_with_teacher_forcing(tiny, cross_rope):
    for layer in tiny.decoder.layers:
        layer.cross_rope = cross_rope
    text, mask, tokens = inputs()
    whole = tiny(text, mask, tokens)
    cache = tiny.new_cache(text, mask, 7)
    cache.reserve(7)
    pieces = [tiny.next_logits(tokens[:, a:b], cache) for a, b in ((0, 3), (3, 5), (5, 6), (6, 7))]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_of_the_text_changes_nothing(tiny):
    text, mask, tokens = inputs()
    alone = tiny(text[1:, :6], mask[1:, :6], tokens[1:])
    torch.testing.assert_close(tiny(text, mask, tokens)[1:], alone, atol=1e-5, rtol=0)


def test_dia_1_6b_has_the_published_parameter_count():
    with torch.device("meta"):
        network = DiaNetwork(DiaConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_611_160_576


def test_impossible_shapes_are_all_reported():
    with pytest.raises(ValueError) as caught:
        DiaNetwork(DiaConfig(decoder=DecoderConfig(heads=5, key_value_heads=2, head_dim=3), delays=[1, 0]))
    assert all(key in str(caught.value) for key in ("delays", "key_value_heads", "head_dim"))


@torch.no_grad()
def test_random_weights_have_the_configured_standard_deviation():
    torch.manual_seed(0)
    for deviation, wanted in ((0.02, 0.02), (0.06, 0.06), (None, 1.0)):
        network = DiaNetwork(TINY, deviation)
        assert network.encoder.embedding.weight.std() == pytest.approx(wanted, rel=0.05)
        inner = network.decoder.layers[0].mlp.down_proj.weight
        assert inner.std() == pytest.approx(wanted if deviation else (3 * inner.shape[1]) ** -0.5, rel=0.05)
        assert (network.decoder.norm.weight == 1).all()
