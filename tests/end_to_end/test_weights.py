import numpy as np
import pytest
import torch

from dia.audio.files import write_audio
from dia.checkpoint import CodecReference, read_source, save_checkpoint
from dia.codecs.registry import load_codec
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.errors import UserError
from dia.weights import run_command
from tests.conftest import TINY_CODEC


@pytest.fixture
def model(tiny, tmp_path):
    save_spectral(SpectralNetwork(TINY_CODEC), tmp_path / "codec")
    codec = load_codec(str(tmp_path / "codec"))
    save_checkpoint(tiny, tmp_path / "model", CodecReference(codec.name, codec.fingerprint))
    return tmp_path / "model"


def test_the_doctor_describes_and_probes(model, tmp_path, capsys):
    write_audio(
        tmp_path / "clip.wav",
        0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32),
        16_000,
    )
    run_command(["doctor", str(model), f"audio={tmp_path / 'clip.wav'}", "text=[S1] Hello."])
    said = capsys.readouterr().out
    for part in (
        "transformers",
        "0626",
        "all fit",
        "sha256",
        "float32",
        "cross_rope=True:",
        "cross_rope=False:",
        "fits better",
    ):
        assert part in said, part


def test_the_doctor_lists_shapes_that_do_not_fit(model, capsys):
    config = model / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    run_command(["doctor", str(model)])
    said = capsys.readouterr().out
    assert "do not fit" in said and "decoder.layers.2.mlp.down_proj.weight is missing" in said


def test_convert_writes_the_other_layout_once(model, tmp_path, capsys):
    run_command(["convert", str(model), "to=nari", f"out={tmp_path / 'nari'}"])
    first, second = read_source(model), read_source(tmp_path / "nari")
    assert second.layout == "nari" and first.config == second.config
    assert all(torch.equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items())
    with pytest.raises(UserError, match="exists"):
        run_command(["convert", str(model), "to=nari", f"out={tmp_path / 'nari'}"])


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "name a command"),
        (["heal", "x"], "no command 'heal'"),
        (["convrt", "x"], r"no command 'convrt'; did you mean convert\?"),
        (["convert", "x"], r"(?s)to= is missing.*out=\.\.\. is missing"),
        (
            ["convert", "x", "to=onnx", "out=y"],
            "to=onnx is missing or unknown; choose one of nari, transformers",
        ),
        (["doctor", "x", "audio=a.wav"], "go together"),
        (["doctor", "x", "colour=red", "loud"], "(?s)'loud' is no KEY=VALUE.*colour is unknown"),
        (["doctor", "x", "codek=y"], r"codek is unknown; did you mean codec\?"),
    ],
)
def test_wrong_command_lines_are_named(arguments, said):
    with pytest.raises(UserError, match=said):
        run_command(arguments)
