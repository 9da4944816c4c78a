"""Two processes of torchrun with gloo train the same weights as one process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dia.checkpoint import load_checkpoint
from dia.errors import UserError
from dia.pipelines.consolidate import consolidate
from dia.training.run_folder import read_metrics
from tests.training.whole_runs import make_noise, start, start_two

ROOT = Path(__file__).parent.parent.parent
STEPS = ("trainer.steps=9", "trainer.validate_every=4")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Train with one process that takes two batches a step, and with two processes that take one each."""
    folder = tmp_path_factory.mktemp("parallel")
    make_noise(folder)
    process = start(folder, "one", *STEPS, "trainer.gradient_accumulation_steps=2")
    process.join()
    assert process.exitcode == 0, (folder / "one.log").read_text()[-3000:]
    torchrun = Path(sys.executable).parent / "torchrun"
    runs = ["ddp", *STEPS, "trainer.strategy=ddp", "+", "fsdp2", *STEPS, "trainer.strategy=fsdp2"]
    done = subprocess.run(
        [torchrun, "--standalone", "--nproc-per-node=2", "-m", "tests.training.whole_runs", folder, *runs],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    logs = "".join(path.read_text()[-3000:] for path in folder.glob("*.log"))
    assert done.returncode == 0, done.stderr[-3000:] + logs
    return folder


def weights(folder, name):
    return load_file(folder / "runs" / name / "model" / "model.safetensors")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_train_the_same_weights_as_one(work, strategy):
    one, two = weights(work, "one"), weights(work, strategy)
    for name, tensor in one.items():
        torch.testing.assert_close(
            two[name], tensor, rtol=0, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
    for first, second in zip(
        *(read_metrics(work / "runs" / name) for name in ("one", strategy)), strict=True
    ):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert value == second[key] or float(second[key]) == pytest.approx(float(value), rel=2e-5), key


@pytest.mark.parametrize("name", ["ddp", "fsdp2"])
def test_a_checkpoint_is_exported_as_the_model_of_the_run_sharded_or_not(work, name):
    assert (work / "runs" / name / "checkpoints" / "step-00000009.ckpt").is_dir() == (name == "fsdp2")
    assert consolidate(work / "runs" / name, work / f"{name}-model") == 9
    exported, saved = load_file(work / f"{name}-model" / "model.safetensors"), weights(work, name)
    assert exported.keys() == saved.keys() and all(torch.equal(exported[key], saved[key]) for key in saved)
    for file in ("config.json", "generation_config.json"):
        assert (work / f"{name}-model" / file).read_text() == (
            work / "runs" / name / "model" / file
        ).read_text()
    with pytest.raises(UserError, match="exists"):
        consolidate(work / "runs" / name, work / f"{name}-model")


def test_opening_shards_as_a_model_reports_how_to_convert_them(work):
    with pytest.raises(UserError, match="consolidate"):
        load_checkpoint(work / "runs" / "fsdp2" / "checkpoints" / "step-00000009.ckpt")


def test_a_run_of_one_process_resumes_with_two_to_the_same_weights(work):
    longer = ("trainer.steps=12", "trainer.validate_every=4", "resume=true")
    for name in ("alone", "joined"):
        shutil.copytree(work / "runs" / "one", work / "runs" / name)
    alone = start(work, "alone", *longer, "trainer.gradient_accumulation_steps=2")
    alone.join()
    both = start_two(work, "joined", *longer, "trainer.strategy=ddp")
    for process in both:
        process.join()
    logs = (work / "alone.log").read_text()[-3000:], (work / "joined.log").read_text()
    assert [process.exitcode for process in (alone, *both)] == [0, 0, 0], logs
    assert "the number of processes was 1, is 2" in logs[1]
    before, joined = weights(work, "one"), weights(work, "joined")
    for name, tensor in weights(work, "alone").items():
        torch.testing.assert_close(
            joined[name], tensor, rtol=0, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert any(not torch.equal(tensor, joined[name]) for name, tensor in before.items())


def test_two_killed_processes_resume_to_the_same_weights(work):
    finished = work / "runs" / "killed" / "finished.json"
    for moment in (0.4, 0.8, 1.2, 120):
        both = start_two(work, "killed", *STEPS, "trainer.strategy=ddp")
        for process in both:
            process.join(moment)
        for process in both:
            process.kill()
            process.join()
        if finished.is_file():  # a fast machine finishes before the last kill
            break
    assert finished.is_file(), (work / "killed.log").read_text()[-3000:]
    killed = weights(work, "killed")
    assert all(torch.equal(tensor, killed[name]) for name, tensor in weights(work, "ddp").items())
