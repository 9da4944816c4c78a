"""Quantized products agree with a reference, with and without VNNI; outputs of networks change little."""

import copy
import shutil
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dia.errors import UserError
from dia.inference import Request, Sampling, generate_codes
from dia.inference.integers import GROUP, LARGEST, to_int4, to_int8
from dia.inference.native_products import NativeInt4Linear, NativeInt8Linear
from dia.inference.quantization import quantize, quantize_with_torchao, replace_linears
from dia.inference.torch_products import (
    LARGEST_ACTIVATION,
    LARGEST_WITHOUT_VNNI,
    FbgemmInt8Linear,
    TorchInt4Linear,
)
from dia.native import native_products


def weights(seed, out, into):
    return torch.randn(out, into, generator=torch.Generator().manual_seed(seed))


# fbgemm's kernel of every CPU, and its kernel for this CPU
FBGEMM = {
    largest: partial(FbgemmInt8Linear, largest_activation=largest)
    for largest in {LARGEST_WITHOUT_VNNI, LARGEST_ACTIVATION}
}
INT8 = [*FBGEMM.items(), *([(LARGEST, NativeInt8Linear)] if native_products() else [])]
INT4 = [TorchInt4Linear, *([NativeInt4Linear] if native_products() else [])]


def test_the_native_products_exist_where_a_compiler_does():
    assert native_products() == (shutil.which("g++") is not None)


@pytest.mark.parametrize("largest, layer", INT8)
@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 70), st.integers(1, 5))
@settings(max_examples=25)
def test_int8_is_the_product_of_the_rounded_numbers(largest, layer, seed, out, into, rows):
    weight, x = weights(seed, out, into), weights(seed + 1, rows, into) * 10
    (codes, scale), (x_codes, x_scale) = to_int8(weight), to_int8(x, largest)
    assert (codes.float() * scale[:, None] - weight).abs().max() <= scale.max() * 0.501
    wanted = (x_codes.double() @ codes.double().T) * scale.double() * x_scale.double()[:, None]
    torch.testing.assert_close(layer(weight)(x).double(), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("layer", INT4)
@given(st.integers(0, 99), st.integers(1, 6), st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=25)
def test_int4_is_the_product_of_the_rounded_numbers(layer, seed, sixteens, groups, rows):
    weight, x = weights(seed, 16 * sixteens, GROUP * groups), weights(seed + 1, rows, GROUP * groups)
    codes, scales = to_int4(weight)
    scale, middle = scales.float().unbind(-1)
    back = (codes.unflatten(1, (groups, GROUP)) - 8) * scale.T[..., None] + middle.T[..., None]
    assert (back - weight.unflatten(1, (groups, GROUP))).abs().amax(-1).le(scale.T * 0.75 + 0.02).all()
    wanted = x.bfloat16().float() @ back.flatten(1).T
    torch.testing.assert_close(layer(weight)(x), wanted, atol=0.02 * float(wanted.abs().max()), rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [layer for _, layer in INT8] + INT4[1:])
def test_a_row_gets_the_same_bits_in_any_batch(make, dtype):
    layer, x = make(weights(0, 96, 64)), weights(1, 9, 64).to(dtype)
    assert layer(x).dtype == dtype
    assert all(torch.equal(layer(x[row : row + 1]), layer(x)[row : row + 1]) for row in range(9))
    assert torch.equal(layer(x[:, None, None]).flatten(0, 2), layer(x))


@pytest.mark.parametrize("layer", [layer for _, layer in INT8] + INT4)
def test_a_row_of_zeros_gives_zeros(layer):
    assert torch.equal(layer(weights(0, 16, 32))(torch.zeros(2, 32)), torch.zeros(2, 16))


@pytest.mark.parametrize("layer", [layer for _, layer in INT8] + INT4)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 17, 63])
def test_a_row_that_is_not_finite_stays_so_and_spoils_no_other(layer, value, place):
    x = weights(1, 3, 64)
    x[1, place] = value
    out = layer(weights(0, 16, 64))(x)
    assert not out[1].isfinite().any()
    assert out[[0, 2]].isfinite().all()


@pytest.mark.parametrize("layer", [layer for _, layer in INT8])
def test_int8_is_exact_for_the_largest_integers(layer):
    """Two adjacent products of the largest bytes saturate 16-bit sums."""
    weight = torch.full((32, 144), 1.0)
    torch.testing.assert_close(layer(weight)(torch.full((3, 144), -2.0)), torch.full((3, 32), -288.0))


def quantize_for_any_cpu(network):
    replace_linears(network, FBGEMM[LARGEST_WITHOUT_VNNI])


QUANTIZERS = {
    "int8": partial(quantize, kind="int8"),
    "int8 without VNNI": quantize_for_any_cpu,
    "int4": partial(quantize, kind="int4"),
}


@pytest.mark.parametrize("kind, close", [("int8", 0.06), ("int8 without VNNI", 0.06), ("int4", 0.5)])
def test_a_quantized_network_returns_nearly_the_same_logits(tiny, kind, close):
    text, mask, tokens = (
        torch.full((1, 9), 70),
        torch.ones(1, 9, dtype=torch.bool),
        torch.randint(0, 32, (1, 12, 4)),
    )
    small = copy.deepcopy(tiny)
    QUANTIZERS[kind](small)
    assert not any(isinstance(module, nn.Linear) for module in small.modules())
    with torch.inference_mode():
        wanted, made = tiny(text, mask, tokens), small(text, mask, tokens)
    assert (made - wanted).norm() / wanted.norm() < close


def test_a_quantized_network_generates_each_item_as_alone(tiny):
    quantize(tiny, "int8")
    requests = [
        Request(text, seed)
        for seed, text in enumerate(["[S1] Hello there.", "[S1] No. [S2] Yes, I do!", "[S1] Hm."])
    ]
    together = generate_codes(tiny, requests, Sampling(), 40)
    for request, result in zip(requests, together, strict=True):
        assert torch.equal(generate_codes(tiny, [request], Sampling(), 40)[0].codes_TC, result.codes_TC)
        assert torch.equal(
            generate_codes(tiny, [request], Sampling(), 40, compiled=True)[0].codes_TC, result.codes_TC
        )


@pytest.mark.parametrize("kind", ["int8", "int8 without VNNI"])
def test_torchao_s_int8_agrees_with_ours(tiny, kind):
    pytest.importorskip("torchao")
    ours, theirs = copy.deepcopy(tiny), copy.deepcopy(tiny)
    QUANTIZERS[kind](ours)
    quantize_with_torchao(theirs, "int8")
    text, mask, tokens = (
        torch.full((1, 9), 70),
        torch.ones(1, 9, dtype=torch.bool),
        torch.randint(0, 32, (1, 12, 4)),
    )
    with torch.inference_mode():
        made, wanted = ours(text, mask, tokens), theirs(text, mask, tokens)
    assert (made - wanted).norm() / wanted.norm() < 0.06


def test_fp8_weights_of_torchao_are_close(tiny):
    pytest.importorskip("torchao")
    rounded = copy.deepcopy(tiny)
    quantize_with_torchao(rounded, "fp8")
    text, mask = torch.full((1, 9), 70), torch.ones(1, 9, dtype=torch.bool)
    tokens = torch.randint(0, 32, (1, 12, 4))
    with torch.inference_mode():
        made, wanted = rounded(text, mask, tokens), tiny(text, mask, tokens)
    assert 0 < (made - wanted).norm() / wanted.norm() < 0.1  # three bits of mantissa


def test_an_unknown_kind_of_quantization_is_reported(tiny):
    with pytest.raises(UserError, match="int8, int4, fp8"):
        quantize(tiny, "int2")
    with pytest.raises(UserError, match="GPUs only"):
        quantize(tiny, "fp8")
