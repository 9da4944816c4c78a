"""What people hand to Dia that it cannot use: each gets a clear error or a defined result."""

import inspect
from functools import cache

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.errors import UserError
from dia.inference import Sampling
from dia.model import Dia
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC

NOISE = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


@cache
def speaker():
    torch.manual_seed(0)
    return Dia.from_network(
        DiaNetwork(TINY).eval(), SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), Sampling()
    )


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


@cache
def shared_speaker():
    return speaker()


@given(st.text(max_size=60))
def test_any_text_is_generated_or_refused_with_a_reason(text):
    try:
        waveform = shared_speaker().generate(text, 8, seed=0)
    except ValueError as error:
        assert "text" in str(error)
    else:
        assert waveform.dtype == np.float32 and np.isfinite(waveform).all()


def test_a_prompt_may_be_a_rate_and_samples_or_one_row(dia):
    """What Gradio's audio component gives, and the (1, L) of nari-labs/dia's `_encode`."""
    wanted = dia.encode_prompt(NOISE)
    sixteen = (NOISE * 32_767).round().astype(np.int16)
    stereo = np.stack([sixteen, sixteen], axis=1)
    for prompt in (
        NOISE[None],
        torch.from_numpy(NOISE)[None],
        (16_000, NOISE),
        (16_000, NOISE[:, None]),
        wanted,
        wanted.numpy(),
    ):
        assert torch.equal(dia.encode_prompt(prompt), wanted)
    for prompt in (sixteen, (16_000, sixteen), (16_000, stereo)):
        assert (dia.encode_prompt(prompt) == wanted).float().mean() > 0.95  # rounded to 16 bits
    assert len(dia.encode_prompt((8_000, stereo))) == 2 * len(wanted)
    generated = [
        dia.generate("[S1] Yes.", 60, audio_prompt=prompt, seed=1) for prompt in (NOISE, (16_000, NOISE))
    ]
    assert np.array_equal(*generated)
    for prompt in ((16_000, NOISE.reshape(4, -1)), (16_000, NOISE[:16])):
        with pytest.raises(UserError):
            dia.encode_prompt(prompt)


def test_the_default_seed_comes_from_the_global_random_numbers(dia):
    def made(seed=None, count=1):
        return dia.generate(["[S1] Yes."] * count, 30, seed=seed, temperature=1.5)

    torch.manual_seed(42)
    first = [*made(), *made(count=2), *made(-1)]
    torch.manual_seed(42)
    again = [*made(), *made(count=2), *made([-1])]
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert len({waveform.tobytes() for waveform in first}) == 4, "every take has its own seed"
    torch.manual_seed(1)
    exact = made(7)
    torch.manual_seed(2)
    assert np.array_equal(exact[0], made(7)[0]), "a given seed does not depend on the global random numbers"
    drawn = torch.random.get_rng_state()
    made(7)
    assert torch.equal(drawn, torch.random.get_rng_state()), "nor does it draw from them"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cfg_scale": 4.0, "temperature": 0.9, "top_p": 0.8, "cfg_filter_top_k": 20},
        {"audio_prompt": NOISE},
        {"audio_prompt_path": (16_000, NOISE), "use_cfg_filter": True, "verbose": True},
        {"speed": 0.8},
        {"retries": 1},
        {"text_to_generate_size": 9},
    ],
)
def test_a_stream_takes_what_generate_takes_and_gives_the_same(dia, options):
    values = {"max_tokens": 60, "seed": 3} | options
    whole = dia.generate("[S1] Yes, I do.", **values)
    chunks = list(dia.stream("[S1] Yes, I do.", **values))
    assert sum(map(len, chunks)) == len(whole) > 0
    np.testing.assert_allclose(np.concatenate(chunks), whole, atol=1e-4)
    torch.manual_seed(5)
    drawn = dia.generate("[S1] Yes, I do.", 60)
    torch.manual_seed(5)
    np.testing.assert_allclose(np.concatenate(list(dia.stream("[S1] Yes, I do.", 60))), drawn, atol=1e-4)


def test_the_parameters_of_generate_and_stream_are_the_same():
    generate, stream = (
        list(inspect.signature(method).parameters.values()) for method in (Dia.generate, Dia.stream)
    )
    assert [(item.name, item.kind, item.default) for item in generate] == [
        (item.name, item.kind, item.default) for item in stream
    ]


def test_a_stream_of_several_texts_is_refused(dia):
    with pytest.raises(UserError, match="a stream has one text"):
        dia.stream(["[S1] One.", "[S1] Two."])


def test_the_shape_is_described_by_the_config_of_nari(dia):
    config = dia.config
    assert config.decoder_config.max_position_embeddings == 64 and config.delay_pattern == TINY.delays
    assert config.shape() == TINY and dia.compute_dtype is torch.float32
    with pytest.raises(AttributeError, match="is no DAC"):
        dia.dac_model  # noqa: B018
    codes_TC = dia._encode(torch.from_numpy(NOISE)[None])
    assert torch.equal(codes_TC, dia.encode_prompt(NOISE))
    assert torch.equal(dia._decode(codes_TC), dia.codec.decode(codes_TC[None])[0])
