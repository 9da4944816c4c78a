"""The text of another clip increases the loss of a model only if it reads the text."""

import pytest
import torch
from torch.utils.data import DataLoader

from dia.data.batching import BatchList
from dia.training.callbacks.text_gain import TextGain, with_exchanged_texts
from dia.training.run_folder import read_metrics
from tests.training.clips import RandomClips
from tests.training.small_run import fit, task, trainer


def gain_of(folder, module, batches):
    validator = trainer(folder, [TextGain()], 1)
    validator.validate(module, DataLoader(BatchList(batches), batch_size=None), verbose=False)
    return [
        float(row["validation/text_gain"]) for row in read_metrics(folder) if row.get("validation/text_gain")
    ]


def test_texts_are_shifted_by_one_clip():
    batch = RandomClips([8, 6, 4]).batch(0, 1, 2)
    other = with_exchanged_texts(batch)
    assert torch.equal(other.text_BS[1], batch.text_BS[0]) and torch.equal(
        other.text_mask_BS[0], batch.text_mask_BS[2]
    )
    assert torch.equal(other.targets_BTC, batch.targets_BTC)


def test_a_model_that_ignores_the_text_has_no_text_gain(tmp_path):
    module = task(1)
    for layer in module.network.decoder.layers:
        torch.nn.init.zeros_(layer.cross_attention.o_proj.weight)
    assert gain_of(tmp_path, module, [RandomClips([8, 6, 4]).batch(0, 1, 2)]) == [pytest.approx(0, abs=1e-6)]


def test_a_model_that_reads_the_text_has_a_text_gain(tmp_path):
    clips = RandomClips([8, 6, 7, 5])
    batch = clips.batch(0, 1, 2, 3)
    module = task(150, learning_rate=3e-3)
    loader = DataLoader(BatchList([batch] * 150), batch_size=None)
    fit(tmp_path / "train", [], 150, module, loader, checkpoint_every=150)
    assert gain_of(tmp_path / "validate", module, [batch])[0] > 0.5


def test_a_single_clip_gives_no_text_gain(tmp_path):
    assert gain_of(tmp_path, task(1), [RandomClips([8]).batch(0)]) == []
