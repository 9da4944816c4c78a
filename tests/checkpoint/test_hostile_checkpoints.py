"""Checkpoints from someone else: nothing runs, nothing outside is read, sizes are checked before memory is
taken."""

import io
import json
import os
import pickle
import resource
import time
import zipfile
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file, save_file

from dia.checkpoint import CodecReference, load_checkpoint, read_config, read_source, save_checkpoint
from dia.checkpoint.adapter import load_adapter
from dia.codecs.registry import load_codec
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.config_json import to_config_json, to_nested_config
from dia.errors import UserError
from dia.model import Dia
from dia.network import DiaNetwork
from dia.weights import main
from tests.conftest import TINY, TINY_CODEC
from tests.payloads import opened_files, write_pickle


@contextmanager
def refused_at_once(match=""):
    """Expect a message within a second of computing, and no more memory than 256 MB."""
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=match):
        yield
    assert time.process_time() - begin < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10


@pytest.fixture(autouse=True, scope="module")
def imported():
    """Import what DAC and torch's meta device need, which takes seconds and is not what is measured."""
    from dia.codecs.dac_package import dac_package

    dac_package()
    with torch.device("meta"):
        DiaNetwork(TINY)


@pytest.fixture
def model(tiny, tmp_path):
    """Return the folder of a small model."""
    save_checkpoint(tiny, tmp_path / "model", CodecReference("codec_nano", "0" * 64))
    return tmp_path / "model"


def change(path, **values):
    """Change values of a JSON file by dotted key."""
    content = json.loads(path.read_text())
    for key, value in values.items():
        target = content
        *parents, last = key.split("__")
        for name in parents:
            target = target[name]
        target[last] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "key",
    ["decoder_config__num_hidden_layers", "encoder_config__hidden_size", "decoder_config__vocab_size"],
)
@pytest.mark.parametrize("value", [10**9, 10**18, 10**400, -1, 0, 1.5, "4", True, None, [4], float("nan")])
def test_impossible_sizes_of_a_config_json_are_refused(model, key, value):
    change(model / "config.json", **{key: value})
    with refused_at_once("Dia config"):
        read_config(model)
    with refused_at_once("Dia config"):
        load_checkpoint(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"delay_pattern": [0] * 10**5},
        {"delay_pattern": [0, 10**18]},
        {"delay_pattern": ["0"]},
        {"decoder_config__max_position_embeddings": 10**12},
        {"decoder_config__norm_eps": float("nan")},
        {"decoder_config__rope_parameters": {"rope_theta": float("inf")}},
        {"encoder_config": [1]},
        {"dia": {"codec": {"name": 3, "fingerprint": "0"}}},
        {"dia": {"codec": ["dac_44khz"]}},
    ],
)
def test_impossible_values_of_a_config_json_are_refused(model, changes):
    change(model / "config.json", **changes)
    with refused_at_once():
        load_checkpoint(model)


def test_impossible_sizes_of_the_first_generations_config_are_refused(model):
    content = to_nested_config(TINY)
    content["model"]["decoder"]["n_layer"] = 10**9
    (model / "config.json").write_text(json.dumps(content))
    with refused_at_once("decoder.layers=1000000000"):
        read_config(model)


def test_deep_json_is_refused(model):
    (model / "config.json").write_text("[" * 100_000)
    with refused_at_once("cannot be read"):
        load_checkpoint(model)


def test_sampling_values_that_are_no_numbers_are_refused(model):
    for value in ("1.2", [1], float("nan"), 10**400):
        change(model / "generation_config.json", temperature=value)
        with refused_at_once("temperature"):
            load_checkpoint(model)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_a_fifo_as_weights_is_refused(model, name):
    (model / "model.safetensors").unlink()
    os.mkfifo(model / name)
    with refused_at_once("no checkpoint"):
        load_checkpoint(model / name)
    with refused_at_once("no checkpoint"):
        load_checkpoint(model)


def test_weights_of_other_shapes_than_stored_take_no_memory(tiny, tmp_path):
    state = tiny.state_dict()
    state["decoder.norm.weight"] = torch.zeros(1).expand(1 << 20, 1 << 20)  # four bytes that claim to be 4 TB
    torch.save(state, tmp_path / "model.pth")
    (tmp_path / "config.json").write_text(json.dumps(to_config_json(TINY, {})))
    with refused_at_once("larger than what is stored"):
        load_checkpoint(tmp_path / "model.pth")


def test_a_compressed_archive_is_refused(tiny, tmp_path):
    content = io.BytesIO()
    torch.save(tiny.state_dict() | {"zeros": torch.zeros(1 << 20)}, content)
    with zipfile.ZipFile(content) as stored, zipfile.ZipFile(tmp_path / "model.pth", "w") as packed:
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry), zipfile.ZIP_DEFLATED)
    with refused_at_once("damaged"):
        load_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize(
    "wrong", [{"a": [1, 2]}, {3: torch.zeros(1)}, {"a": torch.zeros(2).to_sparse()}, {}, [1], 3]
)
def test_a_file_without_tensors_by_name_is_refused(wrong, tmp_path):
    torch.save(wrong, tmp_path / "model.pth")
    with refused_at_once("no tensors by name"):
        load_checkpoint(tmp_path / "model.pth")


def test_integer_weights_are_refused(model):
    tensors = load_file(model / "model.safetensors")
    tensors["logits_dense.weight"] = tensors["logits_dense.weight"].int()
    save_file(tensors, model / "model.safetensors")
    with refused_at_once("not a floating-point one"):
        load_checkpoint(model)


def test_weights_in_which_every_tensor_is_cut_are_refused(tiny, tmp_path):
    from dia.checkpoint.nari_layout import to_nari_tensors

    for shape in ((), (0,), (0, 3), (1,)):
        tensors = {name: torch.zeros(shape) for name in to_nari_tensors(tiny.state_dict(), TINY)}
        save_file(tensors, tmp_path / "model.safetensors")
        with refused_at_once():
            load_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["model.pth", "model.ckpt", "model.pt"])
def test_a_pickle_as_weights_does_not_run(model, tmp_path, name):
    write_pickle(model / name, tmp_path / "trace")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(open))
        archive.writestr("archive/version", "3")
    (model / f"zip-{name}").write_bytes(zipped.getvalue())
    for path in (model / name, model / f"zip-{name}"):
        with refused_at_once("damaged, or holds more than weights"):
            load_checkpoint(path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "{root}/secret.safetensors", "link.safetensors", 3, ["x"]]
)
def test_an_index_that_leads_outside_is_refused_by_name(tiny, model, tmp_path, name):
    save_file(
        load_file(model / "model.safetensors"), tmp_path / "secret.safetensors"
    )  # would open if it were read
    (model / "link.safetensors").symlink_to("../secret.safetensors")
    name = name.format(root=tmp_path) if isinstance(name, str) else name
    index = {"weight_map": {"a": name}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (model / "model.safetensors").unlink()
    with opened_files() as opened, refused_at_once("not a file inside"):
        load_checkpoint(model)
    assert not any("secret" in path for path in opened)


@pytest.mark.parametrize("content", [{}, {"weight_map": {}}, {"weight_map": ["a"]}, [1]])
def test_an_index_without_files_is_refused(model, content):
    (model / "model.safetensors.index.json").write_text(json.dumps(content))
    with refused_at_once():
        load_checkpoint(model)


def test_a_codec_by_path_needs_the_fingerprint_of_training(tiny, tmp_path):
    torch.manual_seed(0)
    save_spectral(SpectralNetwork(TINY_CODEC), tmp_path / "codec")
    codec = load_codec(str(tmp_path / "codec"))
    for fingerprint, message in (("", "without its fingerprint"), ("1" * 64, "is not the one")):
        save_checkpoint(tiny, tmp_path / "model", CodecReference(codec.name, fingerprint))
        with opened_files() as opened, pytest.raises(UserError, match=message):
            Dia.from_pretrained(str(tmp_path / "model"), device="cpu")
        assert fingerprint or not any(path.startswith(str(tmp_path / "codec")) for path in opened)
    save_checkpoint(tiny, tmp_path / "model", CodecReference(codec.name, codec.fingerprint))
    assert Dia.from_pretrained(str(tmp_path / "model"), device="cpu").codec.fingerprint == codec.fingerprint
    save_checkpoint(tiny, tmp_path / "model", CodecReference(codec.name, ""))
    assert (
        Dia.from_pretrained(str(tmp_path / "model"), device="cpu", codec=codec.name).codec.name == codec.name
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("model: {decoder: {layers: 1000000000}}", "decoder.layers=1000000000"),
        ("model: ${oc.env:HOME}", "has no model"),
        ("model: {decoder: {layers: '${oc.env:LAYERS}'}}", "not the config of a run"),
        ("model: {norm_epsilon: ${oc.create:1}}", "not the config of a run"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "values",
        ),
        ("model: " + "[" * 100_000, "deep"),
        ("model: !!python/object/apply:os.mkdir [trace]", "YAML"),
    ],
)
def test_the_config_of_a_run_is_plain_text_within_limits(tiny, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERS", "2")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    state = {f"network.{name}": tensor for name, tensor in tiny.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "run" / "checkpoints" / "last.ckpt")
    (tmp_path / "run" / "config.yaml").write_text(text)
    with refused_at_once(message):
        read_source(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"codebook_size": 10**18}, "codebook_size"),
        ({"encoder_layers": 10**9}, "encoder_layers"),
        ({"decoder_width": 10**9}, "decoder_width"),
        ({"encoder_width": 1 << 14, "encoder_layers": 128}, "fewer weights"),
        ({"n_fft": 1 << 14, "codebook_size": 1 << 16, "stride": 64}, "table of noise"),
        ({"detail_noise": float("nan")}, "detail_noise"),
        ({"hop": "${oc.env:HOME}"}, "describes no spectral codec"),
        ({"hop": 0}, "hop=0"),
    ],
)
def test_impossible_shapes_of_a_codec_are_refused(tmp_path, changes, message):
    save_spectral(SpectralNetwork(TINY_CODEC), tmp_path / "codec")
    change(tmp_path / "codec" / "config.json", **changes)
    with refused_at_once(message):
        load_codec(str(tmp_path / "codec"))


@pytest.mark.parametrize(
    "changes",
    [
        {"n_codebooks": 10**9},
        {"encoder_rates": [2] * 100},
        {"encoder_dim": 10**18},
        {"decoder_dim": 1 << 18},
        {"codebook_size": float("nan")},
        {"encoder_rates": ["2"]},
        {"codebook_dim": {"a": 1}},
    ],
)
def test_impossible_settings_of_a_dac_file_are_refused(tmp_path, changes):
    kwargs = {"encoder_dim": 4, "encoder_rates": [2, 4], "decoder_dim": 16, "decoder_rates": [4, 2]} | changes
    torch.save({"state_dict": {"a": torch.zeros(1)}, "metadata": {"kwargs": kwargs}}, tmp_path / "dac.pth")
    with refused_at_once():
        load_codec(str(tmp_path / "dac.pth"))


def test_a_fifo_as_the_config_of_a_codec_is_refused(tmp_path):
    (tmp_path / "codec").mkdir()
    os.mkfifo(tmp_path / "codec" / "config.json")
    with refused_at_once("regular file"):
        load_codec(str(tmp_path / "codec"))
    os.mkfifo(tmp_path / "dac.pth")
    with refused_at_once("OSError"):
        load_codec(str(tmp_path / "dac.pth"))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"r": 4}, "rank 3 and 3, its config states r=4"),
        ({"r": 0}, "r=0"),
        ({"r": "3"}, "r='3'"),
        ({"r": 10**18}, "its config states"),
        ({"lora_alpha": float("nan")}, "lora_alpha=nan"),
        ({"lora_alpha": 10**400}, "lora_alpha"),
        ({"lora_alpha": 0}, "lora_alpha=0"),
        ({"lora_alpha": "6"}, "lora_alpha='6'"),
        ({"target_modules": [3]}, "target_modules"),
        ({"dia__base": {"name": 3, "fingerprint": "0"}}, "are no texts"),
        ({"dia__config__decoder__layers": 10**9}, "decoder.layers=1000000000"),
        ({"dia": [1]}, "describes no adapter"),
    ],
)
def test_stated_values_of_an_adapter_are_compared_with_its_matrices(tiny, tmp_path, changes, message):
    from tests.training.test_lora import saved, with_random_adapter

    folder = saved(tiny, with_random_adapter(tiny), tmp_path / "adapter")
    change(folder / "adapter_config.json", **changes)
    with refused_at_once(message):
        load_adapter(folder)


def test_an_alpha_that_gives_infinite_weights_is_refused(tiny, tmp_path):
    from dia.checkpoint.adapter import merge_adapter
    from tests.training.test_lora import saved, with_random_adapter

    folder = saved(tiny, with_random_adapter(tiny), tmp_path / "adapter")
    change(folder / "adapter_config.json", lora_alpha=1e30)
    with pytest.raises(UserError, match="too large"):
        merge_adapter(tiny.half(), load_adapter(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_reported_at_opening_and_by_doctor(tiny, tmp_path, capsys, value):
    from tests.training.test_lora import saved, with_random_adapter

    adapted = with_random_adapter(tiny)
    for name, parameter in adapted.named_parameters():
        if name.endswith("lora_B"):
            parameter.data[0, 0] = value
    with pytest.raises(UserError, match="not finite"):
        load_adapter(saved(tiny, adapted, tmp_path / "adapter"))
    tiny.logits_dense.weight.data[5, 3] = value
    tiny.encoder.norm.weight.data[0] = value
    save_checkpoint(tiny, tmp_path / "model", CodecReference("codec_nano", "0" * 64))
    with pytest.raises(
        UserError, match=r"encoder.norm.weight has values that are not finite; logits_dense.weight has"
    ):
        load_checkpoint(tmp_path / "model")
    main(["doctor", str(tmp_path / "model")])
    printed = capsys.readouterr().out
    assert (
        "2 tensors are not finite" in printed
        and "logits_dense.weight has values that are not finite" in printed
    )
    network = SpectralNetwork(TINY_CODEC)
    network.decoder.norm.bias.data[0] = value
    save_spectral(network, tmp_path / "codec")
    with pytest.raises(UserError, match=r"decoder.norm.bias has values that are not finite"):
        load_codec(str(tmp_path / "codec"))


def test_weights_beyond_half_precision_are_refused_in_it(tiny, tmp_path):
    tiny.logits_dense.weight.data[0, 0] = 1e6
    save_checkpoint(tiny, tmp_path / "model", None)
    assert load_checkpoint(tmp_path / "model").network.logits_dense.weight.isfinite().all()
    with pytest.raises(UserError, match="beyond those of float16"):
        load_checkpoint(tmp_path / "model", dtype=torch.float16)
