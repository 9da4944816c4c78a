"""Every layout of a Dia checkpoint and their conversion; kernels of nari are compared by their outputs."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from dia.checkpoint import CodecReference, convert, load_checkpoint, read_config, read_source, save_checkpoint
from dia.checkpoint.nari_layout import to_nari_tensors
from dia.config.config_json import to_nested_config
from dia.dialogue import Vocabulary
from dia.errors import UserError
from dia.model import Dia
from dia.network import DiaNetwork
from tests.network.test_network import inputs


def nari_folder(network, folder, nested, dtype=torch.float32, file="model.safetensors"):
    """Write a checkpoint in the layout of nari's own code."""
    folder.mkdir()
    state = {
        name: tensor.to(dtype).contiguous()
        for name, tensor in to_nari_tensors(network.state_dict(), network.config).items()
    }
    save_file(state, folder / file) if file.endswith("safetensors") else torch.save(state, folder / file)
    if nested is not None:
        save_checkpoint(network, folder / "other", None)
        flat = json.loads((folder / "other" / "config.json").read_text())
        del flat["dia"]
        (folder / "config.json").write_text(json.dumps(to_nested_config(network.config) if nested else flat))
        for path in (folder / "other").iterdir():
            path.unlink()
        (folder / "other").rmdir()
    return folder


@torch.no_grad()
def test_kernels_of_nari_give_the_outputs_of_our_layers(tiny):
    """The DenseGeneral layers of nari contract the last axes of the input with the first of the kernel."""
    theirs, layer = to_nari_tensors(tiny.state_dict(), tiny.config), tiny.decoder.layers[1]
    x = torch.randn(2, 5, 64)
    prefix = "decoder.layers.1"
    for part in ("q", "k", "v"):
        ours = getattr(layer.self_attention, f"{part}_proj")(x).unflatten(-1, (-1, 16))
        torch.testing.assert_close(
            torch.tensordot(x, theirs[f"{prefix}.self_attention.{part}_proj.weight"], 1), ours
        )
    mixed = torch.randn(2, 5, 4, 16)
    made = torch.tensordot(mixed, theirs[f"{prefix}.self_attention.o_proj.weight"], 2)
    torch.testing.assert_close(made, layer.self_attention.o_proj(mixed.flatten(2)))
    fused = torch.tensordot(x, theirs[f"{prefix}.mlp.wi_fused.weight"], 1)
    hidden = torch.nn.functional.silu(fused[..., 0, :]) * fused[..., 1, :]
    torch.testing.assert_close(torch.tensordot(hidden, theirs[f"{prefix}.mlp.wo.weight"], 1), layer.mlp(x))
    torch.testing.assert_close(torch.tensordot(x, theirs["decoder.logits_dense.weight"], 1), tiny.logits(x))
    memory = torch.randn(2, 5, 32)
    made = torch.tensordot(memory, theirs[f"{prefix}.cross_attention.v_proj.weight"], 1)
    torch.testing.assert_close(made.transpose(1, 2), layer.cross_attention.keys_values(memory)[1])
    embedded = sum(theirs[f"decoder.embeddings.{channel}.weight"][7 + channel] for channel in range(4))
    torch.testing.assert_close(embedded, tiny.decoder.embeddings(torch.tensor([[[7, 8, 9, 10]]]))[0, 0])


@torch.no_grad()
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("file", ["model.safetensors", "dia-v0_1.pth"])
def test_folders_of_nari_open_and_the_config_identifies_the_generation(tiny, tmp_path, nested, file):
    config = replace(tiny.config, cross_rope=nested, decoder=replace(tiny.config.decoder, max_positions=128))
    network = DiaNetwork(config).eval()
    network.load_state_dict(tiny.state_dict())
    folder = nari_folder(network, tmp_path / "nari", nested, file=file)
    opened = load_checkpoint(folder)
    assert opened.network.config == config and opened.sampling["temperature"] == (1.3 if nested else 1.8)
    assert torch.equal(opened.network(*inputs()), network(*inputs()))
    assert torch.equal(load_checkpoint(folder / file).network(*inputs()), network(*inputs()))
    assert load_checkpoint(folder, cross_rope=not nested).network.config.cross_rope is not nested


def test_the_shape_of_a_single_pth_file_is_read_from_its_tensors(tiny, tmp_path, caplog, monkeypatch):
    folder = nari_folder(tiny, tmp_path / "nari", None, file="dia.pth")
    monkeypatch.chdir(folder)
    assert read_source("dia.pth").layout == "nari"  # by a name without a folder
    opened = read_source(folder / "dia.pth")
    assert (opened.config.encoder.layers, opened.config.decoder.key_value_heads, opened.config.channels) == (
        2,
        2,
        4,
    )
    assert opened.generation == "first" and "cross_rope=False is 0626" in caplog.text
    assert read_source(folder, cross_rope=False).generation == "0626"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_round_trip_of_conversion_preserves_every_bit(tiny, tmp_path, dtype):
    tiny.config.decoder.max_positions = 128
    folder = nari_folder(tiny, tmp_path / "nari", False, dtype)
    convert(read_source(folder), "transformers", tmp_path / "transformers")
    convert(read_source(tmp_path / "transformers"), "nari", tmp_path / "back")
    before, after = (load_file(place / "model.safetensors") for place in (folder, tmp_path / "back"))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype and torch.equal(tensor, after[name]), name
    sources = [read_source(place) for place in (folder, tmp_path / "transformers", tmp_path / "back")]
    assert sources[0].config == sources[1].config == sources[2].config
    assert [source.layout for source in sources] == ["nari", "transformers", "nari"]


@torch.no_grad()
def test_transformers_opens_a_converted_checkpoint(tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    convert(read_source(nari_folder(tiny, tmp_path / "nari", False)), "transformers", tmp_path / "made")
    theirs = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "made").eval()
    text, mask, tokens = inputs()
    logits = theirs(input_ids=text, attention_mask=mask.long(), decoder_input_ids=tokens).logits
    torch.testing.assert_close(
        tiny(text, mask, tokens), logits.view(2, 4, 7, 36).transpose(1, 2), atol=1e-5, rtol=0
    )


def test_conversion_preserves_the_codec(tiny, tmp_path):
    save_checkpoint(tiny, tmp_path / "ours", CodecReference("codec_nano", "1" * 64))
    convert(read_source(tmp_path / "ours"), "nari", tmp_path / "nari")
    assert load_checkpoint(tmp_path / "nari").codec == CodecReference("codec_nano", "1" * 64)


def test_conversion_preserves_the_vocabulary(tiny, tmp_path):
    save_checkpoint(tiny, tmp_path / "ours", None)
    assert load_checkpoint(tmp_path / "ours").vocabulary is None
    vocabulary = Vocabulary.of_scripts(["[S1] {calm} We love rain. (sighs)"])
    vocabulary.write(tmp_path / "ours" / "vocabulary.txt")
    convert(read_source(tmp_path / "ours"), "nari", tmp_path / "theirs")
    convert(read_source(tmp_path / "theirs"), "transformers", tmp_path / "again")
    for name in ("ours", "ours/model.safetensors", "theirs", "again"):
        assert load_checkpoint(tmp_path / name).vocabulary == vocabulary
    (tmp_path / "ours" / "vocabulary.txt").write_text("../outside\n")
    with pytest.raises(UserError, match="no list of words"):
        load_checkpoint(tmp_path / "ours")


def test_files_that_are_no_checkpoint_of_dia_are_reported(tiny, tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "notes.txt").write_text("no weights")
    (tmp_path / "two").mkdir()
    for name in ("a.pth", "b.pth"):
        torch.save({}, tmp_path / "two" / name)
    for name, message in (
        ("other.safetensors", "holds no Dia"),
        ("text.pth", "damaged"),
        ("list.pth", "no tensors by name"),
        ("notes.txt", "no weights file"),
        ("two", "several checkpoints"),
        ("nothing", "no checkpoint at"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            read_source(tmp_path / name)
        assert name in str(caught.value)
    save_checkpoint(tiny, tmp_path / "ours", None)
    (tmp_path / "ours" / "config.json").unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        read_source(tmp_path / "ours")
    with pytest.raises(UserError, match="no layout 'gguf'"):
        convert(read_source(nari_folder(tiny, tmp_path / "nari", False)), "gguf", tmp_path / "made")
    assert not (tmp_path / "made").exists()


class Payload:
    """The content of a hostile file: unpickling it would run a function of its choice."""

    def __reduce__(self):
        return open, (Payload.target, "w")


def test_code_in_a_file_is_never_run(tmp_path):
    Payload.target = str(tmp_path / "run")
    torch.save({"encoder.layers.0.mlp.wi_fused.weight": Payload()}, tmp_path / "hostile.pth")
    with pytest.raises(UserError, match="more than weights"):
        read_source(tmp_path / "hostile.pth")
    assert not (tmp_path / "run").exists()


@torch.no_grad()
def test_a_lightning_checkpoint_opens_with_the_config_of_its_run(tiny, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    state = {f"network.{name}": tensor for name, tensor in tiny.state_dict().items()}
    torch.save(
        {"state_dict": state | {"weights_C": torch.ones(4)}, "global_step": 3},
        tmp_path / "run" / "checkpoints" / "step-00000003.ckpt",
    )
    (tmp_path / "run" / "config.yaml").write_text(
        OmegaConf.to_yaml(OmegaConf.create({"model": asdict(tiny.config)}))
    )
    opened = load_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000003.ckpt")
    assert opened.network.config == tiny.config and torch.equal(opened.network(*inputs()), tiny(*inputs()))


@torch.no_grad()
def test_a_hub_id_opens_from_the_hubs_local_cache(tiny, tmp_path, monkeypatch):
    """The cache holds blobs, refs and a snapshot of links, as the client of the Hub writes it."""
    import huggingface_hub.constants as constants

    repository = tmp_path / "models--someone--Dia-tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    (repository / "snapshots").mkdir()
    nari_folder(tiny, repository / "blobs", False)
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir()
    for file in (repository / "blobs").iterdir():
        (snapshot / file.name).symlink_to(file)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    opened = load_checkpoint("someone/Dia-tiny")
    assert torch.equal(opened.network(*inputs()), tiny(*inputs()))
    for file in snapshot.iterdir():
        if file.name != "config.json":
            file.unlink()
    assert read_config("someone/Dia-tiny") == tiny.config, "the shape needs no weights"
    with pytest.raises(UserError, match="cannot be downloaded from the Hub"):
        load_checkpoint("someone/Dia-nowhere")


@pytest.mark.parametrize(
    "first, wanted", [(True, (3.0, 1.3, 0.95, 35, True)), (False, (3.0, 1.8, 0.90, 45, False))]
)
def test_each_generation_has_recommended_sampling_values(tiny, tmp_path, first, wanted):
    tiny.config.cross_rope = first
    dia = Dia.from_pretrained(
        str(nari_folder(tiny, tmp_path / "nari", nested=first)), load_dac=False, device="cpu"
    )
    made = dia.default_sampling
    assert (made.cfg_scale, made.temperature, made.top_p, made.cfg_filter_top_k, made.draw_guided) == wanted
    assert dia.sampling(temperature=1.0, top_p=None).default_sampling == replace(made, temperature=1.0)


@pytest.mark.parametrize("nested", [True, False])
def test_the_shape_is_read_without_the_weights(tiny, tmp_path, nested):
    tiny.config.cross_rope = nested
    folder = nari_folder(tiny, tmp_path / "nari", nested=nested)
    assert read_config(folder) == read_source(folder).config
    (folder / "config.json").rename(tmp_path / "config.json")
    assert read_config(folder).decoder.layers == tiny.config.decoder.layers, "of nari's tensors alone, too"


def test_sampling_values_of_a_checkpoint_override_the_preset(tiny, tmp_path):
    convert(
        read_source(nari_folder(tiny, tmp_path / "nari", nested=False)), "transformers", tmp_path / "made"
    )
    stored = json.loads((tmp_path / "made" / "generation_config.json").read_text())
    (tmp_path / "made" / "generation_config.json").write_text(json.dumps(stored | {"temperature": 1.45}))
    assert load_checkpoint(tmp_path / "made").sampling["temperature"] == 1.45


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_checkpoint_opens_quantized(tiny, tmp_path, kind):
    folder = str(nari_folder(tiny, tmp_path / "nari", nested=False))
    whole, small = (
        Dia.from_pretrained(folder, load_dac=False, device="cpu", quantization=value)
        for value in (None, kind)
    )
    assert small.generate("[S1] Yes.", 40, seed=1).shape[1] == 4
    count = [sum(parameter.numel() for parameter in dia.network.parameters()) for dia in (whole, small)]
    assert count[1] < 0.5 * count[0]
    with pytest.raises(UserError, match="quantization='int3' is unknown"):
        Dia.from_pretrained(folder, load_dac=False, device="cpu", quantization="int3")
