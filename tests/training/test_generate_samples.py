"""Generation of samples during training: logged metrics, and training without side effects."""

import csv
import random
import textwrap

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.trainer import LoggerConfig
from dia.inference import Sampling
from dia.training.callbacks.audio_logging import spectrogram
from dia.training.callbacks.generate_samples import GenerateSamples
from dia.training.loggers import close_loggers
from tests.conftest import TINY_CODEC
from tests.processes import run_ranks
from tests.training.small_run import Batches, task, trainer

SCRIPTS = ["[S1] Hello there.", "[S2] Hello. (laughs)"]


def draw_and_score(speeches):
    """Draw from every random generator, as a judge may, and return fixed scores."""
    random.random(), np.random.rand(), torch.rand(1)
    return {"wer": 0.25, "missed_eos": float(np.mean([not speech.ended for speech in speeches]))}, {
        "similarity": "no judge"
    }


def sampler(every=1, judge=draw_and_score):
    torch.manual_seed(1)
    return GenerateSamples(
        SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny"), SCRIPTS, Sampling(), 40, every, judge
    )


def run(folder, callbacks, steps=4, wandb="disabled"):
    """Train with a validation every other step; return the task and the next global random numbers."""
    fitted = trainer(folder, callbacks, steps, validate_every=2, logger=LoggerConfig(wandb=wandb))
    random.seed(3), np.random.seed(3)
    module = task(steps)
    fitted.fit(module, *(DataLoader(Batches(count), batch_size=None) for count in (steps, 1)))
    close_loggers(fitted.loggers)
    return module, (random.random(), np.random.rand(), float(torch.rand(1)))


def test_generating_samples_does_not_change_training(tmp_path):
    (plain, numbers), (generated, same_numbers) = (
        run(tmp_path / "plain", []),
        run(tmp_path / "generated", [sampler()]),
    )
    assert numbers == same_numbers and generated.network.training
    for name, weight in plain.network.state_dict().items():
        assert torch.equal(weight, generated.network.state_dict()[name]), name


def test_metrics_are_logged_and_a_missing_one_is_reported_once(tmp_path, caplog):
    caplog.set_level("INFO", logger="dia")
    run(tmp_path, [sampler()], steps=6)
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["validation/wer"]]
    assert [(row["step"], float(row["validation/wer"])) for row in rows] == [
        ("2", 0.25),
        ("4", 0.25),
        ("6", 0.25),
    ]
    assert caplog.text.count("not measured: validation/similarity (no judge)") == 1


def test_a_resumed_run_generates_at_the_same_validations(tmp_path):
    first, second = sampler(every=2), sampler(every=2)
    run(tmp_path / "first", [first], steps=2)
    second.load_state_dict(first.state_dict())
    run(tmp_path / "second", [second], steps=2)
    assert "validation/wer" in (tmp_path / "second" / "metrics.csv").read_text()
    assert "validation/wer" not in (tmp_path / "first" / "metrics.csv").read_text()


def test_wandb_receives_audio_and_spectrograms(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run(tmp_path, [sampler()], steps=2, wandb="offline")
    media = [path for path in tmp_path.rglob("media/**/*") if path.is_file()]
    kinds = [path.suffix for path in media]
    assert kinds.count(".wav") == kinds.count(".png") == len(SCRIPTS)


@pytest.mark.parametrize("samples", [0, 1, 511, 16_000])
def test_a_spectrogram_shows_the_frequency_of_a_tone(samples):
    waveform = np.sin(2 * np.pi * np.arange(samples) / 8).astype(
        np.float32
    )  # an eighth of the sample rate: a quarter of the height
    picture = spectrogram(waveform)
    assert picture.shape[0] == 257 and picture.dtype == np.uint8
    if samples == 16_000:
        loudest = picture[:, picture.shape[1] // 2].argmax()
        assert loudest == 256 - 64 and picture[0, picture.shape[1] // 2] < 40


DDP = """
    import sys
    from pathlib import Path
    import lightning as L
    import torch
    from torch.utils.data import DataLoader
    from tests.training.small_run import Batches, task
    from tests.training.test_generate_samples import sampler

    generated = []

    def draw_and_score(speeches):
        generated.append([speech.codes_TC for speech in speeches])
        return {"wer": 0.5}, {}

    module = task(4)
    fitted = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_steps=4, logger=False,
        callbacks=[sampler(judge=draw_and_score)], val_check_interval=2, check_val_every_n_epoch=None,
        num_sanity_val_steps=0, enable_checkpointing=False, enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    fitted.fit(module, *(DataLoader(Batches(count), batch_size=None) for count in (4, 1)))
    assert fitted.is_global_zero == bool(generated)
    if fitted.is_global_zero:
        torch.save({"generated": generated, "state": module.network.state_dict()}, Path(sys.argv[1]))
"""
SHARDED = """
    import sys
    from pathlib import Path
    from types import SimpleNamespace
    import torch
    import torch.distributed as dist
    from torch.distributed.fsdp import fully_shard
    from tests.training.small_run import task
    from tests.training.test_generate_samples import sampler

    dist.init_process_group("gloo")
    generated = []

    def draw_and_score(speeches):
        generated.append([speech.codes_TC for speech in speeches])
        return {"wer": 0.5}, {}

    module = task(4)
    whole = {name: weight.clone() for name, weight in module.network.state_dict().items()}
    for layer in (*module.network.encoder.layers, *module.network.decoder.layers, module.network):
        fully_shard(layer)
    matrices = [weight for weight in module.network.parameters() if weight.ndim > 1]
    assert all(weight.to_local().numel() < weight.numel() for weight in matrices)
    trainer = SimpleNamespace(
        sanity_checking=False, is_global_zero=dist.get_rank() == 0, loggers=[],
        strategy=SimpleNamespace(barrier=lambda name: dist.barrier()),
    )
    callback = sampler(judge=draw_and_score)
    for _ in range(2):
        callback.on_validation_end(trainer, module)
    assert trainer.is_global_zero == bool(generated)
    if trainer.is_global_zero:
        torch.save({"generated": generated, "state": whole}, Path(sys.argv[1]))
    dist.destroy_process_group()
"""


def two_processes(folder, source):
    """Run a script on two processes, and return the results that it saved."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(source))
    for done in run_ranks(script, str(folder / "results.pt"), cwd=folder):
        assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(folder / "results.pt", weights_only=True)


def codes_of(network):
    """Return the codes that rank 0 should generate with these weights."""
    generated = []
    callback = sampler(
        judge=lambda speeches: (generated.append([speech.codes_TC for speech in speeches]), ({}, {}))[1]
    )
    callback.score(callback._generate(network))
    return generated[0]


def test_rank_zero_generates_while_the_other_rank_waits(tmp_path):
    results = two_processes(tmp_path, DDP)
    network = task(4).network
    network.load_state_dict(results["state"])
    assert (
        all(map(torch.equal, results["generated"][1], codes_of(network))) and len(results["generated"]) == 2
    )


def test_sharded_weights_are_gathered_for_generation(tmp_path):
    results = two_processes(tmp_path, SHARDED)
    network = task(4).network
    network.load_state_dict(results["state"])
    for speeches in results["generated"]:
        assert all(map(torch.equal, speeches, codes_of(network)))
