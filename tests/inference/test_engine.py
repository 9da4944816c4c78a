from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.errors import UserError
from dia.inference import Request, Sampling, generate_codes
from dia.inference.compiled import compiled_step
from dia.inference.engine import stream_codes
from dia.inference.request import encode_texts, initial_canvas
from dia.inference.sampling import (
    draw,
    forbid_specials,
    guidance_scale,
    guide,
    keep_top_p,
    sample,
    settle_eos,
)
from dia.inference.step import FREE
from dia.network import DiaNetwork
from tests.conftest import TINY

EOS = 32


@cache
def ending_network(steps=TINY.decoder.max_positions):
    """Return a random network of ``steps`` steps whose channel 0 ends with a high probability."""
    torch.manual_seed(0)
    network = DiaNetwork(replace(TINY, decoder=replace(TINY.decoder, max_positions=steps))).eval()
    network.logits_dense.weight.data *= 30
    network.logits_dense.weight.data[EOS] = network.logits_dense.weight.data[9] * 1.2
    return network


def logits(seed):
    return torch.randn(3, 4, 36, generator=torch.Generator().manual_seed(seed)) * 3


def spread(candidates):
    """Return the logits of candidates at their ids and -inf elsewhere, as processors of transformers do."""
    return torch.full((3, 4, 36), float("-inf")).scatter(-1, candidates.ids_BCK, candidates.logits_BCK)


@given(st.integers(0, 999), st.floats(0.5, 5.0), st.integers(1, 36))
@settings(max_examples=30)
def test_guidance_matches_transformers(seed, scale, top_k):
    processors = pytest.importorskip("transformers.generation.logits_process")
    cond, uncond = logits(seed), logits(seed + 1)
    processor = processors.DiaClassifierFreeGuidanceLogitsProcessor(scale + 1, top_k)
    wanted = processor(torch.zeros(12, 1), torch.cat((cond.flatten(0, 1), uncond.flatten(0, 1)))).view(
        3, 4, 36
    )
    assert torch.equal(
        spread(guide(cond, uncond, Sampling(cfg_scale=scale + 1, cfg_filter_top_k=top_k))), wanted
    )


def everything(seed):
    return guide(logits(seed), None, Sampling(cfg_filter_top_k=None))


@given(st.integers(0, 999))
@settings(max_examples=30)
def test_eos_rule_matches_transformers(seed):
    processors = pytest.importorskip("transformers.generation.logits_process")
    wanted = processors.DiaEOSChannelFilterLogitsProcessor(4, EOS)(None, logits(seed).flatten(0, 1)).view(
        3, 4, 36
    )
    assert torch.equal(spread(settle_eos(forbid_specials(everything(seed), EOS), EOS)), wanted)


@given(st.integers(0, 999), st.floats(0.3, 2.0), st.floats(0.1, 1.0), st.integers(5, 36))
@settings(max_examples=20)
def test_only_candidates_of_transformers_are_drawn(seed, temperature, top_p, top_k):
    """Draws from 200 evenly spaced numbers have the probabilities of the processors of transformers."""
    processors = pytest.importorskip("transformers.generation.logits_process")
    cond, uncond = logits(seed), logits(seed + 1)
    scores = processors.DiaClassifierFreeGuidanceLogitsProcessor(3.0, top_k)(
        torch.zeros(12, 1), torch.cat((cond, uncond)).flatten(0, 1)
    )
    scores = processors.DiaEOSChannelFilterLogitsProcessor(4, EOS)(None, scores)
    scores = processors.TopPLogitsWarper(top_p)(
        None, processors.TemperatureLogitsWarper(temperature)(None, scores)
    )
    wanted = scores.softmax(-1).view(3, 4, 36)
    sampling = Sampling(3.0, temperature, top_p, top_k)
    numbers = (torch.arange(200) + 0.5) / 200
    drawn = torch.stack([sample(cond, uncond, number.expand(3, 4), EOS, sampling) for number in numbers], -1)
    shares = torch.nn.functional.one_hot(drawn, 36).float().mean(-2)
    torch.testing.assert_close(shares, wanted, atol=0.011, rtol=0)


def test_draws_follow_the_probabilities():
    probabilities = torch.tensor([0.6, 0.3, 0.1, 0.0]).expand(1, 1, 4)
    numbers = (torch.arange(10_000) + 0.5) / 10_000
    drawn = torch.stack([draw(probabilities, number.view(1, 1)) for number in numbers]).flatten()
    assert torch.bincount(drawn, minlength=4).tolist() == [6_000, 3_000, 1_000, 0]


def test_top_p_retains_the_candidate_that_crosses_the_threshold():
    retained = keep_top_p(torch.tensor([[[0.4, 0.3, 0.2, 0.1]]]), 0.6)
    assert (retained > 0).flatten().tolist() == [True, True, False, False]


def test_guidance_decreases_linearly():
    sampling = Sampling(cfg_scale=3.0, cfg_final=1.0, cfg_steps=10)
    assert guidance_scale(sampling, torch.tensor([0, 5, 10, 99])).flatten().tolist() == [3.0, 2.0, 1.0, 1.0]
    cond, uncond = logits(1), logits(2)
    guided = guide(cond, uncond, sampling, guidance_scale(sampling, torch.tensor([5, 5, 5])))
    assert torch.equal(guided.ids_BCK, guide(cond, uncond, Sampling(cfg_scale=2.0)).ids_BCK)


def test_rescaling_restores_the_standard_deviation_of_the_conditional_logits():
    cond, uncond = logits(1), logits(2)
    free = Sampling(3.0, cfg_filter_top_k=None, cfg_rescale=1.0)
    made = guide(cond, uncond, free).logits_BCK
    torch.testing.assert_close(made.std(-1), cond.std(-1))
    assert torch.equal(made.argsort(-1), (cond + 3.0 * (cond - uncond)).argsort(-1))


def test_the_first_generation_draws_from_the_guided_logits():
    cond, uncond = logits(1), logits(2)
    guided = guide(cond, uncond, Sampling(3.0, cfg_filter_top_k=5, draw_guided=True))
    assert torch.equal(guided.logits_BCK, (cond + 3.0 * (cond - uncond)).topk(5).values)


@pytest.fixture
def compile_with(monkeypatch):
    """Return a function that sets the backend of `torch.compile` for this test."""

    def choose(backend):
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
        compiled_step.cache_clear()

    yield choose
    compiled_step.cache_clear()


@pytest.mark.parametrize(
    "sampling, backend",
    [
        (Sampling(), "inductor"),
        # the other branches are captured as a user's are; compiling C++ for each takes half a minute
        (Sampling(0.0), "aot_eager"),
        (Sampling(3.0, cfg_final=0.0, cfg_steps=5), "aot_eager"),
        (Sampling(3.0, 0.0), "aot_eager"),
    ],
)
def test_a_compiled_step_gives_the_same_codes(tiny, sampling, backend, compile_with):
    compile_with(backend)
    prompt = torch.randint(0, 32, (9, 4), generator=torch.Generator().manual_seed(3))
    requests = [
        Request("[S1] Hello there.", 0, prompt),
        Request("[S1] Hi.", 1),
        Request("[S1] Ho. [S2] No!", 2, prompt[:3]),
    ]
    for plain, fast in zip(
        *(generate_codes(tiny, requests, sampling, 40, compiled) for compiled in (False, True)), strict=True
    ):
        assert torch.equal(plain.codes_TC, fast.codes_TC) and plain.ended == fast.ended


@given(st.integers(0, 50), st.integers(1, 9))
@settings(max_examples=15)
def test_a_concatenated_stream_equals_generation_at_once(seed, frames):
    network = ending_network()
    whole = generate_codes(network, [Request("[S1] Hello there.", seed)], Sampling(), 60)[0]
    pieces = list(stream_codes(network, Request("[S1] Hello there.", seed), Sampling(), 60, frames))
    assert torch.equal(torch.cat([piece.codes_TC for piece in pieces]), whole.codes_TC)
    assert [piece.ended for piece in pieces] == [False] * (len(pieces) - 1) + [whole.ended]
    assert all(len(piece.codes_TC) == frames for piece in pieces[:-1])


@given(st.integers(0, 9), st.integers(1, 30))
@settings(max_examples=25)
def test_the_initial_canvas_equals_a_loop_over_its_cells(frames, steps):
    """Independent of the delay functions: channel c of frame f is in row f + 1 + delay, row 0 is BOS."""
    delays, bos = TINY.delays, TINY.decoder.bos
    prompt = torch.randint(0, 32, (frames, len(delays)), generator=torch.Generator().manual_seed(frames))
    canvas = initial_canvas(prompt if frames else None, delays, bos, steps)
    assert canvas.shape == (steps, len(delays))
    for step in range(steps):
        for channel, by in enumerate(delays):
            frame = step - by - 1
            expected = bos if frame < 0 else int(prompt[frame, channel]) if frame < frames else FREE
            assert canvas[step, channel] == expected


def test_an_item_is_independent_of_its_batch(tiny):
    texts = ["[S1] Hello there.", "[S1] A much longer text than the first one. [S2] Yes!", "[S1] Hm."]
    requests = [Request(text, seed=number) for number, text in enumerate(texts)]
    together = generate_codes(tiny, requests, Sampling(), 40)
    for request, result in zip(requests, together, strict=True):
        alone = generate_codes(tiny, [request], Sampling(), 40)[0]
        assert torch.equal(alone.codes_TC, result.codes_TC) and alone.ended == result.ended
    again = generate_codes(tiny, [Request(texts[0], seed=7)], Sampling(), 40)[0]
    assert not torch.equal(again.codes_TC[:3], together[0].codes_TC[:3])


def test_prompts_of_different_lengths_in_a_batch_continue_as_each_alone(tiny):
    prompt = torch.randint(0, 32, (9, 4), generator=torch.Generator().manual_seed(3))
    requests = [
        Request("[S1] Hello there.", 0, prompt),
        Request("[S1] Hi.", 1, prompt[:4]),
        Request("[S1] Ho.", 2),
    ]
    together = generate_codes(tiny, requests, Sampling(), 40)
    for request, result in zip(requests, together, strict=True):
        assert torch.equal(generate_codes(tiny, [request], Sampling(), 40)[0].codes_TC, result.codes_TC)


def test_greedy_codes_match_a_loop_over_teacher_forcing(tiny):
    request = Request("[S1] Hello there.", 0)
    made = generate_codes(tiny, [request], Sampling(cfg_scale=0, temperature=0, cfg_filter_top_k=None), 20)[0]
    text, mask = encode_texts([request.text])
    canvas = initial_canvas(None, tiny.config.delays, tiny.config.decoder.bos, 20)
    with torch.no_grad():
        for step in range(len(made.codes_TC)):
            logits = tiny(text, mask, canvas[None, : step + 1].clamp_min(0))[:, -1]
            following = sample(logits, None, torch.zeros(1, 4), EOS, Sampling(0, 0, 1, None))[0]
            canvas[step + 1] = torch.where(canvas[step + 1] < 0, following, canvas[step + 1])
    frames = len(made.codes_TC) - max(tiny.config.delays)
    rows = torch.arange(frames)[:, None] + 1 + torch.tensor(tiny.config.delays)
    assert torch.equal(made.codes_TC[:frames], canvas.gather(0, rows))


def test_values_out_of_range_are_all_reported(tiny):
    with pytest.raises(UserError) as caught:
        generate_codes(tiny, [Request("[S1] x")], Sampling(float("nan"), -1, 0, 0), 10_000)
    assert all(
        key in str(caught.value)
        for key in ("cfg_scale", "temperature", "top_p", "cfg_filter_top_k", "max_tokens")
    )


@pytest.mark.parametrize("delays", [[0, 2, 3, 4], [0, 0, 0, 0], [0, 1, 1, 5]])
@pytest.mark.parametrize("prompt", [0, 6])
def test_the_length_limit_gives_as_many_frames_as_nari(tiny, delays, prompt):
    """max_tokens less BOS, the prompt and the longest delay (nari-labs/dia 876125e, dia/model.py:777-870)."""
    network = DiaNetwork(replace(TINY, delays=delays)).eval()
    network.load_state_dict(tiny.state_dict())
    network.logits_dense.weight.data[EOS] = 0
    network.logits_dense.weight.data *= 20  # EOS is never the largest
    codes = torch.zeros(prompt, 4, dtype=torch.long) if prompt else None
    made = generate_codes(network, [Request("[S1] x", 0, codes)], Sampling(), 30)[0]
    assert len(made.codes_TC) == 30 - 1 - prompt - max(delays) and not made.ended
    assert network.config.steps_for(len(made.codes_TC) + prompt) == 30
    pieces = [
        piece.codes_TC
        for piece in stream_codes(network, Request("[S1] x", 0, codes), Sampling(), 30, frames=3)
    ]
    assert torch.equal(torch.cat(pieces), made.codes_TC)
