"""Activation checkpointing and compilation change neither the loss nor the gradients."""

import pytest
import torch

from dia.config.choices import ActivationCheckpointing
from dia.network import DiaNetwork
from dia.training.activation_checkpointing import checkpoint_activations, compile_layers
from dia.training.objectives.cross_entropy import CrossEntropy
from dia.training.residual_dropout import add_residual_dropout
from tests.conftest import TINY
from tests.training.clips import RandomClips


def gradients(change, precision=None):
    torch.manual_seed(0)
    network = DiaNetwork(TINY)
    names = [name for name, _ in network.named_parameters()]
    change(network)
    assert [name for name, _ in network.named_parameters()] == names
    with torch.autocast("cpu", precision, enabled=precision is not None):
        sums = CrossEntropy(1.0)(network, RandomClips([9, 12, 20]).batch(0, 1, 2))
    sums.cross_entropy_C.sum().backward()
    return [sums.cross_entropy_C.detach(), *(parameter.grad for parameter in network.parameters())]


@pytest.mark.parametrize("mode", list(ActivationCheckpointing))
@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_recomputed_activations_give_the_same_gradients(mode, precision):
    reference = gradients(lambda network: checkpoint_activations(network, "off"), precision)
    recomputed = gradients(lambda network: checkpoint_activations(network, mode), precision)
    assert all(torch.equal(one, other) for one, other in zip(reference, recomputed, strict=True))


@pytest.mark.parametrize("mode", list(ActivationCheckpointing))
def test_recomputed_dropout_uses_the_same_mask(mode):
    reference, recomputed = (
        gradients(
            lambda network, mode=each: (
                add_residual_dropout(network, 0.3),
                checkpoint_activations(network, mode),
            )
        )
        for each in ("off", mode)
    )
    assert all(torch.equal(one, other) for one, other in zip(reference, recomputed, strict=True))


def saved_bytes(mode):
    """Return the bytes that autograd saves in a forward pass, without the weights."""
    network, sizes = DiaNetwork(TINY), {}
    checkpoint_activations(network, mode)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}

    def record(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = RandomClips([30, 30, 30]).batch(0, 1, 2)
    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        features = network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
    assert features.requires_grad
    return sum(sizes.values())


def test_each_mode_saves_less_than_the_one_before():
    off, mlp, layers = (saved_bytes(mode) for mode in list(ActivationCheckpointing))
    assert mlp < 0.75 * off and layers < 0.35 * off


def test_mixed_precision_leaves_weights_and_norms_in_fp32(tiny):
    seen = {}
    for name, module in tiny.named_modules():
        if name.endswith(("norm", "q_proj")):
            module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.dtype}))
    with torch.autocast("cpu", torch.bfloat16):
        CrossEntropy(1.0)(tiny, RandomClips([9]).batch(0)).cross_entropy_C.sum().backward()
    assert {dtype for name, dtype in seen.items() if name.endswith("q_proj")} == {torch.bfloat16}
    assert {dtype for name, dtype in seen.items() if name.endswith("norm")} == {torch.float32}
    assert all(parameter.grad.dtype == parameter.dtype == torch.float32 for parameter in tiny.parameters())


def test_compiled_layers_have_the_same_gradients():
    plain = gradients(lambda network: None)
    compiled = gradients(
        lambda network: compile_layers(network, "aot_eager")
    )  # captures the whole graph and needs no C++ compiler
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)
