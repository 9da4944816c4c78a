"""Evaluations in workers: the bytes of one process, and at most one clip lost with a killed worker."""

import json
import os
import pickle
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from dia.checkpoint import save_checkpoint
from dia.config.sampling import SamplingOverrides
from dia.errors import UserError
from dia.evaluation.cache import ContentCache
from dia.evaluation.clip_scorer import ClipScorer
from dia.network import DiaNetwork
from dia.pipelines.evaluation.take_jobs import CheckpointSource, RoundTrip, TakeMaker
from tests.conftest import TINY
from tests.data.test_prepare import digest
from tests.evaluation.loudness import Loudness, clip
from tests.processes import children, run_door, start_door
from tests.tiny_world import TinyWorld

PROMPTS = ["[S1] Hello.", "[S1] So it goes. [S2] Yes.", "[S2] And then we left.", "[S1] Well. (sighs) No."]
IN_ONE_PROCESS = "engine.workers=0"
ENGINES = {"local": ["engine=local", "engine.workers=2"], "dask": ["engine=dask", "engine.workers=2"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny checkpoint and codec, and a suite of prompts."""
    folder = tmp_path_factory.mktemp("world")
    TinyWorld(folder / "tiny")
    rows = [{"id": f"p{number}", "script": script} for number, script in enumerate(PROMPTS)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def arguments(folder, *engine):
    return [
        "ckpt=tiny/ours",
        "codec.name=tiny/codec",
        "suite=own.jsonl",
        "metrics=[wer,mos,failures]",
        "timing=false",
        f"cache={folder}/cache",
        f"out={folder}/report",
        *engine,
    ]


def cached(folder):
    """Every take and measurement of the cache, without files that a kill left incomplete."""
    complete = digest(folder / "cache").items()
    return {name: sha256 for name, sha256 in complete if "/." not in name}


def stored(folder):
    """The scores and the cache."""
    return (folder / "report" / "scores.json").read_bytes(), cached(folder)


@pytest.fixture(scope="module")
def alone(world, tmp_path_factory):
    """What one process stores."""
    folder = tmp_path_factory.mktemp("alone")
    done = run_door("eval", *arguments(folder, IN_ONE_PROCESS), cwd=world)
    assert done.returncode == 0, done.stderr[-3000:]
    return stored(folder)


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_store_the_bytes_of_one_process(engine, world, alone, tmp_path):
    done = run_door("eval", *arguments(tmp_path, *ENGINES[engine]), cwd=world)
    assert done.returncode == 0, done.stderr[-3000:]
    assert stored(tmp_path) == alone
    assert "generating takes of model: 12 of 12" in done.stderr
    assert "scoring own: 12 of 12" in done.stderr
    again = run_door("eval", *arguments(tmp_path, *ENGINES[engine]), cwd=world)
    assert again.returncode == 0 and "48 of 48 takes and scores came from the cache" in again.stdout


def is_running(pid):
    """Whether a process runs; one that has ended may stay in the table until the fork server collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("victim", ["worker", "command"])
def test_a_kill_loses_no_finished_work(victim, world, alone, tmp_path):
    """A killed worker is reported; a killed or terminated command leaves no worker."""
    command = arguments(tmp_path, *ENGINES["local"])
    begun = run_door("eval", *arguments(tmp_path, IN_ONE_PROCESS), "prompts=2", cwd=world)
    assert begun.returncode == 0 and len(list(tmp_path.rglob("*.flac"))) == 6
    running = start_door("eval", *command, cwd=world)
    pid = running.process.pid
    workers = []
    while not workers:  # killed while it starts: on a busy machine it may be ready before a later signal
        assert running.process.exitcode is None, running.wait().stderr
        time.sleep(0.01)
        workers = [worker for child in children(pid) for worker in children(child)]
    os.kill(*((workers[0], signal.SIGKILL) if victim == "worker" else (pid, signal.SIGTERM)))
    done = running.wait(240)
    finished = cached(tmp_path)
    assert done.returncode == {"worker": 2, "command": 143}[victim], done.stderr
    assert "run the same command again" in done.stderr and "Traceback" not in done.stderr
    assert not [worker for worker in workers if is_running(worker)]
    again = run_door("eval", *command, cwd=world)
    assert again.returncode == 0 and stored(tmp_path) == alone
    assert finished.items() <= alone[1].items()


def loudness(folder):
    """A metric whose version stands in a file."""
    metric = Loudness()
    metric.version = (folder / "version").read_text()
    return [metric]


def test_a_worker_with_other_models_is_refused(tmp_path):
    (tmp_path / "version").write_text("1")
    scorer = ClipScorer(partial(loudness, tmp_path), (clip("a", 0, 0.1)[0],), ContentCache(tmp_path))
    sent = pickle.dumps(scorer)
    assert [metric.version for metric in pickle.loads(sent).metrics] == ["1"]
    (tmp_path / "version").write_text("2")
    with pytest.raises(UserError, match="other models for loudness than this command"):
        _ = pickle.loads(sent).metrics


def test_a_worker_that_opens_other_weights_is_refused(tmp_path):
    tiny = TinyWorld(tmp_path / "tiny")
    source = CheckpointSource(str(tiny.folder / "ours"), str(tiny.codec), None, SamplingOverrides())
    sent = pickle.dumps(TakeMaker({"model": source.open()}, {"model": source}, ContentCache(tmp_path)))
    recording, _ = clip("a", 0, 0.1)
    job = RoundTrip(5, "model", recording.waveform, recording.sample_rate)
    number, (take,) = pickle.loads(sent)(job)
    assert number == 5 and len(take.waveform) == len(recording.waveform)
    torch.manual_seed(1)
    save_checkpoint(DiaNetwork(TINY), tiny.folder / "ours", None)
    with pytest.raises(UserError, match="a worker opens other weights"):
        pickle.loads(sent)(job)
