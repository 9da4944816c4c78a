"""A run and a data set become complete folders, which other programs open, and arrive on a hub."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from datasets import Audio, load_dataset
from huggingface_hub import DatasetCard, ModelCard
from transformers import DiaForConditionalGeneration

from dia import Dia
from dia.audio.files import waveform_from_bytes
from tests.data.test_prepare import digest
from tests.processes import run_door
from tests.publishing.hub_server import TOKEN, Hub, running_hub
from tests.tiny_world import TinyWorld

MODEL_FILES = {
    "README.md",
    "codec/config.json",
    "codec/model.safetensors",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "samples/1.flac",
    "tokenizer_config.json",
}
SCORE = {"value": 0.125, "low": 0.0625, "high": 0.25, "better": -1}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny run of two steps with an evaluation, and its prepared data."""
    folder = tmp_path_factory.mktemp("push")
    tiny = TinyWorld(folder / "tiny")
    overrides = tiny.overrides(folder / "runs")
    trained = run_door("train", "run_name=tiny", *overrides, *tiny.shape(), cwd=folder)
    assert trained.returncode == 0, trained.stderr[-3000:]
    scores = {"suites": {"own": {"systems": {"model": {"wer": SCORE, "odd": SCORE}, "baseline": {}}}}}
    (folder / "runs/tiny/eval-own").mkdir()
    (folder / "runs/tiny/eval-own/scores.json").write_text(json.dumps(scores))
    return folder


def run_alone(door, *arguments, cwd, env):
    """Run a command in a new interpreter: the Hub's client reads its environment when it is imported."""
    command = [sys.executable, "-m", f"dia.{door}", *arguments]
    return subprocess.run(command, cwd=cwd, env=os.environ | env, capture_output=True, text=True)


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def prepared(world):
    (folder,) = (world / "tiny/prepared").glob("tiny-*")
    return folder


@pytest.fixture(scope="module")
def model(world):
    command = ["push", "runs/tiny", "to=model", "license=apache-2.0", "samples=1", "scripts=[[S1] Hello.]"]
    done = run_door("weights", *command, cwd=world)
    assert done.returncode == 0, done.stderr
    assert "wrote model" in done.stdout and "repo=owner/name" in done.stdout
    return world / "model"


def test_the_folder_of_a_model_is_complete_and_opens_anywhere(world, model, tmp_path, monkeypatch):
    assert files_of(model) == MODEL_FILES
    model.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    moved, trained = Dia.from_pretrained("moved"), Dia.from_pretrained(str(world / "runs/tiny"))
    assert moved.codec.fingerprint == trained.codec.fingerprint
    assert moved.codec.name == str(tmp_path / "moved/codec") or moved.codec.name == "moved/codec"
    said = [dia.generate("[S1] So it goes.", seed=3, max_tokens=20, lint="off") for dia in (moved, trained)]
    np.testing.assert_array_equal(*said)
    in_transformers = DiaForConditionalGeneration.from_pretrained("moved").state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in in_transformers.items()}
    (tmp_path / "moved").rename(model)


def test_the_card_says_what_the_run_was(model, world):
    card = ModelCard.load(model / "README.md")
    assert card.data.license == "apache-2.0" and card.data.pipeline_tag == "text-to-speech"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_name) == ("wer", 0.125, "suite own")
    text = card.text
    for expected in (
        "2 steps in 32-true",
        "| word error rate | 12.5 % (6.25 to 25) | - |",
        "`[S1] Hello.` (seed 1)",
        'src="samples/1.flac"',
        'Dia.from_pretrained("model")',
        "(laughs) ",
        "unknown (",
    ):
        assert expected in text, expected
    assert "odd" not in text


def test_the_data_set_opens_with_its_audio(world):
    done = run_door("prepare", "push", str(prepared(world)), "to=data", cwd=world)
    assert done.returncode == 0, done.stderr
    assert {name.split("-")[0] for name in files_of(world / "data")} == {
        "README.md", "data/train", "data/validation", "data/test",
    } & {name.split("-")[0] for name in files_of(world / "data")}  # fmt: skip
    rows = load_dataset(str(world / "data"), split="train", cache_dir=str(world / "cache"))
    assert rows.features["audio"].decode and rows.features["turns"] and len(rows) > 1
    stored = rows.cast_column("audio", Audio(decode=False))  # decoding needs the package torchcodec
    waveform, rate = waveform_from_bytes(stored[0]["audio"]["bytes"])
    assert rate == 16_000 and len(waveform) == round(stored[0]["seconds"] * 16_000)
    card = DatasetCard.load(world / "data/README.md")
    assert card.data.task_categories == ["text-to-speech"] and card.data.license == "unknown"
    assert card.data.configs[0]["data_files"][0]["path"] == "data/train-*"
    assert "| `script` |" in card.text and "| laughs |" in card.text


def test_a_card_that_somebody_wrote_is_part_of_the_published_one(world, tmp_path):
    shutil.copytree(world / "runs/tiny/model", tmp_path / "mine")
    (tmp_path / "mine/README.md").write_text("---\nlicense: mit\n---\n# Mine\n\nTrained on my own voice.\n")
    done = run_door("weights", "push", "mine", "to=out", "license=mit", "samples=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "out/README.md").read_text()
    assert "## Notes\n\n# Mine\n\nTrained on my own voice.\n" in card and card.count("license: mit") == 1


def environment(hub, token=TOKEN):
    return {"HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}


def test_the_same_files_arrive_on_a_hub(world, model, tmp_path):
    with running_hub() as hub:
        command = ["push", "runs/tiny", "repo=me/tiny", "license=apache-2.0", "samples=1"]
        done = run_alone("weights", *command, cwd=world, env=environment(hub) | {"DIA_HOME": str(tmp_path)})
        assert done.returncode == 0 and f"{hub.address}/me/tiny" in done.stdout, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        folder, files = tmp_path / "hub/me--tiny", hub.files["models/me/tiny"]
        assert {name: (folder / name).read_bytes() for name in files_of(folder)} == files
        assert hub.visibility == {"models/me/tiny": "private"} and set(files) == MODEL_FILES
        assert b"https://huggingface.co/me/tiny/resolve/main/samples/1.flac" in files["README.md"]
        command = ["push", str(prepared(world)), "repo=me/data", "private=false"]
        done = run_alone("prepare", *command, cwd=world, env=environment(hub) | {"DIA_HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        folder, files = tmp_path / "hub/me--data", hub.files["datasets/me/data"]
        assert {name: (folder / name).read_bytes() for name in files_of(folder)} == files
        assert hub.visibility["datasets/me/data"] == "public"


@pytest.mark.parametrize("token", ["wrong", ""])
def test_a_hub_that_refuses_leaves_the_complete_folder(world, tmp_path, token):
    with running_hub() as hub:
        command = ["push", "runs/tiny", "repo=me/tiny", "license=apache-2.0", "samples=0"]
        done = run_alone(
            "weights", *command, cwd=world,
            env=environment(hub, token) | {"DIA_HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf")},
        )  # fmt: skip
    assert done.returncode == 2 and "HF_TOKEN" in done.stderr and "Traceback" not in done.stderr
    assert files_of(tmp_path / "hub/me--tiny") == MODEL_FILES - {"samples/1.flac"}


def test_a_hub_that_does_not_answer(world, tmp_path):
    command = ["push", "runs/tiny", "repo=me/tiny", "license=apache-2.0", "samples=0"]
    env = environment(Hub("http://127.0.0.1:9")) | {"DIA_HOME": str(tmp_path)}
    done = run_alone("weights", *command, cwd=world, env=env)
    assert done.returncode == 2 and "cannot be reached" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("door", "command", "problems"),
    [
        ("weights", ["push"], ["name what to publish", "license= is missing"]),
        ("weights", ["push", "runs/tiny", "license=mit", "repo=a/b/c"], ["write owner/name"]),
        ("weights", ["push", "runs/tiny", "license=mit", "to=tiny"], ["to=tiny exists"]),
        ("weights", ["push", "runs/tiny", "license=mit", "evaluations=[tiny]"], ["no scores.json in tiny"]),
        ("weights", ["push", "nowhere", "license=mit"], ["there is no checkpoint at nowhere"]),
        ("prepare", ["push", "tiny"], ["no prepared data set at tiny"]),
        ("prepare", ["push"], ["name what to publish"]),
    ],
)
def test_wrong_commands_write_nothing(world, door, command, problems, tmp_path):
    before = digest(world)
    done = run_door(door, *command, cwd=world, environment={"DIA_HOME": str(tmp_path / "home")})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(problem in done.stderr for problem in problems), done.stderr
    assert digest(world) == before and not (tmp_path / "home/hub").exists()


def test_weights_are_those_of_the_run(model, world):
    published = Dia.from_pretrained(str(model)).network.state_dict()
    trained = Dia.from_pretrained(str(world / "runs/tiny")).network.state_dict()
    assert all(torch.equal(published[name], tensor) for name, tensor in trained.items())
