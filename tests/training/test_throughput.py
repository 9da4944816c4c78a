"""Operations of a step equal the count of torch; rates leave out padding and validation."""

import csv
import time

import lightning as L
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from dia.config.choices import ActivationCheckpointing
from dia.config.lora import LoraConfig
from dia.network import DiaConfig, DiaNetwork
from dia.planning.memory_tracer import BatchShape, FakeBatch
from dia.training.activation_checkpointing import checkpoint_activations
from dia.training.callbacks.throughput import StepWork, Throughput, device_peak, measured_peak
from dia.training.flops import PEAK_FLOPS, forward_flops, peak_flops, recomputed_flops, training_flops
from dia.training.lora import add_adapters
from dia.training.loss import channel_weights
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips
from tests.training.small_run import Batches, task, trainer


def test_operations_equal_the_count_of_torch():
    network = DiaNetwork(TINY)
    text, codes = torch.ones(3, 11, dtype=torch.long), torch.ones(3, 30, 4, dtype=torch.long)
    with (
        FlopCounterMode(display=False) as counter,
        sdpa_kernel(SDPBackend.MATH),
    ):  # the counter supports its products on a CPU
        logits = network(text, torch.ones(3, 11, dtype=torch.bool), codes)
        assert counter.get_total_flops() == forward_flops(TINY, [(30, 11)] * 3)
        logits.sum().backward()
    assert counter.get_total_flops() == training_flops(TINY, [(30, 11)] * 3)


@pytest.mark.parametrize("activations", list(ActivationCheckpointing))
def test_operations_of_a_training_step_equal_the_count_of_torch(activations):
    network = DiaNetwork(TINY)
    checkpoint_activations(network, activations)
    batch, weights = FakeBatch.of(BatchShape(3, 30, 11), 4), channel_weights(4, 4.0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        (weights * CrossEntropy(4.0)(network, batch).cross_entropy_C).sum().backward()
    clips = [(30, 11)] * 3
    assert counter.get_total_flops() == training_flops(TINY, clips) + recomputed_flops(
        TINY, clips, activations
    )


def test_frozen_weights_save_their_gradients():
    network = DiaNetwork(TINY)
    add_adapters(network, LoraConfig(rank=1))
    batch, weights = FakeBatch.of(BatchShape(3, 30, 11), 4), channel_weights(4, 4.0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        (weights * CrossEntropy(4.0)(network, batch).cross_entropy_C).sum().backward()
    assert counter.get_total_flops() == pytest.approx(
        training_flops(TINY, [(30, 11)] * 3, frozen=True), rel=0.15
    )


def test_dia_computes_about_six_operations_per_weight_and_step():
    decoder = 1_359_214_592 - 9_252 * 2_048  # without its embeddings
    assert training_flops(DiaConfig(), [(860, 0)]) / 860 == pytest.approx(6 * decoder, rel=0.1)


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA L40", None),
        ("Radeon", None),
    ],
)
def test_devices_are_identified_by_name(name, wanted):
    assert peak_flops(name, "half") == wanted


def test_an_unlisted_device_is_measured():
    state = torch.get_rng_state()
    peak, origin = device_peak(torch.device("cpu"), "32-true")
    assert "measured" in origin and 1e8 < peak < max(peaks["half"] for peaks in PEAK_FLOPS.values())
    assert measured_peak(torch.device("cpu"), torch.bfloat16, 1) > 0
    assert torch.equal(torch.get_rng_state(), state)


class Slow(L.Callback):
    """Delays every validation."""

    def on_validation_end(self, trainer, task):
        time.sleep(0.5)


def test_a_run_logs_the_rates_of_training(tmp_path):
    clips = RandomClips([12, 20, 7, 15])
    throughput, steps = Throughput(TINY, 25.0, "32-true"), 6
    fitted = trainer(tmp_path, [throughput, Slow()], steps, validate_every=2, gradient_accumulation_steps=2)
    fitted.log_every_n_steps = 1
    loaders = [DataLoader(Batches(count, clips), batch_size=None) for count in (2 * steps, 1)]
    started = time.perf_counter()
    fitted.fit(task(steps), *loaders)
    took = time.perf_counter() - started
    total = sum(throughput.window, StepWork())
    assert (
        len(throughput.window) == steps and total.seconds < took - 1.0
    )  # of three validations the last is at the end
    assert total.frames == steps * (12 + 20 + 7 + 15)
    assert total.steps == total.frames + steps * 4 * (1 + 4) and total.padded_steps == steps * 2 * (25 + 20)
    clips_of_a_step = [(frames + 5, 4 + frames) for frames in clips.frames]
    assert total.flops == steps * training_flops(TINY, clips_of_a_step)
    with (tmp_path / "metrics.csv").open() as file:
        row = [row for row in csv.DictReader(file) if row["train/frames_per_second"]][-1]
    assert float(row["train/audio_hours_per_hour"]) == pytest.approx(
        float(row["train/frames_per_second"]) / 25, rel=1e-4
    )
    assert float(row["train/padding_share"]) == pytest.approx(1 - total.steps / total.padded_steps, rel=1e-4)
    assert 0 < float(row["train/mfu"]) < 1 and float(row["train/memory_gb"]) > 0.1
    assert {"train/learning_rate", "train/gradient_norm"} <= row.keys()
    assert {
        "train/frames_per_second",
        "train/loss",
        "train/learning_rate",
        "validation/loss",
    } <= fitted.progress_bar_metrics.keys()
