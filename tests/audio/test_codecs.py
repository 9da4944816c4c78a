import dac
import pytest
import torch

from dia.audio.codec import load_codec, require_codec
from dia.audio.pitch import yin
from dia.audio.spectral import SpectralCodecConfig, SpectralNetwork
from dia.audio.spectral_codec import save_spectral
from dia.errors import UserError

SMALL = SpectralCodecConfig(
    encoder_layers=1, encoder_width=16, latent_width=8, codebooks=3, codebook_size=16, decoder_layers=1, decoder_width=16
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


def test_spectral_codec_reads_back_the_same(spectral):
    first, second = load_codec(str(spectral)), load_codec(str(spectral))
    wave = torch.randn(2, 6_400) * 0.1
    codes = first.encode(wave)
    assert codes.shape == (2, 10, 3) and torch.equal(codes, second.encode(wave))
    assert first.fingerprint == second.fingerprint
    made = first.decode(codes)
    assert made.shape == wave.shape
    # pulses are a quotient of two small numbers once a period, so rounding shows
    torch.testing.assert_close(made[1:], first.decode(codes[1:]), atol=1e-4, rtol=0)


def test_dac_matches_its_own_package(dac_file):
    path, model = dac_file
    codec = load_codec(str(path))
    wave = torch.randn(2, 1_600) * 0.1
    with torch.no_grad():
        latents, codes, *_ = model.encode(wave[:, None])
        made = model.decode(latents)[:, 0]
    assert (codec.hop, codec.channels, codec.codebook_size) == (8, 3, 16)
    assert torch.equal(codec.encode(wave), codes.transpose(1, 2))
    ours = codec.decode(codes.transpose(1, 2))
    assert ours.shape == wave.shape
    torch.testing.assert_close(ours[:, : made.shape[1]], made[:, : ours.shape[1]], atol=1e-4, rtol=0)


def test_damaged_codecs_are_named(spectral, dac_file, tmp_path):
    weights = spectral / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000])
    dac_file[0].write_bytes(dac_file[0].read_bytes()[:1_000])
    (tmp_path / "empty").mkdir()
    for name, said in (
        (spectral, "missing or damaged"),
        (dac_file[0], "damaged"),
        (tmp_path / "empty", "config.json"),
        ("nope", "codec_nano"),
    ):
        with pytest.raises(UserError, match=said):
            load_codec(str(name))


def test_another_codec_is_refused(spectral):
    with pytest.raises(UserError, match="not the one that"):
        require_codec(load_codec(str(spectral)), "0" * 64, "a checkpoint")


@pytest.mark.parametrize("hertz", [80.0, 147.0, 320.0])
def test_pitch_of_a_known_tone(hertz):
    time = torch.arange(16_000) / 16_000
    wave = torch.stack([torch.cos(2 * torch.pi * hertz * k * time) / k for k in range(1, 8)]).sum(0)[None]
    pitch, voiced = yin(wave, 16_000, 160)
    assert voiced[0, 5:-5].all() and ((pitch[0, 5:-5] / hertz - 1).abs() < 0.01).all()
    assert not yin(torch.zeros(1, 16_000), 16_000, 160)[1].any()
