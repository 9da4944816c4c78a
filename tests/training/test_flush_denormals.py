"""Denormal numbers are zero during a fit, and only then."""

import lightning as L
import torch
from torch.utils.data import DataLoader

from dia.training.callbacks.flush_denormals import FlushDenormals

SMALL = 1e-30


class Squares(L.LightningModule):
    """Records the square of a number whose square is denormal."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.squares = []

    def training_step(self, batch):
        self.squares.append(product())
        return self.weight * 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def product() -> float:
    return float(torch.tensor([SMALL]) * torch.tensor([1e-10]))


def test_denormals_are_zero_during_a_fit_only(tmp_path):
    module = Squares()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=2,
        callbacks=[FlushDenormals()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    assert product() > 0
    trainer.fit(module, DataLoader([0, 1]))
    assert module.squares == [0.0, 0.0]
    assert product() > 0
