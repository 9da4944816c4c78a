"""Products of few rows are equal in every library that computes them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dia.network import linear
from dia.network.linear import Linear, onednn_product, summed_product


def case(rows, inputs, outputs, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(rows, inputs, generator=rng), torch.randn(outputs, inputs, generator=rng)


@given(st.integers(1, 8), st.integers(1, 70), st.integers(1, 20), st.integers(0, 99))
def test_products_equal_those_of_exact_arithmetic(rows, inputs, fours, seed):
    features, weight = case(rows, inputs, 4 * fours, seed)
    wanted = features.double() @ weight.double().T
    for product in (onednn_product, summed_product):
        torch.testing.assert_close(product(features, weight).double(), wanted, atol=1e-4, rtol=1e-5)


@given(st.integers(1, 70), st.integers(0, 69), st.sampled_from([(64, 24), (256, 1024), (192, 256), (33, 7)]))
def test_a_row_gets_the_same_bits_among_any_others(rows, place, shape):
    features, weight = case(rows, *shape)
    place %= rows
    assert torch.equal(
        onednn_product(features, weight)[place], onednn_product(features[place : place + 1], weight)[0]
    )


@pytest.fixture
def slow_mkl(monkeypatch):
    """Pretend that the processor is not Intel's and that every weight is large."""
    monkeypatch.setattr(linear, "LARGE", 1)
    monkeypatch.setattr(linear, "MKL_IS_SLOW", True)


@pytest.mark.parametrize("rows", [1, 2, 5, 33])
def test_the_output_of_a_layer_is_independent_of_the_library(slow_mkl, rows):
    layer = Linear(64, 24)
    features = torch.randn(1, rows, 64)
    wanted = F.linear(features, layer.weight)
    compiled = torch.compile(layer, fullgraph=True, dynamic=False)
    with torch.inference_mode():
        for actual in (layer(features), compiled(features)):
            assert actual.shape == (1, rows, 24)
            torch.testing.assert_close(actual, wanted, atol=1e-5, rtol=1e-5)


def test_gradients_of_training_are_unchanged(slow_mkl):
    layer, features = Linear(64, 24), torch.randn(2, 64, requires_grad=True)
    layer(features).sum().backward()
    torch.testing.assert_close(features.grad, layer.weight.sum(0).expand(2, -1))
    assert layer.weight.grad is not None


def test_other_dtypes_use_the_default_path(slow_mkl):
    layer = Linear(64, 24).bfloat16()
    with torch.inference_mode():
        assert layer(torch.randn(2, 64, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_check_of_the_processor_is_compatible_with_the_compiler(monkeypatch):
    monkeypatch.setattr(linear, "LARGE", 1)
    layer, features = Linear(64, 24), torch.randn(1, 2, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            torch.compile(layer, fullgraph=True)(features), layer(features), atol=1e-5, rtol=1e-5
        )
