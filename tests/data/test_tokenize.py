"""Tokenizing a clip in windows gives the codes of the whole clip."""

import dac
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.codecs.dac import DacCodec
from dia.codecs.protocol import pad_to_frames
from dia.codecs.registry import load_codec
from dia.data.tokenization import Tokenizer, even_window, plan_windows


@given(st.integers(1, 400), st.integers(3, 60), st.integers(0, 20))
def test_windows_return_every_frame_once_away_from_their_edges(frames, window, context):
    window = max(window, 2 * context + 1)
    planned = plan_windows(0, frames, window, context)
    assert [frame for item in planned for frame in range(item.keep, item.keep_end)] == list(range(frames))
    assert {item.end - item.begin for item in planned} == {min(frames, window)}
    for item in planned:
        assert item.begin == 0 or item.keep - item.begin >= context
        assert item.end == frames or item.end - item.keep_end >= context


@given(st.integers(1, 2_000), st.integers(20, 700), st.integers(0, 9))
def test_an_even_window_is_short_and_needs_no_more_windows(frames, longest, context):
    even = even_window(frames, longest, context)
    windows = plan_windows(0, frames, even, context)
    assert even <= min(frames, longest) and len(windows) == len(plan_windows(0, frames, longest, context))
    assert sum(item.end - item.begin for item in windows) <= frames + len(windows) * (2 * context + 1)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", ["codec_nano", "dac"])
def test_windows_of_different_clips_give_the_codes_of_each_alone(name, batch):
    if name == "dac":
        torch.manual_seed(0)
        codec = DacCodec(
            dac.DAC(encoder_dim=8, latent_dim=16, decoder_dim=32, n_codebooks=3, codebook_size=64), "tiny"
        )
    else:
        codec = load_codec(name)
    rng, window = np.random.default_rng(0), 30 * codec.hop / codec.sample_rate
    waveforms = [
        0.1 * rng.standard_normal(int(frames * codec.hop)).astype(np.float32) for frames in (95.5, 12.0, 61.2)
    ]
    all_codes = Tokenizer(codec, batch, window_seconds=window).codes(waveforms, codec.sample_rate)
    for waveform, codes_TC in zip(waveforms, all_codes, strict=True):
        whole = codec.encode(pad_to_frames(torch.from_numpy(waveform)[None], codec.hop))[0].numpy()
        assert (
            codes_TC.shape == whole.shape and (codes_TC == whole).mean() > 0.999
        )  # rounding may resolve a tie differently
