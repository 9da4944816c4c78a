import copy

import lightning as L
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader

from dia.config.callbacks import EarlyStoppingConfig, EMAConfig
from dia.config.choices import MonitorMode
from dia.config.lora import LoraConfig
from dia.errors import UserError
from dia.training.callbacks.early_stopping import EarlyStopping
from dia.training.callbacks.ema import ExponentialMovingAverage, WeightAverage, averaged_weights, decay_at
from dia.training.lora import add_adapters
from tests.network.test_network import inputs

DECAY = 0.7


class Task(L.LightningModule):
    """Linear regression whose validation logs the given scores, or its first weight."""

    def __init__(self, scores=()):
        super().__init__()
        self.network, self.average, self.scores, self.recorded = nn.Linear(3, 1), None, list(scores), []

    def configure_model(self):
        self.average = self.average or WeightAverage(self.network)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.network.parameters(), lr=0.1)

    def forward(self, batch):
        return self.network(batch)

    def training_step(self, batch, index):
        return (self.network(batch) - 1).square().mean()

    def validation_step(self, batch, index):
        self.recorded.append(copy.deepcopy(self.network.state_dict()))
        self.log(
            "validation/loss",
            self.scores[len(self.recorded) - 1] if self.scores else float(self.network.weight[0, 0]),
        )


def fit(task, callbacks, steps, checkpoint=None, every=2):
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        callbacks=callbacks,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
    )
    torch.manual_seed(5)
    data = torch.randn(40, 4, 3)
    start = 0 if checkpoint is None else torch.load(checkpoint, weights_only=True)["global_step"]
    loader = DataLoader(list(data[start:]), batch_size=None)
    trainer.fit(task, loader, DataLoader([data[0]], batch_size=None), ckpt_path=checkpoint, weights_only=True)
    return trainer


def fresh(scores=()):
    torch.manual_seed(0)
    return Task(scores)


class Remember(L.Callback):
    """Records the weights after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):
        self.weights.append(copy.deepcopy(task.network.state_dict()))


def test_the_average_equals_an_explicit_sum_and_is_used_in_validation():
    task, remember = fresh(), Remember()
    mean = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    fit(task, [remember, ExponentialMovingAverage(DECAY)], 6)
    means = []
    for step, weights in enumerate(remember.weights, 1):
        share = min(DECAY, (1 + step) / (10 + step))
        mean = {name: share * mean[name] + (1 - share) * weights[name] for name in mean}
        means.append(mean)
    for recorded, wanted in zip(task.recorded, means[1::2], strict=True):
        assert all(torch.allclose(recorded[name], wanted[name], atol=1e-6) for name in wanted)
    own = copy.deepcopy(task.network.state_dict())
    assert all(torch.equal(own[name], remember.weights[-1][name]) for name in own), (
        "the weights themselves stay as they are"
    )
    with averaged_weights(task):
        assert torch.allclose(task.network.weight, means[-1]["weight"], atol=1e-6)
    assert torch.equal(task.network.weight, own["weight"])


@pytest.mark.parametrize("pause", [3, 4])
def test_a_resumed_run_has_the_same_average(tmp_path, pause):
    whole = fresh()
    fit(whole, [ExponentialMovingAverage(DECAY)], 8)
    fit(fresh(), [ExponentialMovingAverage(DECAY)], pause).save_checkpoint(tmp_path / "pause.ckpt")
    resumed = fresh()
    fit(resumed, [ExponentialMovingAverage(DECAY)], 8, tmp_path / "pause.ckpt")
    assert len(whole.state_dict()) == 4
    assert all(torch.equal(tensor, resumed.state_dict()[name]) for name, tensor in whole.state_dict().items())


def test_a_checkpoint_saved_in_validation_does_not_swap_weights_and_average(tmp_path):
    task = fresh()
    before, after = tmp_path / "before.ckpt", tmp_path / "in.ckpt"

    class Signal(L.Callback):
        def on_validation_start(self, trainer, task):
            trainer.save_checkpoint(before)

        def on_validation_end(self, trainer, task):
            trainer.save_checkpoint(after)

    fit(task, [Signal(), ExponentialMovingAverage(DECAY)], 2)
    first, second = (torch.load(path, weights_only=True)["state_dict"] for path in (before, after))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.fixture
def mesh(tmp_path):
    """A mesh of one process."""
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@torch.no_grad()
def test_swapping_a_sharded_average_discards_gathered_weights(mesh):
    """Weights that FSDP2 gathered for one forward pass must not be used in the next."""
    torch.manual_seed(0)
    whole, sharded = Task(), Task()
    sharded.load_state_dict(whole.state_dict())
    fully_shard(sharded, mesh=mesh, reshard_after_forward=False)
    data = torch.randn(2, 3)
    recorded = []
    for task in (whole, sharded):
        task.average = WeightAverage(task.network)
        for weight in task.network.parameters():
            weight.add_(1.0)
        task.average.update(task.network, 0.25)
        recorded.append([task(data)])
        if task is sharded:
            sharded.reshard()  # the state after a training step
        with averaged_weights(task):
            recorded[-1].append(task(data))
        recorded[-1].append(task(data))
    sharded.reshard()
    torch.testing.assert_close(sharded(data), recorded[0][0])
    assert all(isinstance(weight, DTensor) for weight in sharded.average.weights)
    assert not torch.equal(recorded[0][0], recorded[0][1])
    for wanted, actual in zip(*recorded, strict=True):
        torch.testing.assert_close(actual, wanted)


def test_only_trained_weights_are_averaged(tiny):
    add_adapters(tiny, LoraConfig(2))
    average = WeightAverage(tiny)
    assert len(average.weights) == sum(parameter.requires_grad for parameter in tiny.parameters())
    wanted = tiny(*inputs()).detach()
    for weight in average.weights:
        nn.init.normal_(weight)
    for _ in range(2):
        average.swap(tiny)
    assert torch.equal(tiny(*inputs()), wanted)


@given(st.integers(0, 10**6), st.floats(0, 0.9999))
def test_the_decay_warms_up(step, decay):
    assert 0 <= decay_at(step, decay) <= decay_at(step + 1, decay) <= decay
    assert decay_at(10**7, decay) == decay and not EMAConfig(decay).problems() and EMAConfig(1.0).problems()


def test_training_stops_without_improvement_and_the_best_score_is_stored():
    task, stop, saved = (
        fresh([3.0, 2.0, 2.5, 1.99, 2.2, 2.0, 1.0]),
        EarlyStopping(EarlyStoppingConfig(patience=2, min_delta=0.1)),
        [],
    )

    class Save(L.Callback):
        def on_validation_end(self, trainer, task):
            saved.append(stop.improved)

    assert fit(task, [stop, Save()], 20).global_step == 8
    assert saved == [True, True, False, False] and stop.best_score == 2.0


def test_a_stopped_run_does_not_resume_and_an_interruption_changes_nothing(tmp_path):
    scores = [3.0, 2.0, 2.5, 2.2, 2.1, 1.0]
    config = EarlyStoppingConfig(patience=3)
    assert fit(fresh(scores), [EarlyStopping(config)], 20).global_step == 10
    fit(fresh(scores), [EarlyStopping(config)], 6).save_checkpoint(tmp_path / "pause.ckpt")
    stopped = fit(fresh(scores[3:]), [EarlyStopping(config)], 20, tmp_path / "pause.ckpt")
    assert stopped.global_step == 10
    stopped.save_checkpoint(tmp_path / "stopped.ckpt")
    assert fit(fresh(scores), [EarlyStopping(config)], 20, tmp_path / "stopped.ckpt").global_step == 10


def test_metrics_can_be_maximized_and_an_unknown_metric_is_reported():
    task = fresh([1.0, 2.0, 3.0, 2.0, 2.0])
    assert (
        fit(task, [EarlyStopping(EarlyStoppingConfig(patience=2, mode=MonitorMode.max))], 20).global_step
        == 10
    )
    with pytest.raises(UserError, match="not logged; choose one of: validation/loss"):
        fit(fresh(), [EarlyStopping(EarlyStoppingConfig("validation/wer", 1))], 4)
    messages = " ".join(EarlyStoppingConfig("train/loss", -1, min_delta=-1.0).problems())
    assert all(part in messages for part in ("monitor=train/loss", "patience=-1", "min_delta=-1.0"))
