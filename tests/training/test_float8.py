"""Training with products in fp8: rounding on a CPU, refusals, and names of weights."""

import copy
import re

import pytest
import torch
from torch import nn

from dia.config.choices import Precision
from dia.config.trainer import TrainerConfig
from dia.data.collation import collate
from dia.errors import UserError
from dia.network import DiaNetwork
from dia.training.float8 import has_float8, use_float8
from dia.training.loss import channel_weights
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips

pytest.importorskip("torchao")


def gradients(network):
    batch = collate(RandomClips([9, 14, 30]).clips, [False] * 3, TINY)
    network.zero_grad()
    CrossEntropy(1.0)(network, batch).total(channel_weights(TINY.channels, 1.0)).backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters()}


def test_the_gradient_is_the_one_of_fp32_up_to_the_rounding_of_fp8():
    torch.manual_seed(0)
    exact = DiaNetwork(TINY)
    rounded = copy.deepcopy(exact)
    use_float8(rounded, emulate=True)
    wanted, actual = gradients(exact), gradients(rounded)
    assert list(rounded.state_dict()) == list(exact.state_dict())
    errors = {name: ((actual[name] - grad).norm() / grad.norm()).item() for name, grad in wanted.items()}
    assert 0 < max(errors.values()) < 0.2, errors
    layers = {name for name, layer in rounded.named_modules() if type(layer).__name__ == "Float8Linear"}
    linear = {name for name, layer in exact.named_modules() if isinstance(layer, nn.Linear)}
    assert layers and linear - layers == {"logits_dense"}


@pytest.mark.skipif(has_float8(), reason="this machine has fp8 products")
def test_a_machine_without_fp8_products_is_refused():
    with pytest.raises(UserError, match=re.escape("compute capability 8.9")):
        use_float8(DiaNetwork(TINY))


def test_fp8_rounds_products_of_bf16():
    assert "trainer.precision=bf16-mixed" in TrainerConfig(float8=True).problems()[0]
    assert TrainerConfig(float8=True, precision=Precision("bf16-mixed")).problems() == []
