"""Products of few rows are equal in every library that computes them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dia.native import native_products
from dia.network import linear
from dia.network.linear import Linear, native_bf16, native_fp32, onednn_product

PRODUCTS = [onednn_product, *([native_fp32] if native_products() else [])]


def case(rows, inputs, outputs, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(rows, inputs, generator=rng), torch.randn(outputs, inputs, generator=rng)


@given(st.integers(1, 8), st.integers(1, 70), st.integers(1, 20), st.integers(0, 99))
def test_products_equal_those_of_exact_arithmetic(rows, inputs, fours, seed):
    features, weight = case(rows, inputs, 4 * fours, seed)
    wanted = features.double() @ weight.double().T
    for product in PRODUCTS:
        torch.testing.assert_close(product(features, weight).double(), wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("product", PRODUCTS)
@given(st.integers(1, 70), st.integers(0, 69), st.sampled_from([(64, 24), (256, 1024), (192, 256), (33, 7)]))
def test_a_row_gets_the_same_bits_among_any_others(product, rows, place, shape):
    features, weight = case(rows, *shape)
    place %= rows
    assert torch.equal(product(features, weight)[place], product(features[place : place + 1], weight)[0])


@pytest.mark.skipif(not native_products(), reason="no compiler")
@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 20), st.integers(0, 99))
def test_weights_in_bf16_are_multiplied_in_fp32(rows, inputs, outputs, seed):
    features, weight = (tensor.bfloat16() for tensor in case(rows, inputs, outputs, seed))
    wanted = (features.double() @ weight.double().T).bfloat16()
    torch.testing.assert_close(native_bf16(features, weight), wanted, atol=1e-4, rtol=1e-2)


@pytest.fixture
def all_are_large(monkeypatch):
    """Pretend that every weight is large."""
    monkeypatch.setattr(linear, "LARGE", 1)
    torch._dynamo.reset()  # the layer's function is compiled for each case


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("rows", [1, 2, 5, 33])
def test_the_output_of_a_layer_is_independent_of_the_library(all_are_large, rows, dtype, tolerance):
    layer = Linear(64, 24).to(dtype)
    features = torch.randn(1, rows, 64).to(dtype)
    wanted = F.linear(features, layer.weight)
    compiled = torch.compile(layer, fullgraph=True, dynamic=False)
    with torch.inference_mode():
        for actual in (layer(features), compiled(features)):
            assert actual.shape == (1, rows, 24)
            torch.testing.assert_close(actual, wanted, atol=tolerance, rtol=tolerance)


def test_gradients_of_training_are_unchanged(all_are_large):
    layer, features = Linear(64, 24), torch.randn(2, 64, requires_grad=True)
    layer(features).sum().backward()
    torch.testing.assert_close(features.grad, layer.weight.sum(0).expand(2, -1))
    assert layer.weight.grad is not None


def test_other_dtypes_use_the_default_path(all_are_large):
    layer = Linear(64, 24).bfloat16()
    with torch.inference_mode():
        assert layer(torch.randn(2, 64, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.skipif(not native_products(), reason="no compiler")
def test_weights_that_are_not_contiguous_are_refused():
    features, weight = case(2, 24, 16)
    with pytest.raises(RuntimeError, match="contiguous"):
        native_fp32(features, weight.T.contiguous().T)
