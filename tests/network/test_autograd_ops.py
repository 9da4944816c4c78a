import pytest
import torch
import torch.nn.functional as F

from dia.network.layers import Attention, GatedSiLU, RMSNorm


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_explicit_gradients_equal_those_of_autograd(dtype):
    torch.manual_seed(0)
    norm, gated = RMSNorm(6, 1e-5), GatedSiLU(6, 8).to(dtype)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 3, 6, dtype=dtype, requires_grad=True)
    wanted_norm = norm.weight.to(dtype) * F.rms_norm(x, (6,), eps=1e-5)
    gate, up = gated.gate_up_proj(x).chunk(2, dim=-1)
    for actual, wanted, weight in (
        (norm(x), wanted_norm, norm.weight),
        (gated(x), gated.down_proj(F.silu(gate) * up), gated.gate_up_proj.weight),
    ):
        slope = torch.randn(actual.shape, dtype=dtype)
        near = {"rtol": 1e-6, "atol": 1e-6} if dtype == torch.float64 else {"rtol": 0.05, "atol": 0.05}
        torch.testing.assert_close(actual, wanted, **near)
        torch.testing.assert_close(
            torch.autograd.grad(actual, (x, weight), slope),
            torch.autograd.grad(wanted, (x, weight), slope),
            **near,
        )


def test_training_and_inference_agree(tiny):
    torch.manual_seed(1)
    text, tokens = torch.randint(1, 200, (2, 10)), torch.randint(0, 36, (2, 7, 4))
    training = tiny(text, torch.ones(2, 10, dtype=torch.bool), tokens)
    with torch.no_grad():
        torch.testing.assert_close(training.detach(), tiny(text, torch.ones(2, 10, dtype=torch.bool), tokens))


def test_attention_under_autocast_on_a_cpu_returns_bf16_and_has_the_gradients_of_fp32():
    attention = Attention(64, 64, heads=4, key_value_heads=2, head_dim=16)
    x_BTD = torch.randn(2, 9, 64)
    answers, gradients = [], []
    for autocast in (False, True):
        attention.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            heads = attention.queries_keys_values(x_BTD)
            answers.append(attention.attend(*heads, None, causal=True))
        answers[-1].float().square().sum().backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in attention.parameters()]))
    assert [answer.dtype for answer in answers] == [torch.float32, torch.bfloat16]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        inferred = attention.attend(*attention.queries_keys_values(x_BTD), None, causal=True)
    torch.testing.assert_close(answers[1], inferred, rtol=0.02, atol=0.02)
    torch.testing.assert_close(answers[1].float(), answers[0], rtol=0.02, atol=0.02)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999
