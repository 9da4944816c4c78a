"""Requests join and leave a running batch, and each gets the codes that it would get alone."""

import copy
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.errors import UserError
from dia.inference import Request, Sampling, generate_codes
from dia.inference.batch import DecodingBatch
from dia.inference.continuous import ContinuousBatch
from dia.inference.quantization import quantize
from dia.network import DiaNetwork
from tests.conftest import TINY
from tests.inference.test_engine import ending_network
from tests.inference.test_not_finite import broken

TEXTS = ("[S1] Hi.", "[S1] Hello there.", "[S1] A much longer text than the others. [S2] Yes! (laughs)")
STEPS = 200
LONG = replace(TINY, decoder=replace(TINY.decoder, max_positions=STEPS))


@pytest.fixture
def tiny():
    torch.manual_seed(1)
    return DiaNetwork(LONG).eval()


@cache
def int8_network():
    network = copy.deepcopy(ending_network(STEPS))
    quantize(network, "int8")
    return network


def request_of(text, seed, prompt, limit):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 32, (prompt, TINY.channels), generator=generator) if prompt else None
    return Request(TEXTS[text], seed, codes, limit)


requests = st.builds(
    request_of,
    st.integers(0, len(TEXTS) - 1),
    st.integers(0, 99),
    st.sampled_from([0, 0, 3, 70]),
    st.sampled_from([None, 90, STEPS]),
)


def run_all(batch, arrivals):
    """Add requests at their steps, run until all have ended, and return the results in their order."""
    numbers, results, step = [], {}, 0
    pending = sorted(enumerate(arrivals), key=lambda item: item[1][0])
    order = {}
    while pending or len(batch):
        while pending and pending[0][1][0] <= step:
            place, (_, request) = pending.pop(0)
            order[batch.add(request)] = place
        results |= batch.step()
        step += 1
        assert step < 20 * STEPS
    numbers = {order[number]: result for number, result in results.items()}
    return [numbers[place] for place in range(len(arrivals))]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), requests), min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from([Sampling(), Sampling(cfg_scale=0.0), Sampling(temperature=0.0)]),
)
def test_each_request_gets_the_codes_that_it_gets_alone(arrivals, capacity, sampling):
    network = ending_network(STEPS)
    results = run_all(ContinuousBatch(network, sampling, capacity), arrivals)
    for (_, request), result in zip(arrivals, results, strict=True):
        alone = generate_codes(network, [request], sampling, request.max_tokens or STEPS)[0]
        assert torch.equal(alone.codes_TC, result.codes_TC) and alone.ended == result.ended


@pytest.mark.slow
def test_int8_codes_are_those_alone():
    network = int8_network()
    arrivals = [(3 * number, request_of(number % 3, number, 0, None)) for number in range(6)]
    results = run_all(ContinuousBatch(network, Sampling(), 3), arrivals)
    for (_, request), result in zip(arrivals, results, strict=True):
        assert torch.equal(generate_codes(network, [request], Sampling(), STEPS)[0].codes_TC, result.codes_TC)


def test_codes_are_complete_while_the_request_runs(tiny):
    request = Request(TEXTS[1], 5, None, 60)
    whole = generate_codes(tiny, [request], Sampling(), 60)[0].codes_TC
    batch = ContinuousBatch(tiny, Sampling(), 2)
    number = batch.add(request)
    other = batch.add(Request(TEXTS[2], 1))
    frames = 0
    while number not in batch.step():
        codes = batch.complete_codes(number, 0)
        assert len(codes) == batch.frames(number) >= frames
        assert torch.equal(codes, whole[: len(codes)])
        frames = len(codes)
    assert frames > 20
    batch.remove(other)
    assert len(batch) == 0 and batch.step() == {}


def test_a_removed_request_frees_its_place(tiny):
    batch = ContinuousBatch(tiny, Sampling(), 1)
    first, second, third = (batch.add(Request(text, 1, None, 40)) for text in TEXTS)
    for _ in range(5):
        assert batch.step() == {}
    batch.remove(second)
    batch.remove(first)
    assert len(batch) == 1
    results = {}
    while len(batch):
        results |= batch.step()
    assert list(results) == [third]
    alone = generate_codes(tiny, [Request(TEXTS[2], 1)], Sampling(), 40)[0]
    assert torch.equal(results[third].codes_TC, alone.codes_TC)
    batch.remove(third)


def test_a_long_prompt_is_fed_in_pieces_while_others_run(tiny):
    batch = ContinuousBatch(tiny, Sampling(), 2)
    running = batch.add(Request(TEXTS[0], 1))
    for _ in range(20):
        batch.step()
    prompted = batch.add(request_of(1, 2, 70, None))
    batch.step()
    frames = batch.frames(running)
    batch.step()
    assert batch.frames(running) == frames + 1
    batch.step()
    assert batch.frames(prompted) == 0 and len(batch) == 2


def test_a_request_that_cannot_run_fails_alone(tiny):
    batch = ContinuousBatch(tiny, Sampling(), 2)
    good = batch.add(Request(TEXTS[0], 1, None, 30))
    bad = batch.add(Request("", 1))
    narrow = batch.add(request_of(0, 1, 30, 30))
    results = {}
    while len(batch):
        results |= batch.step()
    assert isinstance(results[bad], UserError) and "no room" in str(results[narrow])
    alone = generate_codes(tiny, [Request(TEXTS[0], 1)], Sampling(), 30)[0]
    assert torch.equal(results[good].codes_TC, alone.codes_TC)


def test_logits_that_are_not_finite_are_the_error_of_their_request(tiny):
    batch = ContinuousBatch(broken(tiny), Sampling(), 2)
    numbers = [batch.add(Request(text, 1)) for text in TEXTS]
    results = {}
    while len(batch):
        results |= batch.step()
    assert set(results) == set(numbers)
    assert all("not finite" in str(result) for result in results.values())


def test_batches_join_whatever_their_progress(tiny):
    requests = [request_of(number % 3, number, (0, 9, 4)[number % 3], None) for number in range(5)]
    with torch.inference_mode():
        first = DecodingBatch(tiny, requests[:2], Sampling(), 60)
        first.decode(11)
        second = DecodingBatch(tiny, requests[2:], Sampling(), 60)
        second.decode(3)
        first.join(second)
        first.decode(60)
    alone = [generate_codes(tiny, [request], Sampling(), 60)[0] for request in requests]
    assert sorted(first.results) == list(range(5))
    assert all(torch.equal(first.results[place].codes_TC, alone[place].codes_TC) for place in range(5))
