"""Provoke each failure of training, and check that it is detected."""

import json
import textwrap
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.config.callbacks import MIN_MEDIAN_WINDOW, DivergenceConfig, WatchdogConfig
from dia.training.callbacks.divergence import DivergenceGuard, LossMonitor, TrainingFailed
from dia.training.checkpointing import CHECKPOINTS, newest
from tests.processes import run_script
from tests.training.small_run import fit, task


class From(L.Callback):
    """Calls a function with the task at one step, or from that step on."""

    def __init__(self, step, act, once=True):
        self.step, self.act, self.once = step, act, once

    def on_train_batch_start(self, trainer, task, batch, batch_idx):
        if trainer.global_step == self.step or (trainer.global_step > self.step and not self.once):
            self.act(task)


def run_until_failure(folder, callbacks, steps=8, **settings):
    """Train until the guard stops it; return its failure report and its error message."""
    with pytest.raises(TrainingFailed) as caught:
        fit(
            folder,
            [*callbacks, DivergenceGuard(settings.pop("guard", DivergenceConfig()), folder)],
            steps,
            **settings,
        )
    return json.loads((folder / "failure.json").read_text()), str(caught.value)


def poison(task):
    task.network.decoder.norm.weight.data[0] = float("nan")


def test_a_non_finite_loss_stops_training_before_the_optimizer_step(tmp_path):
    written, message = run_until_failure(tmp_path, [From(5, poison)])
    assert (written["kind"], written["step"], written["rank"]) == ("not finite", 5, 0)
    assert written["batches"] == [["clip-4", "clip-5"]]
    assert "step 5" in message and "clip-4, clip-5" in message and "failure.json" in message
    checkpoint = newest(tmp_path / CHECKPOINTS)
    saved = torch.load(checkpoint.path, weights_only=True)
    assert saved["global_step"] == 4
    assert all(weight.isfinite().all() for weight in saved["state_dict"].values())


def test_a_non_finite_gradient_is_detected_when_the_loss_is_finite(tmp_path):
    def infinite_gradient(task):
        task.network.decoder.layers[0].mlp.down_proj.weight.register_hook(
            lambda gradient: gradient * float("inf")
        )

    written, message = run_until_failure(tmp_path, [From(3, infinite_gradient)])
    assert written["details"]["parameters"] == ["network.decoder.layers.0.mlp.down_proj.weight"]
    assert (
        "the loss is finite, but the gradient of network.decoder.layers.0.mlp.down_proj.weight is not"
        in message
    )
    assert written["batches"] == [["clip-0", "clip-1"]]


def test_non_finite_gradients_in_fp16_are_left_to_the_scaler(tmp_path):
    guard, module = DivergenceGuard(DivergenceConfig(), tmp_path), task(1)
    module.network.decoder.norm.weight.grad = torch.full_like(
        module.network.decoder.norm.weight, float("inf")
    )
    trainer = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=object()), global_step=3, global_rank=0)
    guard.ids, guard.losses = [["clip-1"]], [torch.tensor(1.0)]
    guard.on_before_optimizer_step(trainer, module, None)
    trainer.precision_plugin.scaler = None
    with pytest.raises(TrainingFailed, match=r"gradient of network\.decoder\.norm\.weight is not"):
        guard.on_before_optimizer_step(trainer, module, None)


def test_the_broken_micro_batch_is_reported(tmp_path):
    class Once(L.Callback):
        def on_train_batch_start(self, trainer, task, batch, batch_idx):
            task.network.decoder.norm.weight.data[0] = float("nan") if batch_idx == 7 else 1.0

    written, _ = run_until_failure(tmp_path, [Once()], gradient_accumulation_steps=3)
    assert written["step"] == 2 and written["batches"] == [["clip-2", "clip-3"]]


def test_divergence_by_a_high_learning_rate_is_detected(tmp_path):
    module = task(200)

    class Raise(L.Callback):
        def on_train_batch_start(self, trainer, task, batch, batch_idx):
            if trainer.global_step >= 30:
                trainer.optimizers[0].param_groups[0]["lr"] = 3.0

    guard = DivergenceConfig(patience=5)
    written, message = run_until_failure(
        tmp_path, [Raise()], 200, module=module, guard=guard, checkpoint_every=1000
    )
    assert written["kind"] == "diverged" and 30 < written["step"] < 60
    assert written["details"]["loss"] > written["details"]["limit"] and "1.5 times its median" in message


def test_a_healthy_run_is_not_stopped_and_deletes_earlier_failure_reports(tmp_path):
    (tmp_path / "failure.json").write_text("{}")
    guard = DivergenceGuard(DivergenceConfig(), tmp_path)
    fit(tmp_path, [guard], 6)
    assert not (tmp_path / "failure.json").exists()
    assert len(guard.monitor.losses) == 6
    again = DivergenceGuard(DivergenceConfig(), tmp_path)
    again.load_state_dict(guard.state_dict())
    assert again.monitor.losses == guard.monitor.losses


@given(st.lists(st.floats(0.1, 10), min_size=MIN_MEDIAN_WINDOW, max_size=60), st.integers(1, 10))
def test_divergence_needs_the_configured_number_of_consecutive_losses(losses, patience):
    guard = LossMonitor(DivergenceConfig(patience=patience, factor=200))
    assert not any(guard.add(loss) for loss in losses)
    assert [guard.add(1e5) for _ in range(patience)] == [False] * (patience - 1) + [True]
    guard.above = 0
    assert guard.limit < 1e5 and not LossMonitor(DivergenceConfig(patience=0)).add(float("inf"))


def test_all_wrong_settings_are_reported_at_once():
    problems = DivergenceConfig(factor=1, patience=-1, median_window=3).problems()
    assert len(problems) == 3 and all(problem.startswith("divergence.") for problem in problems)
    assert "watchdog.timeout_seconds=-2" in WatchdogConfig(timeout_seconds=-2).problems()[0]


STALLED = """
    import time
    from pathlib import Path
    from dia.config.callbacks import DivergenceConfig
    from dia.training.callbacks.divergence import DivergenceGuard
    from dia.training.callbacks.watchdog import WatchedLoader, Watchdog
    from tests.training.small_run import Batches, fit

    class Stuck(Batches):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == 4:
                    time.sleep(600)  # a file system that does not answer
                yield batch

    folder = Path({folder!r})
    step = []
    watchdog = Watchdog(3.0, folder, 0, lambda: 4)
    loader = WatchedLoader(Stuck(8), watchdog, "training", {workers})
    fit(folder, [DivergenceGuard(DivergenceConfig(), folder)], 8, loader=loader)
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stalled_loader_ends_the_process_and_its_stack_is_reported(tmp_path, workers):
    script = tmp_path / "stalled.py"
    script.write_text(textwrap.dedent(STALLED.format(folder=str(tmp_path), workers=workers)))
    done = run_script(script, cwd=tmp_path)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "the training loader has yielded no batch for 3 seconds" in done.stderr
    written = json.loads((tmp_path / "failure.json").read_text())
    assert written["kind"] == "stalled" and written["step"] == 4
    if workers:
        assert any("alive" in line for line in written["details"]["workers"])
    else:
        assert written["batches"] == [["clip-0", "clip-1"]]
        assert any("stalled.py" in line and "in __iter__" in line for line in written["details"]["stacks"])
    assert newest(tmp_path / CHECKPOINTS).manifest.step in (2, 4)
