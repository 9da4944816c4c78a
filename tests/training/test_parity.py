"""The same labels give the same loss and gradients as the Dia model of transformers."""

import pytest
import torch

from dia.checkpoint import save_checkpoint
from dia.checkpoint.transformers_layout import to_tensors
from dia.training.loss import weighted_loss
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips

transformers = pytest.importorskip("transformers")


def test_gradients_equal_those_of_transformers(tiny, tmp_path):
    batch = RandomClips([5, 9, 20, 12]).batch(0, 1, 2, 3)
    save_checkpoint(tiny, tmp_path / "model", None)
    theirs = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model")
    # the processor of transformers labels ignored targets with -100, a row of labels for each channel
    labels = (
        batch.targets_BTC.masked_fill(batch.targets_BTC > TINY.decoder.eos, -100)
        .transpose(1, 2)
        .flatten(0, 1)
    )
    wanted = theirs(
        input_ids=batch.text_BS,
        attention_mask=batch.text_mask_BS.long(),
        decoder_input_ids=batch.inputs_BTC,
        labels=labels,
    ).loss
    wanted.backward()
    loss = weighted_loss(CrossEntropy(1.0, piece=16)(tiny, batch), torch.ones(TINY.channels))
    loss.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    ours = to_tensors({name: parameter.grad for name, parameter in tiny.named_parameters()})
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        off = (ours[name] - gradient).norm() / gradient.norm()
        assert off < 1e-5, f"{name} is off by {off:.1e} of its norm"
