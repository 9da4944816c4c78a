import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.errors import UserError
from dia.inference import Request, Sampling, generate_codes
from dia.inference.engine import known_rows
from dia.inference.sampling import draw, forbid_specials, guide, keep_top_p, settle_eos

EOS = 32


def logits(seed):
    return torch.randn(3, 4, 36, generator=torch.Generator().manual_seed(seed)) * 3


@given(st.integers(0, 999), st.floats(0.5, 5.0), st.integers(1, 36))
@settings(max_examples=30)
def test_guidance_matches_transformers(seed, scale, top_k):
    processors = pytest.importorskip("transformers.generation.logits_process")
    cond, uncond = logits(seed), logits(seed + 1)
    processor = processors.DiaClassifierFreeGuidanceLogitsProcessor(scale + 1, top_k)
    wanted = processor(torch.zeros(12, 1), torch.cat((cond.flatten(0, 1), uncond.flatten(0, 1)))).view(3, 4, 36)
    assert torch.equal(guide(cond, uncond, Sampling(cfg_scale=scale + 1, cfg_filter_top_k=top_k)), wanted)


@given(st.integers(0, 999))
@settings(max_examples=30)
def test_eos_rule_matches_transformers(seed):
    processors = pytest.importorskip("transformers.generation.logits_process")
    wanted = processors.DiaEOSChannelFilterLogitsProcessor(4, EOS)(None, logits(seed).flatten(0, 1)).view(3, 4, 36)
    assert torch.equal(settle_eos(forbid_specials(logits(seed), EOS), EOS), wanted)


def test_draws_follow_the_probabilities():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3]).expand(1, 1, 4)
    numbers = (torch.arange(10_000) + 0.5) / 10_000
    drawn = torch.stack([draw(probabilities, number.view(1, 1)) for number in numbers]).flatten()
    assert torch.bincount(drawn, minlength=4).tolist() == [1_000, 0, 6_000, 3_000]


def test_top_p_keeps_the_id_that_crosses():
    kept = keep_top_p(torch.tensor([[[0.1, 0.2, 0.3, 0.4]]]), 0.6)
    assert (kept > 0).flatten().tolist() == [False, False, True, True]


def test_an_item_does_not_depend_on_its_batch(tiny):
    texts = ["[S1] Hello there.", "[S1] A much longer text than the first one. [S2] Yes!", "[S1] Hm."]
    requests = [Request(text, seed=number) for number, text in enumerate(texts)]
    together = generate_codes(tiny, requests, Sampling(), 40)
    for request, result in zip(requests, together, strict=True):
        alone = generate_codes(tiny, [request], Sampling(), 40)[0]
        assert torch.equal(alone.codes_TC, result.codes_TC) and alone.ended == result.ended
    again = generate_codes(tiny, [Request(texts[0], seed=7)], Sampling(), 40)[0]
    assert not torch.equal(again.codes_TC[:3], together[0].codes_TC[:3])


def test_prompts_of_different_lengths_continue_as_alone(tiny):
    prompt = torch.randint(0, 32, (9, 4), generator=torch.Generator().manual_seed(3))
    requests = [Request("[S1] Hello there.", 0, prompt), Request("[S1] Hi.", 1, prompt[:4]), Request("[S1] Ho.", 2)]
    together = generate_codes(tiny, requests, Sampling(), 40)
    for request, result in zip(requests, together, strict=True):
        assert torch.equal(generate_codes(tiny, [request], Sampling(), 40)[0].codes_TC, result.codes_TC)


def test_greedy_codes_match_a_loop_over_teacher_forcing(tiny):
    request = Request("[S1] Hello there.", 0)
    made = generate_codes(tiny, [request], Sampling(cfg_scale=0, temperature=0, cfg_filter_top_k=None), 20)[0]
    from dia.inference.engine import encode_texts

    text, mask = encode_texts([request.text])
    canvas = known_rows(None, tiny.config.delays, tiny.config.decoder.bos, 20)
    with torch.no_grad():
        for step in range(len(made.codes_TC)):
            following = forbid_specials(tiny(text, mask, canvas[None, : step + 1].clamp_min(0))[:, -1], EOS).argmax(-1)[0]
            canvas[step + 1] = torch.where(canvas[step + 1] < 0, following, canvas[step + 1])
    frames = len(made.codes_TC) - max(tiny.config.delays)
    rows = torch.arange(frames)[:, None] + 1 + torch.tensor(tiny.config.delays)
    assert torch.equal(made.codes_TC[:frames], canvas.gather(0, rows))


def test_values_out_of_range_are_all_reported(tiny):
    with pytest.raises(UserError) as caught:
        generate_codes(tiny, [Request("[S1] x")], Sampling(float("nan"), -1, 0, 0), 10_000)
    assert all(key in str(caught.value) for key in ("cfg_scale", "temperature", "top_p", "cfg_filter_top_k", "max_tokens"))
