"""Every door without space, or without the permission to write: one message, exit code 2, and no remains."""

import pytest
import soundfile

from tests.data.test_prepare import make_corpus
from tests.data.test_prepare import run as prepare_arguments
from tests.faults import read_only, run_obeying, run_without_space
from tests.processes import run_door
from tests.systems.conftest import PROMPTS
from tests.tiny_world import TinyWorld
from tests.training.whole_runs import TINY_RUN, make_noise

SPEECH = ["text=[S1] Hello my friend.", "ckpt=dia_nano", "max_seconds=1"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with tiny inputs of every door."""
    import json

    folder = tmp_path_factory.mktemp("storage")
    make_noise(folder)
    TinyWorld(folder / "tiny")
    make_corpus(folder / "corpus", 8)
    (folder / "recordings").mkdir()
    soundfile.write(folder / "recordings" / "0.wav", [0.1] * 24_000, 24_000)
    row = {"id": "hello", "file": "0.wav", "script": PROMPTS[0]["script"].replace("(beep) ", "")}
    (folder / "recordings" / "recordings.jsonl").write_text(json.dumps(row) + "\n")
    return folder


DOORS = {
    "generate": ("generate", [*SPEECH, "out={out}/hello.wav"]),
    "convert": ("weights", ["convert", "tiny/ours", "to=nari", "out={out}/model"]),
    "prepare": ("prepare", [*prepare_arguments("corpus", "{out}"), "engine.workers=0"]),
    "prepare in processes": ("prepare", [*prepare_arguments("corpus", "{out}"), "engine.workers=1"]),
    "train": ("train", [*TINY_RUN, "runs={out}", "run_name=run", "trainer.steps=4"]),
    "train a codec": ("train", ["task=codec", "runs={out}", "run_name=run"]),
    "record": ("eval", ["record", "system=folder", "system.path=recordings", "out={out}", "run_id=one"]),
    "sweep": ("sweep", [*TINY_RUN, "sweep.folder={out}", "sweep.space={seed: [1]}", "sweep.sampler=grid"]),
    "eval": (
        "eval",
        ["ckpt=dia_nano", "suite=voices", "prompts=1", "seeds=1", "cache={out}/cache", "out={out}/report"],
    ),
}
UNFINISHED = (
    "config.yaml",
    "metrics.csv",
    ".json",
    ".jsonl",
    ".html",
    ".parquet",
)  # complete files of work to resume


def arguments_for(name, out):
    door, arguments = DOORS[name]
    return door, [argument.replace("{out}", str(out)) for argument in arguments]


def remains(folder):
    """Return the files that a command left, without complete ones that the same command uses again."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.name.startswith(".") or not path.name.endswith(UNFINISHED)]


@pytest.mark.parametrize("name", [name for name in DOORS if name not in ("train a codec", "sweep")])
def test_a_door_without_space_says_so_and_leaves_nothing(name, world, tmp_path):
    door, arguments = arguments_for(name, tmp_path / "out")
    (tmp_path / "out").mkdir()
    done = run_without_space(door, *arguments, cwd=world, size=6000)
    assert done.returncode == 2 and "cannot be written (" in done.stderr, done.stderr[-3000:]
    assert "Traceback" not in done.stderr and not remains(tmp_path / "out")


@pytest.mark.parametrize("name", [name for name in DOORS if name != "train a codec"])
def test_a_door_without_permission_says_so_and_leaves_nothing(name, world, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    door, arguments = arguments_for(name, out)
    with read_only(out):
        done = run_obeying(door, *arguments, cwd=world)
    assert done.returncode == 2 and "cannot be written" in done.stderr, done.stderr[-3000:]
    assert "Traceback" not in done.stderr and not list(out.iterdir())


def test_training_resumes_after_there_is_space_again(world, tmp_path):
    arguments = [*TINY_RUN, f"runs={tmp_path}", "run_name=run", "trainer.steps=4"]
    done = run_without_space("train", *arguments, cwd=world, size=50_000)
    assert done.returncode == 2 and "step-00000003.ckpt cannot be written" in done.stderr, done.stderr[-3000:]
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert run_door("train", *arguments, cwd=world).returncode == 0
    assert (tmp_path / "run" / "finished.json").is_file()


def test_two_preparations_of_the_same_data_wait_for_each_other(world, tmp_path):
    from tests.processes import start_door

    arguments = [*prepare_arguments("corpus", tmp_path), "engine.workers=0"]
    both = [start_door("prepare", *arguments, cwd=world) for _ in range(3)]
    done = [running.wait() for running in both]
    assert [each.returncode for each in done] == [0, 0, 0], "".join(each.stderr for each in done)
    assert len({each.stdout for each in done}) == 1
    assert "another process prepares" in "".join(each.stderr for each in done)
    (folder,) = tmp_path.iterdir()
    assert not folder.name.startswith(".")
