import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.codecs.delay import delay, undelay

BOS, PAD = 1026, 1025
NARI_DELAYS = [0, 8, 9, 10, 11, 12, 13, 14, 15]


@st.composite
def delayed_codes(draw):
    delays = [0, *sorted(draw(st.lists(st.integers(0, 15), max_size=8)))]
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 20)), len(delays))
    return torch.randint(
        0, 1024, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99)))
    ), delays


@given(delayed_codes())
def test_undelay_is_the_inverse(case):
    codes, delays = case
    assert torch.equal(undelay(delay(codes, delays, BOS, PAD), delays), codes)


@given(delayed_codes())
def test_delay_equals_a_loop_over_frames(case):
    codes, delays = case
    made = delay(codes, delays, BOS, PAD)
    batch, frames, channels = codes.shape
    assert made.shape == (batch, frames + max(delays), channels)
    for step in range(made.shape[1]):
        for channel, by in enumerate(delays):
            source = step - by
            wanted = BOS if source < 0 else PAD if source >= frames else None
            cell = made[:, step, channel]
            assert torch.equal(
                cell, codes[:, source, channel] if wanted is None else torch.full_like(cell, wanted)
            )


def test_delay_equals_that_of_transformers():
    """transformers does not extend the length, so its input is padded by the largest delay."""
    processing = pytest.importorskip("transformers.models.dia.processing_dia").DiaProcessor
    codes = torch.randint(0, 1024, (2, 21, 9))
    room = torch.cat([codes, torch.full((2, 15, 9), PAD)], 1)
    indices = processing.build_indices(
        bsz=2, seq_len=36, num_channels=9, delay_pattern=NARI_DELAYS, revert=False
    )
    theirs = processing.apply_audio_delay(room, PAD, BOS, indices)
    ours = delay(codes, NARI_DELAYS, BOS, PAD)
    assert torch.equal(ours, theirs)
    indices = processing.build_indices(
        bsz=2, seq_len=36, num_channels=9, delay_pattern=NARI_DELAYS, revert=True
    )
    assert torch.equal(
        undelay(ours, NARI_DELAYS), processing.apply_audio_delay(theirs, PAD, BOS, indices)[:, :21]
    )


@pytest.mark.parametrize("delays", [[0, 1], [0, 1, 2, 3], [0, -1, 2]])
def test_wrong_delays_are_refused(delays):
    for function in (lambda codes: delay(codes, delays, BOS, PAD), lambda codes: undelay(codes, delays)):
        with pytest.raises(ValueError, match="one delay of 0 or more for each"):
            function(torch.zeros(1, 20, 3, dtype=torch.long))


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="no frame"):
        delay(torch.zeros(1, 0, 2, dtype=torch.long), [0, 3], BOS, PAD)
    with pytest.raises(ValueError, match="no whole frame"):
        undelay(torch.zeros(1, 3, 2, dtype=torch.long), [0, 3])
