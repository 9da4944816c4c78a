"""Generation equals that of transformers token for token; cross-attention equals a float64 reference."""

import pytest
import torch

from dia.checkpoint import save_checkpoint
from dia.codecs.delay import delay, undelay
from dia.inference import Request, Sampling, generate_codes
from dia.inference.request import encode_texts
from dia.network.layers import rotary_angles, rotate

TEXTS = ["[S1] Hello there.", "[S1] Hi. [S2] Yes, I do."]
STEPS = 41


@pytest.fixture
def theirs(tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    ids = tiny.config.decoder
    # EOS is probable, so that both ways of ending occur: by EOS and at the maximum length
    tiny.logits_dense.weight.data[ids.eos] = tiny.logits_dense.weight.data[9] * 1.2
    save_checkpoint(tiny, tmp_path / "model", None)
    return transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model").eval()


@torch.no_grad()
def test_encoder_states_equal_those_of_transformers(tiny, theirs):
    text, mask = encode_texts(TEXTS)
    states = theirs.model.encoder(input_ids=text, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(tiny.encoder(text, mask)[mask], states[mask], atol=1e-5, rtol=0)


def generated_by_transformers(theirs, config, texts, prompt, scale, top_k):
    ids, (text, mask) = config.decoder, encode_texts(texts)
    begin = torch.full((len(texts), 1, config.channels), ids.bos)
    known = begin if prompt is None else torch.cat((begin, prompt[None]), 1)
    sequences = theirs.generate(
        input_ids=text,
        attention_mask=mask.long(),
        decoder_input_ids=delay(known, config.delays, ids.bos, ids.pad),
        decoder_attention_mask=torch.ones(known.shape[:2], dtype=torch.long),
        do_sample=False,
        max_new_tokens=STEPS - known.shape[1],
        guidance_scale=scale,
        top_k=top_k,
    )
    return undelay(sequences, config.delays)[:, known.shape[1] :]


@pytest.mark.parametrize("scale, top_k", [(3.0, 10), (4.0, 36), (2.0, 5)])
def test_greedy_codes_equal_those_of_transformers(tiny, theirs, scale, top_k):
    """Before its limit transformers forces EOS; nari's code and ours generate one frame more."""
    wanted = generated_by_transformers(theirs, tiny.config, TEXTS, None, scale, top_k)
    ours = generate_codes(tiny, [Request(text) for text in TEXTS], Sampling(scale, 0.0, 1.0, top_k), STEPS)
    for item, codes in zip(ours, wanted, strict=True):
        frames = min(len(item.codes_TC), STEPS - 3 - max(tiny.config.delays))
        assert frames > 0 and torch.equal(item.codes_TC[:frames], codes[:frames])
        if item.ended:
            assert int(codes[len(item.codes_TC), 0]) == tiny.config.decoder.eos


def test_greedy_codes_after_a_voice_prompt_equal_those_of_transformers(tiny, theirs):
    prompt = torch.randint(0, 32, (9, 4), generator=torch.Generator().manual_seed(3))
    wanted = generated_by_transformers(theirs, tiny.config, TEXTS[:1], prompt, 3.0, 10)[0]
    ours = generate_codes(tiny, [Request(TEXTS[0], prompt_TC=prompt)], Sampling(3.0, 0.0, 1.0, 10), STEPS)[0]
    frames = min(len(ours.codes_TC), len(wanted))
    assert frames > 0 and torch.equal(ours.codes_TC[:frames], wanted[:frames])


def turned(x_BTNH, theta):
    """Apply rotary positions: multiply the pairs (feature i, feature i + H / 2) by exp(i * angle)."""
    half = x_BTNH.shape[-1] // 2
    speeds = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(x_BTNH.shape[1], dtype=torch.float64)[:, None, None] * speeds
    pairs = torch.complex(x_BTNH[..., :half], x_BTNH[..., half:]) * torch.polar(
        torch.ones_like(angles), angles
    )
    return torch.cat((pairs.real, pairs.imag), -1)


@torch.no_grad()
@pytest.mark.parametrize("cross_rope", [True, False])
def test_cross_attention_equals_the_float64_reference(tiny, cross_rope):
    layer, theta = tiny.decoder.layers[0], tiny.config.rope_theta
    layer.cross_rope = cross_rope
    x, memory, mask = torch.randn(2, 6, 64), torch.randn(2, 11, 32), torch.ones(2, 11, dtype=torch.bool)
    mask[1, 7:] = False
    cross = layer.cross_attention
    q, k, v = (
        (source.double() @ matrix.weight.double().T).unflatten(-1, (2, 16))
        for source, matrix in ((x, cross.q_proj), (memory, cross.k_proj), (memory, cross.v_proj))
    )
    if cross_rope:
        q, k = turned(q, theta), turned(k, theta)
    scores = torch.einsum("btnh,bsnh->bnts", q, k).masked_fill(~mask[:, None, None], float("-inf"))
    mixed = torch.einsum("bnts,bsnh->btnh", scores.softmax(-1), v).flatten(2)
    wanted = mixed @ cross.o_proj.weight.double().T
    angles = [rotary_angles(torch.arange(count), 16, theta) for count in (6, 11)]
    queries = rotate(cross.queries(x), angles[0]) if cross_rope else cross.queries(x)
    attended = cross.attend(queries, *layer.memory(memory, angles[1]), mask[:, None, None], False)
    torch.testing.assert_close(attended.double(), wanted, atol=1e-5, rtol=1e-4)
