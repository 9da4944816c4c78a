from dataclasses import replace

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.plugins import MixedPrecision
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.network import DiaNetwork
from dia.training.dia_module import DiaModule
from dia.training.fused_cross_entropy import head_sums
from dia.training.loss import channel_sums, channel_weights, weighted_loss
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips

EIGHT = RandomClips([5, 9, 3, 12, 7, 7, 1, 20])


class Seen(DummyLogger):
    """A logger that stores the metrics logged last."""

    def log_metrics(self, metrics, step=None):
        self.metrics = metrics


def trained(batches, accumulate, precision="64-true", steps=1, plugins=None):
    """Train a tiny network on these batches; return the network and the logged metrics."""
    torch.manual_seed(0)
    task = DiaModule(
        DiaNetwork(TINY), CrossEntropy(4.0), OptimConfig(max_grad_norm=0.5), ScheduleConfig(2), 10, 4.0
    )
    seen = Seen()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        logger=seen,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        precision=precision,
        log_every_n_steps=1,
        plugins=plugins,
    )
    trainer.fit(task, DataLoader(batches, batch_size=None))
    return task.network, seen.metrics


@pytest.mark.parametrize(
    "parts", [[[0, 1, 2, 3], [4, 5, 6, 7]], [[n] for n in range(8)], [[7], [0, 1, 2, 3, 4, 5, 6]]]
)
def test_gradient_accumulation_trains_like_the_whole_batch(parts):
    whole, logged = trained([EIGHT.batch(*range(8))], 1)
    pieces, logged_of_pieces = trained([EIGHT.batch(*part) for part in parts], len(parts))
    for (name, wanted), actual in zip(whole.named_parameters(), pieces.parameters(), strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-9, atol=1e-11, msg=name)
    assert logged_of_pieces == pytest.approx(logged, rel=1e-9)


def test_the_logged_loss_is_that_of_the_step():
    batch = EIGHT.batch(*range(8))
    _, logged = trained([EIGHT.batch(n) for n in range(8)], 8)
    torch.manual_seed(0)
    with torch.no_grad():
        logits = DiaNetwork(TINY).double()(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
    sums = channel_sums(logits, batch.targets_BTC, TINY.decoder.eos)
    assert logged["train/loss"] == pytest.approx(
        float(weighted_loss(sums, channel_weights(4, 4.0))), rel=1e-6
    )


def test_gradient_norms_are_measured_without_the_loss_scale():
    """Lightning does not offer fp16 on a CPU, so its plugin is passed explicitly; AdamW is fused."""
    scaled = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**10))
    half, logged = trained([EIGHT.batch(*range(8))], 1, None, plugins=[scaled])
    whole, wanted = trained([EIGHT.batch(*range(8))], 1, "32-true")
    assert logged["train/gradient_norm"] == pytest.approx(wanted["train/gradient_norm"], rel=0.02)
    assert logged["train/loss"] == pytest.approx(wanted["train/loss"], rel=0.01)
    moved = [(one - other).norm() for one, other in zip(half.parameters(), whole.parameters(), strict=True)]
    assert max(moved) < 0.1


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99))
def test_the_chunked_loss_equals_the_loss_of_the_whole(rows, piece, seed):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2 * 8, 6, generator=rng, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 8, (rows, 2), generator=rng)
    asked_for = torch.tensor([4.0, 1.0])
    gradients = []
    for sums in (
        head_sums(features, weight, targets, 5, asked_for, piece),
        channel_sums((features @ weight.T).view(1, rows, 2, 8), targets[None], 5),
    ):
        gradients.append(
            (
                sums.detach(),
                *torch.autograd.grad((sums.cross_entropy_C * asked_for).sum(), (features, weight)),
            )
        )
    (actual, *pieces), (wanted, *whole) = gradients
    torch.testing.assert_close(vars(actual), vars(wanted))
    torch.testing.assert_close(pieces, whole)


class LargestTensor(TorchDispatchMode):
    """Records the size of the largest tensor that an operation returned."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        result = operation(*arguments, **(named or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def test_the_head_refuses_a_foreign_gradient():
    features, targets = torch.randn(3, 6, requires_grad=True), torch.zeros(3, 2, dtype=torch.long)
    sums = head_sums(features, torch.randn(16, 6), targets, 5, torch.tensor([4.0, 1.0]), 2)
    with pytest.raises(RuntimeError, match="weights_C"):
        sums.cross_entropy_C.sum().backward()


def test_logits_are_never_materialized_whole():
    config = replace(TINY, decoder=replace(TINY.decoder, codebook_size=1024))
    wide, batch = DiaNetwork(config), RandomClips([18, 19, 20, 20], config).batch(0, 1, 2, 3)
    logits, piece = (
        steps * config.channels * config.decoder.vocab_size
        for steps in (batch.targets_BTC[..., 0].numel(), 16)
    )
    with LargestTensor() as seen:
        CrossEntropy(1.0, piece=16)(wide, batch).cross_entropy_C.sum().backward()
    table = config.channels * config.decoder.vocab_size * config.decoder.hidden_size  # the head weights
    assert seen.numbers <= max(piece, table) < logits
    with LargestTensor() as seen:
        wide(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
    assert seen.numbers == logits
