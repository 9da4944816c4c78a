"""What people hand to Dia that it cannot use: each gets a clear error or a defined result."""

from functools import cache

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.inference import Sampling
from dia.model import Dia
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC

NOISE = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


@cache
def speaker():
    torch.manual_seed(0)
    return Dia(DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling())


@pytest.fixture
def dia():
    return speaker()


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "empty"),
        ("[S1] " + "word " * 200_000, "bytes"),
        ("[S1] half a pair \ud83d here", "surrogate"),
        ("[S1] nul \x00 byte", "control characters"),
    ],
)
def test_texts_that_cannot_be_generated_are_refused(dia, text, message):
    with pytest.raises(ValueError, match=message):
        dia.generate(text, 20)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"cfg_scale": float("nan")}, "cfg_scale=nan"),
        ({"cfg_scale": float("inf")}, "cfg_scale=inf"),
        ({"temperature": -1.0}, "temperature=-1"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"cfg_filter_top_k": 0}, "cfg_filter_top_k=0"),
        ({"max_tokens": 10**6}, "max_tokens=1000000"),
        ({"max_tokens": 3}, "max_tokens=3"),
        ({"seed": [1, 2]}, "2 seeds"),
        ({"audio_prompt": [None, None]}, "2 audio prompts"),
    ],
)
def test_values_out_of_range_are_refused(dia, values, message):
    with pytest.raises(ValueError, match=message):
        dia.generate("[S1] Hello.", **{"max_tokens": 20} | values)


@pytest.mark.parametrize(
    "prompt, message",
    [
        (np.zeros(16_000, dtype=np.float32), "silent"),
        (NOISE[:16], "0.001 s long"),
        (np.tile(NOISE, 600), "600.000 s long"),
        (NOISE.reshape(2, -1), "mono"),
        (np.full(16_000, np.nan, dtype=np.float32), "finite"),
        (torch.full((3, 4), 99), "codes must have"),
        (torch.zeros(3, 5, dtype=torch.long), "codes"),
    ],
)
def test_unusable_voice_prompts_are_refused(dia, prompt, message):
    with pytest.raises(ValueError, match=message):
        dia.generate("[S1] Hello.", 50, audio_prompt=prompt)


def test_a_prompt_of_another_rate_and_in_stereo_is_taken(dia, tmp_path):
    soundfile.write(tmp_path / "stereo.wav", np.stack([NOISE[:8_000], NOISE[:8_000]], axis=1), 8_000)
    soundfile.write(tmp_path / "mono.wav", NOISE[:8_000], 8_000)
    codes = [dia.encode_prompt(str(tmp_path / f"{name}.wav")) for name in ("stereo", "mono")]
    assert codes[0].shape == (25, 4) and torch.equal(*codes)


@given(st.text(max_size=60))
def test_any_text_is_generated_or_refused_with_a_reason(text):
    try:
        waveform = speaker().generate(text, 8, seed=0)
    except ValueError as error:
        assert "text" in str(error)
    else:
        assert waveform.dtype == np.float32 and np.isfinite(waveform).all()
