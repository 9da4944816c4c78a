import pytest
import torch

from dia.checkpoint import CodecReference, load_checkpoint, save_checkpoint
from dia.errors import UserError
from tests.network.test_network import inputs

CODEC = CodecReference("codec_nano", "0" * 64)


@torch.no_grad()
def test_transformers_opens_a_checkpoint_of_training(tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    save_checkpoint(tiny, tmp_path / "model", CODEC)
    theirs = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model").eval()
    text, mask, tokens = inputs()
    made = theirs(input_ids=text, attention_mask=mask.long(), decoder_input_ids=tokens).logits
    ours = tiny(text, mask, tokens)
    made = made.view(2, 4, 7, 36).transpose(1, 2)
    torch.testing.assert_close(ours, made, atol=1e-5, rtol=0)
    assert theirs.generation_config.guidance_scale == 3.0
    assert theirs.config.decoder_config.eos_token_id == tiny.config.decoder.eos


@torch.no_grad()
def test_a_saved_network_loads_unchanged(tiny, tmp_path):
    save_checkpoint(tiny, tmp_path / "model", CODEC)
    save_checkpoint(tiny, tmp_path / "model", CODEC)  # replaces the older one
    opened = load_checkpoint(tmp_path)
    assert opened.codec == CODEC and opened.network.config == tiny.config
    assert torch.equal(opened.network(*inputs()), tiny(*inputs()))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_damaged_checkpoints_are_reported_with_their_path(tiny, tmp_path):
    save_checkpoint(tiny, tmp_path / "model", CODEC)
    weights, config = tmp_path / "model" / "model.safetensors", tmp_path / "model" / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:500])
    with pytest.raises(UserError, match="damaged"):
        load_checkpoint(tmp_path / "model")
    weights.write_bytes(whole)
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(UserError, match="is missing"):
        load_checkpoint(tmp_path / "model")
    config.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(tmp_path / "model")
    with pytest.raises(UserError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "nothing")
