"""Attention of dia/native equals torch's, whatever is masked, shared or strided."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dia.native import native_products
from dia.network.layers import _native_attention

pytestmark = pytest.mark.skipif(not native_products(), reason="no compiler")
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def case(batch, kv_heads, shared, steps, keys, width, seed, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    queries, key, value = (
        torch.randn(batch, length, heads, width, generator=rng).to(dtype).transpose(1, 2)
        for heads, length in ((kv_heads * shared, steps), (kv_heads, keys), (kv_heads, keys))
    )
    mask = torch.rand(batch, 1, steps, keys, generator=rng) < 0.6
    mask[..., 0] = True
    return queries, key, value, mask


shapes = st.tuples(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 70),
    st.sampled_from([8, 16, 33, 64, 128]),
    st.integers(0, 99),
)


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(shapes)
def test_it_equals_torch_s(dtype, shape):
    queries, keys, values, mask = case(*shape, dtype)
    wide = [tensor.float() for tensor in (queries, keys, values)]
    wanted = F.scaled_dot_product_attention(*wide, attn_mask=mask, scale=1.0, enable_gqa=True)
    actual = _native_attention(queries, keys, values, mask)
    assert actual.dtype == dtype and actual.shape == queries.shape
    torch.testing.assert_close(actual.float(), wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@given(shapes)
def test_queries_in_fp32_read_a_cache_in_bf16(shape):
    queries, keys, values, mask = case(*shape)
    narrow = [tensor.bfloat16() for tensor in (keys, values)]
    wanted = _native_attention(queries, *(tensor.float() for tensor in narrow), mask)
    torch.testing.assert_close(_native_attention(queries, *narrow, mask), wanted, atol=1e-5, rtol=1e-5)


@given(shapes, st.integers(1, 30))
def test_masked_steps_change_no_bit(shape, more):
    queries, keys, values, mask = case(*shape)
    wanted = _native_attention(queries, keys, values, mask)
    padded = [F.pad(tensor, (0, 0, 0, more), value=float("nan")) for tensor in (keys, values)]
    assert torch.equal(_native_attention(queries, *padded, F.pad(mask, (0, more))), wanted)


@given(shapes)
def test_a_step_gets_the_same_bits_among_any_others(shape):
    queries, keys, values, mask = case(*shape)
    together = _native_attention(queries, keys, values, mask)
    for step in range(queries.shape[2]):
        alone = _native_attention(
            queries[:, :, step : step + 1], keys, values, mask[:, :, step : step + 1].contiguous()
        )
        assert torch.equal(alone, together[:, :, step : step + 1])


def test_one_mask_serves_all_steps_and_items():
    queries, keys, values, mask = case(3, 2, 2, 4, 9, 16, 0)
    one = mask[:1, :, :1]
    wanted = F.scaled_dot_product_attention(queries, keys, values, attn_mask=one, scale=1.0, enable_gqa=True)
    torch.testing.assert_close(_native_attention(queries, keys, values, one), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 10.0, 1e3])
def test_weights_of_any_size_are_accurate(scale):
    queries, keys, values, mask = case(2, 1, 4, 1, 200, 32, 0)
    wide = [tensor.double() for tensor in (queries * scale, keys, values)]
    wanted = F.scaled_dot_product_attention(*wide, attn_mask=mask, scale=1.0, enable_gqa=True)
    actual = _native_attention(queries * scale, keys, values, mask)
    torch.testing.assert_close(actual.double(), wanted, atol=1e-3 if scale > 100 else 1e-5, rtol=1e-4)


def test_a_query_that_is_not_finite_stays_so():
    queries, keys, values, mask = case(2, 1, 1, 1, 9, 16, 0)
    queries[0, 0, 0, 3] = float("nan")
    mixed = _native_attention(queries, keys, values, mask)
    assert mixed[0].isnan().all() and mixed[1].isfinite().all()


def test_the_compiler_knows_its_shape():
    queries, keys, values, mask = case(2, 2, 2, 3, 9, 16, 0)
    compiled = torch.compile(_native_attention, fullgraph=True, dynamic=False)
    torch.testing.assert_close(
        compiled(queries, keys, values, mask), _native_attention(queries, keys, values, mask)
    )
