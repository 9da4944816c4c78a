"""Whole runs of the objectives that learn from preferences: trained, resumed after kills, on two ranks."""

import math
import random
import signal
from pathlib import Path

import pytest
import torch
from datasets import load_from_disk
from safetensors.torch import load_file

from dia.config.listening_test import ListenConfig
from dia.listening_test.commands import write_test
from dia.training.checkpointing import newest
from dia.training.run_folder import read_metrics
from tests.listening_test.recorded_runs import record
from tests.listening_test.test_answers import answer, prefers, save
from tests.training.whole_runs import GROUPS, PAIRS, make_noise, make_pairs, start, start_two


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with a checkpoint, `runs/base`, and a table of pairs of noise."""
    folder = tmp_path_factory.mktemp("preferences")
    make_noise(folder)
    make_pairs(folder)
    run(folder, "base", "trainer.steps=1")
    return folder


def run(folder, name, *overrides):
    process = start(folder, name, *overrides)
    process.join()
    assert process.exitcode == 0, (folder / f"{name}.log").read_text()[-3000:]


def weights(folder, name):
    return load_file(folder / "runs" / name / "model" / "model.safetensors")


def same(folder, one, other):
    first, second = weights(folder, one), weights(folder, other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("objective", ["dpo", "ipo", "simpo", "rft"])
def test_a_run_learns_from_pairs(work, objective):
    run(work, objective, *PAIRS, f"objective={objective}", "optim.learning_rate=0.003")
    rows = read_metrics(work / "runs" / objective)
    validations = [float(row["validation/loss"]) for row in rows if row.get("validation/loss")]
    assert len(validations) == 2 and all(map(math.isfinite, validations))
    assert not same(work, objective, "base")
    if objective != "rft":
        assert [row for row in rows if row.get("validation/pair_accuracy")]


def test_adapters_learn_from_pairs_with_the_base_as_reference(work):
    run(work, "adapters", *PAIRS, "objective=dpo", "lora.rank=2", "optim.learning_rate=0.01")
    before, after = weights(work, "base"), weights(work, "adapters")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    state = torch.load(newest(work / "runs" / "adapters" / "checkpoints").path, weights_only=True)
    assert all(".lora_" in name for name in state["state_dict"])  # no reference


def test_the_data_set_is_an_ordinary_one_with_pairs(work):
    run(work, "again", *PAIRS, "objective=dpo")
    (folder,) = (work / "prepared").glob("pairs-*")
    rows = load_from_disk(str(folder))["train"]
    assert len(rows) == 10 and (folder / "page.html").is_file()
    with_voice = next(row for row in rows if row["voice_script"])
    assert len(with_voice["voice_codes"][0]) == len(with_voice["rejected_codes"][0]) == 8
    assert with_voice["rejected_audio"]["bytes"][:4] == b"fLaC"


def test_votes_of_a_listening_test_move_a_run(work):
    """Three listeners prefer one of two systems; its takes become the likelier ones."""
    names = ("low", "high")
    runs = [
        str(record(work / name, name, [f"p{number}" for number in range(8)], pitch, seconds=0.5))
        for name, pitch in zip(names, (140, 200), strict=True)
    ]
    config = ListenConfig(runs, str(work / "page.html"), checks=2)
    write_test(config)
    votes = save(work, *(answer(Path(config.key), number, prefers("high")) for number in (1, 2, 3)))
    origin = (
        "data.preferences.origin=votes",
        "data.preferences.table=",
        f"data.preferences.votes=[{','.join(votes)}]",
        f"data.preferences.key={config.key}",
        f"data.preferences.runs=[{','.join(runs)}]",
        "data.held_out=0.3",
    )
    run(work, "votes", *PAIRS, *origin, "objective=dpo", "optim.learning_rate=0.003")
    rows = read_metrics(work / "runs" / "votes")
    accuracies = [
        float(row["validation/pair_accuracy"]) for row in rows if row.get("validation/pair_accuracy")
    ]
    assert accuracies[-1] == 1.0


@pytest.mark.parametrize("overrides", [(*PAIRS, "objective=dpo"), GROUPS], ids=["dpo", "grpo"])
def test_two_processes_learn_like_one(work, overrides):
    name = overrides[-1].partition("=")[2] if overrides is not GROUPS else "grpo"
    run(work, f"{name}_one", *overrides, "trainer.gradient_accumulation_steps=2")
    ranks = start_two(work, f"{name}_two", *overrides, "trainer.strategy=ddp")
    for process in ranks:
        process.join()
        assert process.exitcode == 0, (work / f"{name}_two.log").read_text()[-3000:]
    one, two, before = (weights(work, run) for run in (f"{name}_one", f"{name}_two", "base"))
    assert any(not torch.equal(one[key], before[key]) for key in one)
    for key, tensor in one.items():
        torch.testing.assert_close(two[key], tensor, rtol=0, atol=5e-6, msg=key)


@pytest.mark.parametrize("overrides", [(*PAIRS, "objective=dpo"), GROUPS], ids=["dpo", "grpo"])
def test_kills_lose_nothing(work, overrides):
    """Kill runs at random moments, for GRPO also between two updates with the same takes."""
    name = "grpo" if overrides is GROUPS else "dpo"
    run(work, f"{name}_whole", *overrides)
    rng, kills = random.Random(0), 0
    process = start(work, f"{name}_killed", *overrides)
    while kills < 3:
        process.join(rng.uniform(1.0, 5.0))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
        process = start(work, f"{name}_killed", *overrides)
    process.join()
    assert process.exitcode == 0, (work / f"{name}_killed.log").read_text()[-3000:]
    assert same(work, f"{name}_whole", f"{name}_killed")


def test_a_run_that_stops_between_two_updates_reads_its_own_takes(work):
    run(work, "stopped_whole", *GROUPS)
    process = start(work, "stopped", *GROUPS)
    metrics = work / "runs" / "stopped" / "checkpoints"
    while process.exitcode is None and not list(metrics.glob("step-00000001.json")):
        process.join(0.05)
    process.terminate()  # SIGTERM: saves after this step
    process.join()
    assert process.exitcode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert list((work / "runs" / "stopped" / "rollouts").glob("*-rank0-0.safetensors"))
    run(work, "stopped", *GROUPS)
    assert same(work, "stopped_whole", "stopped")
