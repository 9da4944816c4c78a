"""A run that is killed at any moment and restarted ends in the weights of an uninterrupted run."""

import json
import math
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dia.errors import UserError
from dia.interrupts import Interrupted
from dia.training.checkpointing import ResumableCheckpoint, newest
from dia.training.resume import RunFingerprint, changed_data, incompatibilities, inexact_changes
from dia.training.run_folder import begin_run, read_metrics, run_lock
from tests.training.whole_runs import make_noise, start, start_two

KILLS = 12  # scripts/kill_runs.py kills more often


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with a finished run, `whole`, and the processor time, in seconds, of the run."""
    folder = tmp_path_factory.mktemp("resume")
    make_noise(folder)
    assert finished(folder, "prepared", "trainer.steps=1")
    process = start(folder, "whole")
    taken = 0.0
    while process.exitcode is None:
        taken = max(taken, processor_seconds(process))
        process.join(0.01)
    return folder, taken


def processor_seconds(process):
    """Return the processor time of a process, in seconds, or 0 if it has ended.

    It measures the progress of a run independently of the load of the machine.
    """
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def finished(folder, name, *overrides):
    process = start(folder, name, *overrides)
    process.join()
    assert process.exitcode in (0, 2), (folder / f"{name}.log").read_text()[-3000:]
    return process.exitcode == 0


def same_model(folder, one, other):
    first, second = (
        load_file(folder / "runs" / name / "model" / "model.safetensors") for name in (one, other)
    )
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def same_optimizer(folder, one, other):
    states = [
        torch.load(newest(folder / "runs" / name / "checkpoints").path, weights_only=True)
        for name in (one, other)
    ]
    first, second = (state["optimizer_states"][0]["state"] for state in states)
    return all(torch.equal(first[key][part], second[key][part]) for key in first for part in first[key])


def losses(folder, name):
    return [
        (row["step"], row["train/loss"])
        for row in read_metrics(folder / "runs" / name)
        if row.get("train/loss")
    ]


def test_kills_at_random_moments_do_not_change_the_weights(work):
    folder, seconds = work
    rng, kills, name, names = random.Random(0), 0, "killed-0", ["killed-0"]
    while True:
        process = start(folder, name)
        moment = rng.uniform(0, 0.8 * seconds) if kills < KILLS else math.inf
        while process.exitcode is None and processor_seconds(process) < moment:
            process.join(0.005)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            kills += 1
            if not (folder / "runs" / name / "finished.json").exists():
                continue  # otherwise it was killed at exit, after it wrote everything
        else:
            assert process.exitcode == 0, (folder / f"{name}.log").read_text()[-3000:]
            if kills >= KILLS:
                break
        name = f"killed-{len(names)}"
        names.append(name)
    for name in names:
        assert same_model(folder, "whole", name) and same_optimizer(folder, "whole", name), name
        assert losses(folder, name) == losses(folder, "whole")
    print(f"{kills} kills, {len(names)} runs")


def truncated_run(folder, name):
    """Copy the finished run without its end marker; return its checkpoints, oldest first."""
    shutil.copytree(folder / "runs" / "whole", folder / "runs" / name)
    (folder / "runs" / name / "finished.json").unlink()
    return sorted((folder / "runs" / name / "checkpoints").glob("*.ckpt"))


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("harm", [damage, cut, Path.unlink])
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_is_used(work, harm):
    folder, name = work[0], f"truncated_run-by-{harm.__name__}"
    before, newest_one = truncated_run(folder, name)
    harm(newest_one)
    assert finished(folder, name)
    log = (folder / f"{name}.log").read_text()
    assert f"{newest_one.name} is corrupt" in log and before.name in log
    assert same_model(folder, "whole", name) and same_optimizer(folder, "whole", name)


def test_a_run_without_an_intact_checkpoint_does_not_restart(work):
    for path in truncated_run(work[0], "ruined"):
        damage(path)
    assert not finished(work[0], "ruined")
    assert "no intact checkpoint" in (work[0] / "ruined.log").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "exists and the run is finished"),
        (["resume=false"], "exists"),
        (["trainer.steps=30", "resume=auto"], "finished"),
    ],
)
def test_a_finished_run_is_not_changed(work, overrides, message):
    folder = work[0]
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs" / "whole").rglob("*")}
    assert not finished(folder, "whole", *overrides)
    assert message in (folder / "whole.log").read_text()
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs" / "whole").rglob("*")} == before


def test_all_changes_that_would_alter_the_weights_are_refused_unless_resume_is_true(work):
    folder = work[0]
    truncated_run(folder, "other")
    changed = ("trainer.steps=22", "optim.learning_rate=1e-4")
    assert not finished(folder, "other", *changed)
    log = (folder / "other.log").read_text()
    assert "trainer.steps was 20, is 22" in log and "optim.learning_rate was 0.002, is 0.0001" in log
    assert finished(folder, "other", *changed, "resume=true")
    assert json.loads((folder / "runs" / "other" / "finished.json").read_text()) == {"steps": 22}


def facts(**changed):
    given = {
        "config": {"model.norm_epsilon": 1e-5, "seed": 0},
        "world_size": 2,
        "data": {"train": "a"},
        "torch": "2.9",
        "processor": "AVX2",
    }
    return RunFingerprint(**given | changed)


def test_every_changed_fact_is_reported():
    assert (
        incompatibilities(facts(), facts())
        == inexact_changes(facts(), facts())
        == changed_data(facts(), facts())
        == []
    )
    assert incompatibilities(facts(), facts(world_size=4)) == []
    assert inexact_changes(facts(), facts(world_size=4)) == ["the number of processes was 2, is 4"]
    shards = {"trainer.strategy": "fsdp2", "model.norm_epsilon": 1e-5, "seed": 0}
    assert (
        "of 2 processes, this run has 4; start 2 processes"
        in incompatibilities(facts(config=shards), facts(config=shards, world_size=4))[0]
    )
    assert (
        "model.norm_epsilon"
        in incompatibilities(facts(), facts(config={"model.norm_epsilon": 1e-6, "seed": 0}))[0]
    )
    changes = inexact_changes(
        facts(), facts(config={"model.norm_epsilon": 1e-5}, torch="2.10", processor="AVX512")
    )
    assert changes == [
        "seed was 0, is not set",
        "torch was 2.9, is 2.10",
        "the processor was AVX2, is AVX512",
    ]
    assert changed_data(facts(), facts(data={"train": "b", "mix 0 train": "c"}))[1].startswith(
        "the data of split train"
    )


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with (
        run_lock(tmp_path / "run"),
        pytest.raises(UserError, match="another process"),
        run_lock(tmp_path / "run"),
    ):
        pass
    with run_lock(tmp_path / "run"):
        pass


def signalled(folder, name, number, *overrides):
    """Start a run, send it a signal after its first checkpoint, and return its exit code and its log."""
    process = start(folder, name, *overrides)
    while not list((folder / "runs").glob(f"{name}/checkpoints/*.json")):
        assert process.is_alive(), (folder / f"{name}.log").read_text()[-3000:]
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join()
    return process.exitcode, (folder / f"{name}.log").read_text()


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGUSR1, 75, "SIGUSR1"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")],
)
def test_a_signal_saves_and_stops(work, number, code, said):
    folder, name = work[0], f"signalled-{code}"
    long = ("trainer.steps=200", "trainer.checkpoint_every=10")
    assert signalled(folder, name, number, *long)[0] == code
    latest, log = newest(folder / "runs" / name / "checkpoints"), (folder / f"{name}.log").read_text()
    assert f"saved and stopped at step {latest.manifest.step} by {said}; run the same command again" in log
    assert not (folder / "runs" / name / "finished.json").exists() and "Traceback" not in log


def test_a_terminated_run_resumes_to_the_same_weights(work):
    folder = work[0]
    assert signalled(folder, "terminated", signal.SIGTERM, "trainer.checkpoint_every=1")[0] == 143
    assert finished(folder, "terminated", "trainer.checkpoint_every=1")
    assert same_model(folder, "whole", "terminated") and same_optimizer(folder, "whole", "terminated")
    assert losses(folder, "terminated") == losses(folder, "whole")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_signal_to_one_of_two_processes_saves_and_stops_both(work, strategy):
    folder, name = work[0], f"both-{strategy}"
    long = ("trainer.steps=2000", "trainer.checkpoint_every=5", f"trainer.strategy={strategy}")
    both = start_two(folder, name, *long)
    while not list((folder / "runs").glob(f"{name}/checkpoints/*.json")):
        assert all(process.is_alive() for process in both), (folder / f"{name}.log").read_text()[-3000:]
        time.sleep(0.01)
    os.kill(both[1].pid, signal.SIGTERM)
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [143, 143], (folder / f"{name}.log").read_text()[-3000:]
    latest, log = newest(folder / "runs" / name / "checkpoints"), (folder / f"{name}.log").read_text()
    assert log.count(f"saved and stopped at step {latest.manifest.step} by SIGTERM") == 1


def test_a_second_ctrl_c_stops_at_once(tmp_path, monkeypatch):
    checkpoint = ResumableCheckpoint(tmp_path, 1, facts())
    checkpoint._on_signal(signal.SIGINT, None)
    checkpoint._on_signal(signal.SIGTERM, None)
    with pytest.raises(Interrupted) as stop:
        checkpoint._on_signal(signal.SIGINT, None)
    assert stop.value.code == 130 and "without saving" in str(stop.value)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    checkpoint._on_signal(signal.SIGINT, None)  # torchrun repeats what the terminal has sent


def test_a_truncated_row_of_metrics_is_dropped(tmp_path):
    begin_run(tmp_path, "")
    (tmp_path / "metrics.csv").write_text("step,train/loss\n0,1.5\n1,1.25\n2,1.0")
    assert [row["step"] for row in read_metrics(tmp_path)] == ["0", "1"]


def test_a_training_row_stays_when_a_resumed_part_begins_with_its_validation(tmp_path):
    begin_run(tmp_path, "")
    header = "step,train/loss,validation/loss\n"
    (tmp_path / "metrics-1.csv").write_text(header + "4,1.5,\n5,1.25,\n5,,3.0\n6,9.0,\n")
    (tmp_path / "metrics.csv").write_text(header + "5,,2.0\n6,1.0,\n")
    rows = [(row["step"], row["train/loss"], row["validation/loss"]) for row in read_metrics(tmp_path)]
    assert rows == [("4", "1.5", ""), ("5", "1.25", ""), ("5", "", "2.0"), ("6", "1.0", "")]
