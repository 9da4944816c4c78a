"""Denormal numbers are zero in training steps, and only there."""

from pathlib import Path

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from dia.training.callbacks.flush_denormals import FlushDenormals

SMALL = 1e-30


class Products(L.LightningModule):
    """Records products that are denormal numbers."""

    def __init__(self, fails_at: int = -1) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.products, self.validated = [], []
        self.fails_at = fails_at

    def training_step(self, batch):
        self.products.append(product())
        if batch == self.fails_at:
            raise ValueError("stop")
        return self.weight * 0

    def validation_step(self, batch):
        self.validated.append(product())
        torch.set_flush_denormal(False)  # as onnxruntime and others do

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def product() -> float:
    return float(torch.tensor([SMALL]) * torch.tensor([1e-10]))


def trainer_with_flushing(folder: Path) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        max_steps=2,
        val_check_interval=1,
        num_sanity_val_steps=0,
        callbacks=[FlushDenormals()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=folder,
    )


def test_denormals_are_zero_in_training_steps_only(tmp_path):
    module = Products()
    trainer = trainer_with_flushing(tmp_path)
    assert product() > 0
    trainer.fit(module, DataLoader([0, 1]), DataLoader([0]))
    assert module.products == [0.0, 0.0] and len(module.validated) == 2
    assert all(module.validated) and product() > 0


def test_denormals_come_back_after_an_exception(tmp_path):
    module = Products(fails_at=0)
    with pytest.raises(ValueError, match="stop"):
        trainer_with_flushing(tmp_path).fit(module, DataLoader([0, 1]))
    assert module.products == [0.0] and product() > 0
