"""What an export holds beside its weights, and that transformers does not open the first generation."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
import yaml

from dia.checkpoint import CodecReference, convert, load_checkpoint, read_source, save_checkpoint
from dia.checkpoint.adapter import Adapter, Base, load_adapter, save_adapter
from dia.config.model import DIA_DELAYS
from dia.dialogue.text import encode_text
from dia.errors import UserError
from dia.network import DiaNetwork
from tests.checkpoint.test_layouts import nari_folder
from tests.conftest import TINY
from tests.end_to_end.test_programs import ending, lay_in_cache
from tests.network.test_network import inputs

transformers = pytest.importorskip("transformers")
DAC = CodecReference("dac_44khz", "")


@pytest.fixture
def first():
    """A tiny network of the first generation."""
    torch.manual_seed(0)
    config = replace(TINY, cross_rope=True)
    return DiaNetwork(config).eval()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub cache with a tiny DAC of transformers under the name that exports refer to."""
    import huggingface_hub.constants as constants

    torch.manual_seed(0)
    rates = [2, 4, 8, 8]
    config = transformers.DacConfig(
        encoder_hidden_size=2,
        downsampling_ratios=rates,
        decoder_hidden_size=32,
        upsampling_ratios=rates[::-1],
        n_codebooks=9,
        codebook_size=1_024,
        codebook_dim=4,
        sampling_rate=44_100,
    )
    transformers.DacModel(config).save_pretrained(tmp_path / "dac")
    lay_in_cache(tmp_path / "hub", "descript/dac_44khz", tmp_path / "dac")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_the_processor_of_an_export_encodes_texts_and_decodes_sound(hub, tmp_path):
    network = ending(first=False)
    save_checkpoint(network, tmp_path / "model", DAC)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "model")
    model = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model").eval()
    text = "[S1] Hello thére. (laughs) [S2] Hello!"
    read = processor(text=[text], padding=True, return_tensors="pt")
    assert read["input_ids"][0].tolist() == encode_text(text)
    codes = model.generate(**read, max_new_tokens=60, do_sample=False)
    (waveform,) = processor.batch_decode(codes)
    assert waveform.ndim == 1 and len(waveform) % 512 == 0 and len(waveform) > 0
    processor.save_audio([waveform], [str(tmp_path / "speech.wav")])
    assert soundfile.info(tmp_path / "speech.wav").samplerate == 44_100
    noise = 0.1 * np.random.default_rng(0).standard_normal(22_050)
    prompted = processor(text=[text], audio=[noise], sampling_rate=44_100, return_tensors="pt")
    assert prompted["decoder_input_ids"].shape[2] == 9


def test_a_model_with_another_codec_has_a_tokenizer_but_no_processor(tiny, tmp_path):
    save_checkpoint(tiny, tmp_path / "model", CodecReference("codec_nano", "1" * 64))
    assert not (tmp_path / "model" / "processor_config.json").exists()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer("[S1] Hi.")["input_ids"] == encode_text("[S1] Hi.")
    assert "has no processor files" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temperature": 0.7}, "temperature=0.7`: transformers raises it to 1"),
        ({"cfg_scale": 0.5}, "cfg_scale=0.5`: transformers requires a scale above 1"),
        ({"cfg_filter_top_k": None}, "cfg_filter_top_k=null`"),
        ({"cfg_final": 1.0}, "cfg_final=1.0`: transformers has no such value"),
        ({"draw_guided": True}, "draw_guided=True`: transformers has no such value"),
        ({}, "Settings that you pass yourself: transformers raises temperatures below 1"),
    ],
)
def test_the_card_names_what_transformers_does_not_honour(tmp_path, values, said):
    sampling = {"cfg_scale": 3.0, "temperature": 1.8, "top_p": 0.9, "cfg_filter_top_k": 45} | values
    save_checkpoint(ending(first=False), tmp_path / "model", DAC, sampling)
    card = (tmp_path / "model" / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["library_name"] == "transformers" and header["pipeline_tag"] == "text-to-speech"
    assert said in card and "AutoProcessor" in card
    assert (": transformers " in card.split("## What")[1].split("- Settings")[0]) is bool(values)
    opened = load_checkpoint(tmp_path / "model").sampling
    assert {name: opened[name] for name in sampling} == sampling, "nothing is lost on the way"


def test_a_temperature_of_zero_is_greedy_in_transformers(tiny, tmp_path):
    sampling = {"cfg_scale": 3.0, "temperature": 0.0, "top_p": 0.9, "cfg_filter_top_k": 45}
    save_checkpoint(tiny, tmp_path / "model", None, sampling)
    config = transformers.GenerationConfig.from_pretrained(tmp_path / "model")
    assert config.do_sample is False
    assert load_checkpoint(tmp_path / "model").sampling == sampling


def test_a_first_generation_checkpoint_is_not_converted_for_transformers(first, tmp_path):
    source = read_source(nari_folder(first, tmp_path / "nari", nested=True))
    with pytest.raises(UserError, match=r"cross-attention has rotary positions.*speak wrongly"):
        convert(source, "transformers", tmp_path / "made")
    assert not (tmp_path / "made").exists()
    convert(source, "nari", tmp_path / "back")
    assert "model" in json.loads((tmp_path / "back" / "config.json").read_text()), "the nested format"


@torch.no_grad()
def test_the_export_of_a_first_generation_opens_here_and_not_in_transformers(first, tmp_path):
    save_checkpoint(first, tmp_path / "model", CodecReference("codec_nano", "1" * 64))
    opened = load_checkpoint(tmp_path / "model")
    assert opened.network.config == first.config and opened.codec.name == "codec_nano"
    assert torch.equal(opened.network(*inputs()), first(*inputs()))
    with pytest.raises((OSError, ValueError)):
        transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="dia_first_generation"):
        transformers.AutoConfig.from_pretrained(tmp_path / "model")
    assert "transformers would speak wrongly" in (tmp_path / "model" / "README.md").read_text()
    with pytest.raises(UserError, match="speak wrongly"):
        convert(read_source(tmp_path / "model"), "transformers", tmp_path / "made")
    convert(read_source(tmp_path / "model"), "nari", tmp_path / "nari")
    again = load_checkpoint(tmp_path / "nari")
    assert again.codec.name == "codec_nano" and again.network.config.cross_rope


@pytest.mark.parametrize("cross_rope", [False, True])
def test_peft_opens_no_adapter_of_a_first_generation(first, tmp_path, cross_rope):
    peft = pytest.importorskip("peft")
    first.config.cross_rope = cross_rope
    module = "decoder.layers.0.self_attention.q_proj"
    tensors = {f"{module}.lora_A": torch.zeros(2, 64), f"{module}.lora_B": torch.zeros(64, 2)}
    adapter = Adapter(2, 4.0, ["q_proj"], Base("any", ""), first.config, tensors)
    save_adapter(adapter, tmp_path / "adapter")
    assert load_adapter(tmp_path / "adapter").config.cross_rope is cross_rope
    if not cross_rope:
        assert peft.PeftConfig.from_pretrained(str(tmp_path / "adapter")).peft_type == "LORA"
        return
    with pytest.raises((KeyError, ValueError)):
        peft.PeftConfig.from_pretrained(str(tmp_path / "adapter"))


def test_delays_of_dia_are_those_of_the_processor():
    assert tuple(transformers.DiaProcessor.audio_kwargs["delay_pattern"]) == DIA_DELAYS
