import json

import dac
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.codecs.dac_encoder import encode_in_chunks
from dia.codecs.protocol import fold_weight_norm, pad_to_frames, require_codec
from dia.codecs.registry import load_codec
from dia.codecs.spectral import SpectralCodec, save_spectral
from dia.codecs.spectral_network import SpectralNetwork, without_floor
from dia.config.codec import SpectralCodecConfig
from dia.errors import UserError

SMALL = SpectralCodecConfig(
    encoder_layers=1,
    encoder_width=16,
    latent_width=8,
    codebooks=3,
    codebook_size=16,
    decoder_layers=1,
    decoder_width=16,
    detail_layers=1,
    detail_width=16,
)


@pytest.fixture
def spectral(tmp_path):
    torch.manual_seed(0)
    save_spectral(SpectralNetwork(SMALL), tmp_path / "codec")
    return tmp_path / "codec"


@pytest.fixture
def dac_file(tmp_path):
    torch.manual_seed(0)
    model = dac.DAC(
        encoder_dim=4,
        encoder_rates=[2, 4],
        decoder_dim=16,
        decoder_rates=[4, 2],
        n_codebooks=3,
        codebook_size=16,
        sample_rate=16_000,
    )
    model.save(str(tmp_path / "weights.pth"), package=False)
    return tmp_path / "weights.pth", model.eval()


def test_a_saved_spectral_codec_loads_unchanged(spectral):
    first, second = load_codec(str(spectral)), load_codec(str(spectral))
    waveform = torch.randn(2, 6_400) * 0.1
    codes = first.encode(waveform)
    assert codes.shape == (2, 10, 3) and torch.equal(codes, second.encode(waveform))
    assert first.fingerprint == second.fingerprint
    made = first.decode(codes)
    assert made.shape == waveform.shape
    assert torch.equal(made[1:], first.decode(codes[1:]))  # an item of a batch equals the item alone


def test_phases_are_recovered_from_true_magnitudes():
    network, time = SpectralNetwork(SMALL), torch.arange(16_000) / 16_000
    waveform = (
        torch.stack([torch.cos(2 * torch.pi * 150 * k * time + k) / k for k in range(1, 8)]).sum(0)[None]
        * 0.1
    )
    wanted = network.log_magnitudes(waveform).exp()
    made = network.griffin_lim().add(wanted[0], ended=True)[None]
    assert made.shape == waveform.shape
    error = (network.log_magnitudes(made).exp() - wanted)[:, 5:-5]
    assert error.norm() < 0.2 * wanted[:, 5:-5].norm()
    silent = torch.zeros(1, 6_400)
    nothing = without_floor(network.log_magnitudes(silent))[0]
    assert network.griffin_lim().add(nothing, ended=True).abs().max() < 1e-6


def test_dac_matches_its_own_package(dac_file):
    path, model = dac_file
    codec = load_codec(str(path))
    waveform = torch.randn(2, 1_600) * 0.1
    with torch.no_grad():
        latents, codes, *_ = model.encode(waveform[:, None])
        made = model.decode(latents)[:, 0]
    assert (codec.hop, codec.channels, codec.codebook_size) == (8, 3, 16)
    assert torch.equal(codec.encode(waveform), codes.transpose(1, 2))
    ours = codec.decode(codes.transpose(1, 2))
    assert ours.shape == waveform.shape
    torch.testing.assert_close(ours[:, : made.shape[1]], made[:, : ours.shape[1]], atol=1e-4, rtol=0)


@given(st.integers(1, 30), st.integers(1, 90), st.sampled_from([[2, 4], [3, 5], [2, 4, 8], [8]]))
@settings(max_examples=25)
def test_encoding_in_stretches_equals_encoding_the_whole(frames, size, rates):
    torch.manual_seed(0)
    model = fold_weight_norm(
        dac.DAC(encoder_dim=4, encoder_rates=rates, decoder_dim=16, decoder_rates=rates[::-1]).eval()
    )
    waveform = 0.1 * torch.randn(2, 1, frames * model.hop_length)
    with torch.no_grad():
        wanted, original = model.encoder(waveform), waveform.clone()
        made = encode_in_chunks(model.encoder, waveform, size)
    torch.testing.assert_close(made, wanted, atol=1e-6, rtol=1e-5)
    assert torch.equal(waveform, original), "the encoder changed its input"


def test_damaged_codecs_are_reported_with_their_path(spectral, dac_file, tmp_path):
    weights = spectral / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000])
    dac_file[0].write_bytes(dac_file[0].read_bytes()[:1_000])
    (tmp_path / "empty").mkdir()
    for name, message in (
        (spectral, "missing or damaged"),
        (dac_file[0], "damaged"),
        (tmp_path / "empty", "config.json"),
        ("nope", "codec_nano"),
    ):
        with pytest.raises(UserError, match=message):
            load_codec(str(name))


def test_another_codec_is_refused(spectral):
    with pytest.raises(UserError, match="not the one that"):
        require_codec(load_codec(str(spectral)), "0" * 64, "a checkpoint")


def test_files_that_are_no_dac_checkpoint_are_reported(dac_file, tmp_path):
    path, model = dac_file
    content = torch.load(path, weights_only=True)
    mistyped = {"kwargs": {**content["metadata"]["kwargs"], "encoder_dim": "four"}}
    for name, metadata in (("none", None), ("list", {"kwargs": []}), ("mistyped", mistyped)):
        torch.save({**content, "metadata": metadata}, tmp_path / f"{name}.pth")
    (tmp_path / "text.pth").write_text("this is no DAC\n")
    model.save(str(tmp_path / "packed.pth"), package=True)
    for name, message in (
        ("none", "lacks"),
        ("list", "lacks"),
        ("mistyped", "encoder_dim='four' is no number"),
        ("text", "missing or damaged"),
        ("packed", "package=False"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            load_codec(str(tmp_path / f"{name}.pth"))
        assert f"{name}.pth" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"mels": "many"}, {"colour": 3}, {"encoder_width": 32}])
def test_an_invalid_spectral_config_is_reported_in_one_line(spectral, change):
    config = json.loads((spectral / "config.json").read_text())
    (spectral / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=r"config\.json") as caught:
        load_codec(str(spectral))
    assert "\n" not in str(caught.value)


def test_input_of_a_wrong_shape_is_refused_by_both_codecs(spectral, dac_file):
    for codec in (load_codec(str(spectral)), load_codec(str(dac_file[0]))):
        waveform = torch.zeros(1, codec.hop + 1)
        with pytest.raises(ValueError, match="pad_to_frames"):
            codec.encode(waveform)
        assert codec.encode(pad_to_frames(waveform, codec.hop)).shape == (1, 2, 3)
        for codes in (
            torch.zeros(1, 2, 4, dtype=torch.long),
            torch.zeros(1, 2, 3),
            torch.full((1, 2, 3), 16),
            torch.full((1, 2, 3), -1),
        ):
            with pytest.raises(ValueError, match="codes"):
                codec.decode(codes)


def test_a_fused_network_of_a_codec_cannot_be_saved(tmp_path):
    network = SpectralNetwork(SMALL)
    SpectralCodec(network, "taken")
    with pytest.raises(ValueError, match="folded"):
        save_spectral(network, tmp_path / "codec")
    assert not (tmp_path / "codec").exists()


def test_an_empty_name_is_refused():
    with pytest.raises(UserError, match="there is no codec ''"):
        load_codec("")
