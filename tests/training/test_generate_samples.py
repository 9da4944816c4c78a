"""Generation of samples during training: logged metrics, and training without side effects."""

import csv
import json
import random
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

from dia.audio.files import read_audio_file
from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.trainer import LoggerConfig
from dia.inference import Sampling
from dia.training.callbacks.audio_logging import spectrogram
from dia.training.callbacks.generate_samples import GenerateSamples
from dia.training.callbacks.sample_page import superfluous
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


def sampler(folder, every=1, judge=draw_and_score):
    torch.manual_seed(1)
    codec = SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny")
    return GenerateSamples(codec, SCRIPTS, Sampling(), 40, every, judge, folder)


def run(folder, callbacks, steps=4, wandb="disabled", tensorboard=False):
    """Train with a validation every other step; return the task and the next global random numbers."""
    fitted = trainer(
        folder, callbacks, steps, validate_every=2, logger=LoggerConfig(wandb=wandb, tensorboard=tensorboard)
    )
    random.seed(3), np.random.seed(3)
    module = task(steps)
    fitted.fit(module, *(DataLoader(Batches(count), batch_size=None) for count in (steps, 1)))
    close_loggers(fitted.loggers)
    return module, (random.random(), np.random.rand(), float(torch.rand(1)))


def test_generating_samples_does_not_change_training(tmp_path):
    (plain, numbers), (generated, same_numbers) = (
        run(tmp_path / "plain", []),
        run(tmp_path / "generated", [sampler(tmp_path)]),
    )
    assert numbers == same_numbers and generated.network.training
    for name, weight in plain.network.state_dict().items():
        assert torch.equal(weight, generated.network.state_dict()[name]), name


def test_metrics_are_logged_and_a_missing_one_is_reported_once(tmp_path, caplog):
    caplog.set_level("INFO", logger="dia")
    run(tmp_path, [sampler(tmp_path)], steps=6)
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["validation/wer"]]
    assert [(row["step"], float(row["validation/wer"])) for row in rows] == [
        ("2", 0.25),
        ("4", 0.25),
        ("6", 0.25),
    ]
    assert caplog.text.count("not measured: validation/similarity (no judge)") == 1


def test_a_resumed_run_generates_at_the_same_validations(tmp_path):
    first, second = sampler(tmp_path, every=2), sampler(tmp_path, every=2)
    run(tmp_path / "first", [first], steps=2)
    second.load_state_dict(first.state_dict())
    run(tmp_path / "second", [second], steps=2)
    assert "validation/wer" in (tmp_path / "second" / "metrics.csv").read_text()
    assert "validation/wer" not in (tmp_path / "first" / "metrics.csv").read_text()


def test_wandb_receives_a_table_of_audio_spectrograms_and_attention(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run(tmp_path / "run", [sampler(tmp_path / "run")], steps=2, wandb="offline")
    monkeypatch.delenv("WANDB_DATA_DIR")
    media = {path for path in tmp_path.rglob("media/**/*") if path.is_file()}
    kinds = [path.suffix for path in media]
    assert kinds.count(".wav") >= len(SCRIPTS) and kinds.count(".png") >= 2 * len(SCRIPTS)
    [table] = [
        json.loads(path.read_bytes())
        for path in (tmp_path / "run/wandb/artifacts/staging").iterdir()
        if path.read_bytes().startswith(b"{")
    ]
    assert table["columns"] == ["step", "script", "seconds", "ended", "sound", "spectrogram", "attention"]
    assert [row[:2] for row in table["data"]] == [[2, script] for script in SCRIPTS]
    for row in table["data"]:
        assert [cell["_type"] for cell in row[4:]] == ["audio-file", "image-file", "image-file"]
    assert not [path for path in (tmp_path / "home").rglob("staging/*") if path.is_file()]


def test_tensorboard_receives_scores_audio_and_pictures(tmp_path):
    run(tmp_path, [sampler(tmp_path)], steps=2, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"), {"audio": 0, "images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    assert tags["audio"] == [f"validation/{number}/sound" for number in range(1, len(SCRIPTS) + 1)]
    assert {f"validation/1/{kind}" for kind in ("spectrogram", "attention")} <= set(tags["images"])
    assert events.Scalars("validation/wer")[0].value == 0.25


def test_the_run_folder_has_a_page_of_the_samples(tmp_path):
    run(tmp_path, [sampler(tmp_path)], steps=4)
    page = (tmp_path / "samples.html").read_text()
    for step in (2, 4):
        assert f"step {step}:" in page
        for number in range(1, len(SCRIPTS) + 1):
            waveform, _ = read_audio_file(tmp_path / f"samples/{step:08d}/{number}.flac")
            assert len(waveform) and f'src="samples/{step:08d}/{number}.flac"' in page
    assert page.index("step 4:") < page.index("step 2:") and "validation/wer <b>0.25</b>" in page


@given(steps=st.lists(st.integers(0, 10**7), unique=True, max_size=60), most=st.integers(2, 30))
def test_of_many_validations_the_first_and_the_last_remain(steps, most):
    steps = sorted(steps)
    removed = superfluous(steps, most)
    left = [step for step in steps if step not in removed]
    assert len(left) == min(len(steps), most) and len({*removed}) == len(removed)
    assert not steps or (left[0], left[-1]) == (steps[0], steps[-1])


def test_steps_that_remain_grow_by_about_equal_factors():
    left = sorted(set(range(100, 100_100, 100)) - set(superfluous(range(100, 100_100, 100), 12)))
    factors = np.array(left[1:]) / np.array(left[:-1])
    assert factors.max() < 2.5 and left[0] == 100 and left[-1] == 100_000


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
        callbacks=[sampler(Path(sys.argv[1]).parent, judge=draw_and_score)],
        val_check_interval=2, check_val_every_n_epoch=None,
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
        sanity_checking=False, is_global_zero=dist.get_rank() == 0, loggers=[], global_step=2,
        strategy=SimpleNamespace(barrier=lambda name: dist.barrier()),
    )
    callback = sampler(Path(sys.argv[1]).parent, judge=draw_and_score)
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
        None,
        judge=lambda speeches: (generated.append([speech.codes_TC for speech in speeches]), ({}, {}))[1],
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
