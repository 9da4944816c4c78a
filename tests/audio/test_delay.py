import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.audio.delay import delay, undelay

BOS, PAD = 1026, 1025


@st.composite
def delayed_codes(draw):
    delays = [0, *sorted(draw(st.lists(st.integers(0, 15), max_size=8)))]
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 20)), len(delays))
    return torch.randint(0, 1024, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))), delays


@given(delayed_codes())
def test_undelay_is_the_inverse(case):
    codes, delays = case
    assert torch.equal(undelay(delay(codes, delays, BOS, PAD), delays), codes)


@given(delayed_codes())
def test_delay_is_what_a_loop_gives(case):
    codes, delays = case
    made = delay(codes, delays, BOS, PAD)
    batch, frames, channels = codes.shape
    assert made.shape == (batch, frames + max(delays), channels)
    for step in range(made.shape[1]):
        for channel, by in enumerate(delays):
            source = step - by
            wanted = BOS if source < 0 else PAD if source >= frames else None
            cell = made[:, step, channel]
            assert torch.equal(cell, codes[:, source, channel] if wanted is None else torch.full_like(cell, wanted))
