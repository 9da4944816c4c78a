"""A new objective is one file and one line: one is added here, and a run trains with it."""

import json

import dia.training.objectives
from dia.config.choices import ObjectiveKind
from tests.enum_members import add_member
from tests.training.whole_runs import make_noise, train_here

SOURCE = '''
"""Cross-entropy with a smoothed target: every id has a share of the probability."""

from dia.training.loss import channel_sums
from dia.training.objectives.protocol import Objective


class Smoothed(Objective):
    """Cross-entropy of the targets, with a tenth for the mean over all ids."""

    def __call__(self, network, batch):
        """Return the sums over a batch's targets."""
        logits = network.logits(network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC))
        sums = channel_sums(logits, batch.targets_BTC, network.config.decoder.eos)
        uniform_C = -logits.float().log_softmax(-1).mean(-1).sum((0, 1))
        sums.cross_entropy_C = 0.9 * sums.cross_entropy_C + 0.1 * uniform_C
        return sums


OBJECTIVE = Smoothed
'''


def test_an_objective_is_one_file_and_one_line(tmp_path, monkeypatch):
    (tmp_path / "smoothed.py").write_text(SOURCE)  # the file
    package = dia.training.objectives
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    add_member(monkeypatch, ObjectiveKind, "smoothed")  # the line
    make_noise(tmp_path)
    train_here(tmp_path, monkeypatch, "objective=smoothed", "trainer.steps=2", "run_name=new")
    assert json.loads((tmp_path / "runs" / "new" / "finished.json").read_text()) == {"steps": 2}
    assert "smoothed" in (tmp_path / "runs" / "new" / "config.yaml").read_text()
