"""A stream gives the audio of the whole generation in bounded pieces."""

from functools import cache

import dac
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.dac import DacCodec, decoder_context
from dia.codecs.protocol import frames_per_second
from dia.codecs.registry import load_codec
from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.inference import Request, Sampling, Synthesizer
from dia.inference.streaming import (
    CodecStream,
    chunk_frames,
    decode_windows,
    preview_frames,
    stream_waveforms,
)
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC


@cache
def codec(name):
    torch.manual_seed(0)
    if name == "codec_nano":
        return load_codec(name)
    rates = [4, 4, 2]
    model = dac.DAC(
        encoder_dim=4,
        encoder_rates=rates,
        decoder_dim=32,
        decoder_rates=rates,
        n_codebooks=4,
        codebook_size=32,
        sample_rate=1_600,
    )
    return DacCodec(model, "tiny_dac")


def codes_of(codec, frames, seed=0):
    shape = (frames, codec.channels)
    return torch.randint(0, codec.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name, frames", [("tiny_dac", 300), ("codec_nano", 260)])
def test_a_concatenated_stream_equals_the_whole_and_is_continuous(name, frames):
    chosen = codec(name)
    codes_TC = codes_of(chosen, frames)
    whole = chosen.decode(codes_TC[None])[0].numpy()
    pieces = list(stream_waveforms(chosen, codes_TC.split(chunk_frames(chosen))))
    assert len(pieces) >= 4
    joined = np.concatenate(pieces)
    assert joined.shape == whole.shape
    assert np.abs(whole).max() > 1e-3
    assert np.abs(joined - whole).max() <= 1e-4  # also at the boundaries of chunks


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 99))
@settings(max_examples=15)
def test_codes_are_accepted_in_pieces_of_any_size(sizes, seed):
    chosen = codec("tiny_dac")
    codes_TC = codes_of(chosen, sum(sizes), seed)
    joined = np.concatenate(list(stream_waveforms(chosen, codes_TC.split(sizes))))
    np.testing.assert_allclose(joined, chosen.decode(codes_TC[None])[0].numpy(), atol=1e-4)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_pieces_of_any_size_give_the_same_samples_of_the_small_codec(sizes, seed):
    chosen = codec("codec_nano")
    codes_TC = codes_of(chosen, sum(sizes), seed)
    joined = np.concatenate(list(stream_waveforms(chosen, codes_TC.split(sizes))))
    assert (joined == chosen.decode(codes_TC[None])[0].numpy()).all()


def test_a_preview_comes_early_and_the_rest_of_the_stream_is_exact():
    chosen = codec("codec_nano")
    codes_TC = chosen.encode(voice(seconds=3.2))[0]
    whole = chosen.decode(codes_TC[None])[0].numpy()
    stream, pieces = CodecStream(chosen, preview=True), []
    early = preview_frames(chosen) + chosen.preview_context
    for begin, end in ((0, early - 1), (early - 1, early), (early, early + 20), (early + 20, len(codes_TC))):
        stream.add(codes_TC[begin:end])
        window = stream.take(ended=end == len(codes_TC))
        pieces.append(decode_windows(chosen, [(stream, window)])[0].numpy() if window else np.zeros(0))
    assert len(pieces[0]) == 0 and len(pieces[1]) == 0.4 * chosen.sample_rate
    joined, length = np.concatenate(pieces), len(pieces[1])
    assert len(joined) == len(whole)
    assert (joined[length:] == whole[length:]).all()
    error = np.square(joined[:length] - whole[:length]).sum() / np.square(whole[:length]).sum()
    assert error < 10**-4.0  # 40 dB; the codec promises 50 for speech


def test_a_window_that_cannot_be_decoded_changes_no_stream(monkeypatch):
    chosen = codec("codec_nano")
    codes_TC = codes_of(chosen, 60)
    streams = [CodecStream(chosen), CodecStream(chosen)]
    for stream in streams:
        stream.add(codes_TC)
    windows = [(stream, stream.take(ended=True)) for stream in streams]
    decoded, decode = [], chosen.decode_features

    def failing(codes_BTC):
        decoded.append(codes_BTC)
        if len(decoded) == 2:
            raise RuntimeError("out of memory")
        return decode(codes_BTC)

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(chosen, "decode_features", failing)
        decode_windows(chosen, windows)
    for window in windows:  # one by one, as the server does then
        assert torch.equal(decode_windows(chosen, [window])[0], chosen.decode(codes_TC[None])[0])


def voice(seconds):
    """Return a hum with gliding pitch, (1, samples), at 16 kHz."""
    time = torch.arange(int(seconds * 25) * 640) / 16_000
    phase = 2 * torch.pi * (130 * time + 12 * torch.sin(3 * time))
    harmonics = sum(torch.sin(number * phase) / number for number in range(1, 12))
    return (0.1 * harmonics * (1.2 + torch.sin(8 * time)))[None]


def test_the_work_for_a_chunk_does_not_grow():
    chosen, decoded = codec("tiny_dac"), []

    class Watched:
        name, context, vocoder = chosen.name, chosen.context, chosen.vocoder

        def decode_features(self, codes_BTC):
            decoded.append(codes_BTC.shape[1])
            return chosen.decode_features(codes_BTC)

    assert sum(map(len, stream_waveforms(Watched(), codes_of(chosen, 1_000).split(20)))) == 1_000 * chosen.hop
    assert max(decoded) <= 20 + 2 * chosen.context


@pytest.mark.parametrize("rates", [[4, 4, 2], [3, 2], [8, 8, 4, 2]])
def test_the_context_of_dac_covers_the_effect_of_a_changed_frame(rates):
    torch.manual_seed(0)
    model = dac.DAC(
        encoder_dim=4,
        encoder_rates=rates[::-1],
        decoder_dim=64,
        decoder_rates=rates,
        n_codebooks=2,
        codebook_size=16,
    )
    chosen, context = DacCodec(model, "any"), decoder_context(rates)
    codes_TC = torch.zeros(1, 4 * context + 1, 2, dtype=torch.long)
    changed = codes_TC.clone()
    changed[0, 2 * context] = 7
    reached = (chosen.decode(codes_TC) != chosen.decode(changed))[0].nonzero().flatten() // chosen.hop
    assert 2 * context - int(reached.min()) <= context and int(reached.max()) - 2 * context <= context


def test_the_first_audio_follows_the_longest_delay_and_one_chunk():
    torch.manual_seed(0)
    network, steps = DiaNetwork(TINY).eval(), []
    step = network.decoder.next_features
    network.decoder.next_features = lambda *given: (steps.append(1), step(*given))[1]
    chosen = SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny")
    synthesizer = Synthesizer(network, chosen)
    stream = synthesizer.stream(Request("[S1] Hello there.", 0), Sampling())
    first = next(stream)
    assert len(first) / chosen.sample_rate >= 0.25 - 1 / frames_per_second(chosen)
    assert chunk_frames(chosen) < len(steps) <= chunk_frames(chosen) + max(TINY.delays) + 1
    joined = np.concatenate([first, *stream])
    generated = synthesizer.synthesize(["[S1] Hello there."], [0], Sampling())[0]
    assert joined.shape == generated.waveform.shape
    np.testing.assert_allclose(joined, generated.waveform, atol=1e-4)
