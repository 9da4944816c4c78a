import copy
import json
import logging

import pytest
import torch
from torch import nn

from dia.checkpoint import CodecReference, save_checkpoint
from dia.checkpoint.adapter import (
    Base,
    load_adapter,
    merge_adapter,
    merge_tensors,
    save_adapter,
    weights_fingerprint,
)
from dia.config.lora import LAYERS, LoraConfig
from dia.errors import UserError
from dia.model import Dia
from dia.network import DiaNetwork
from dia.training.activation_checkpointing import checkpoint_activations
from dia.training.lora import LoraLinear, adapter_of, add_adapters
from tests.conftest import TINY
from tests.network.test_network import inputs

CONFIG = LoraConfig(rank=3, alpha=6.0)


def with_random_adapter(network, config=CONFIG):
    """Return a copy of the network with adapters of random weights."""
    adapted = copy.deepcopy(network)
    torch.manual_seed(1)
    add_adapters(adapted, config)
    for name, parameter in adapted.named_parameters():
        if name.endswith("lora_B"):
            nn.init.normal_(parameter, std=0.1)
    return adapted


def saved(network, adapted, folder, config=CONFIG):
    base = Base("base", weights_fingerprint(network.state_dict().items()))
    save_adapter(adapter_of(adapted.state_dict(), config, adapted.config, base), folder)
    return folder


@torch.no_grad()
def test_a_fresh_adapter_changes_nothing(tiny):
    adapted = copy.deepcopy(tiny)
    add_adapters(adapted, CONFIG)
    assert torch.equal(adapted(*inputs()), tiny(*inputs()))
    assert sum(isinstance(module, LoraLinear) for module in adapted.modules()) == 2 * 6 + 2 * (4 + 4 + 2)


@torch.no_grad()
def test_merged_and_unmerged_adapters_give_the_same_output(tiny, tmp_path):
    adapted, alone = with_random_adapter(tiny), copy.deepcopy(tiny)
    wanted = adapted(*inputs())
    assert (wanted - tiny(*inputs())).abs().max() > 0.01
    merge_adapter(alone, load_adapter(saved(tiny, adapted, tmp_path / "adapter")))
    torch.testing.assert_close(alone(*inputs()), wanted, atol=1e-5, rtol=1e-5)
    exported = DiaNetwork(TINY)
    exported.load_state_dict(merge_tensors(adapted.state_dict(), CONFIG.alpha / CONFIG.rank))
    assert all(
        torch.equal(tensor, exported.state_dict()[name]) for name, tensor in alone.state_dict().items()
    )


def test_training_changes_adapters_but_no_bit_of_the_base(tiny):
    adapted = copy.deepcopy(tiny)
    add_adapters(adapted, LoraConfig(rank=2, dropout=0.1))
    adapted.train()
    optimizer = torch.optim.AdamW(
        [weight for weight in adapted.parameters() if weight.requires_grad], lr=1e-2
    )
    for _ in range(3):
        adapted(*inputs()).square().mean().backward()
        assert all(
            (weight.grad is not None) == ("lora_" in name) for name, weight in adapted.named_parameters()
        )
        optimizer.step()
    state = adapted.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in tiny.state_dict().items())
    assert all(state[name].any() for name in state if name.endswith("lora_B"))


@pytest.mark.parametrize("mode", ["mlp", "layers"])
def test_recomputation_drops_the_same_features(tiny, mode):
    gradients = []
    for activations in ("off", mode):
        adapted = with_random_adapter(tiny, LoraConfig(rank=2, dropout=0.5)).train()
        checkpoint_activations(adapted, activations)
        torch.manual_seed(3)
        adapted(*inputs()).square().mean().backward()
        gradients.append([weight.grad for weight in adapted.parameters() if weight.requires_grad])
    for again, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(again, wanted)


@torch.no_grad()
def test_a_layer_agrees_with_peft():
    layers = pytest.importorskip("peft.tuners.lora")
    from peft import LoraConfig as PeftConfig

    base, x = nn.Linear(7, 5, bias=False), torch.randn(2, 3, 7)
    ours = LoraLinear(copy.deepcopy(base), CONFIG)
    nn.init.normal_(ours.lora_B)
    theirs = layers.Linear(
        base, "default", PeftConfig(r=CONFIG.rank, lora_alpha=int(CONFIG.alpha)), r=CONFIG.rank, lora_alpha=6
    )
    theirs.lora_A["default"].weight.copy_(ours.lora_A)
    theirs.lora_B["default"].weight.copy_(ours.lora_B)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_peft_opens_our_adapter_on_the_model_of_transformers(tiny, tmp_path):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    adapted = with_random_adapter(tiny)
    saved(tiny, adapted, tmp_path / "adapter")
    save_checkpoint(tiny, tmp_path / "model", None)
    base = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model")
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    text, mask, tokens = inputs()
    logits = theirs(input_ids=text, attention_mask=mask.long(), decoder_input_ids=tokens).logits
    torch.testing.assert_close(
        adapted(text, mask, tokens), logits.view(2, 4, 7, 36).transpose(1, 2), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("quantization, close", [(None, 1e-5), ("int8", 0.2)])
@torch.no_grad()
def test_dia_opens_a_checkpoint_with_an_adapter(tiny, tmp_path, quantization, close, caplog):
    adapted = with_random_adapter(tiny)
    save_checkpoint(tiny, tmp_path / "model", CodecReference("codec_nano", "0" * 64))
    run = saved(tiny, adapted, tmp_path / "run" / "adapter").parent
    with caplog.at_level(logging.WARNING):
        dia = Dia.from_pretrained(
            str(tmp_path / "model"), device="cpu", load_dac=False, adapter=str(run), quantization=quantization
        )
    wanted = adapted(*inputs())
    assert (dia.network(*inputs()) - wanted).abs().max() / wanted.abs().max() < close and not caplog.records
    for parameter in tiny.parameters():
        parameter.data *= 1.01
    merge_adapter(tiny, load_adapter(run))
    assert "other weights" in caplog.text


def test_all_mismatches_of_an_adapter_are_reported_at_once(tiny, tmp_path):
    folder = saved(tiny, with_random_adapter(tiny), tmp_path / "adapter")
    other = copy.deepcopy(TINY)
    other.decoder.hidden_size, other.encoder.layers = 96, 1
    with pytest.raises(
        UserError,
        match=r"encoder.layers is 2 in the adapter's base and 1 in the network; decoder.hidden_size is 64 in",
    ):
        merge_adapter(DiaNetwork(other), load_adapter(folder))


def test_files_that_are_no_adapter_are_reported(tiny, tmp_path):
    with pytest.raises(UserError, match="no adapter at"):
        load_adapter(tmp_path)
    folder = saved(tiny, with_random_adapter(tiny), tmp_path / "adapter")
    config = folder / "adapter_config.json"
    whole = json.loads(config.read_text())
    for content, message in (
        ({**whole, "use_dora": True}, "use_dora"),
        ({**whole, "dia": {}}, "describes no adapter"),
    ):
        config.write_text(json.dumps(content))
        with pytest.raises(UserError, match=message):
            load_adapter(folder)


@torch.no_grad()
def test_an_adapter_that_peft_saved_is_merged(tiny, tmp_path):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    save_checkpoint(tiny, tmp_path / "model", None)
    base = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model")
    theirs = peft.get_peft_model(
        base, peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"])
    ).eval()
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    theirs.save_pretrained(tmp_path / "adapter")
    text, mask, tokens = inputs()
    wanted = theirs(input_ids=text, attention_mask=mask.long(), decoder_input_ids=tokens).logits
    merge_adapter(tiny, load_adapter(tmp_path / "adapter"))
    torch.testing.assert_close(
        tiny(text, mask, tokens), wanted.view(2, 4, 7, 36).transpose(1, 2), atol=1e-4, rtol=1e-4
    )


def test_wrong_targets_are_reported(tiny):
    assert (
        not LoraConfig(8).problems()
        and not LoraConfig(8, targets=["cross_attention.q_proj", "mlp.down_proj"]).problems()
    )
    messages = " ".join(LoraConfig(-1, 0.0, 1.0, ["q_proj", "mlp.q_proj", "head"]).problems())
    assert all(part in messages for part in ("rank=-1", "alpha=0.0", "dropout=1.0", "['mlp.q_proj', 'head']"))
    add_adapters(tiny, LoraConfig(2, targets=["cross_attention.q_proj"]))
    names = [name for name, module in tiny.named_modules() if isinstance(module, LoraLinear)]
    assert names == [f"decoder.layers.{layer}.cross_attention.q_proj" for layer in (0, 1)]
    assert set(LAYERS) >= {name.rpartition(".")[2] for name in names}
