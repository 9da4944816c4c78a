"""Every recipe composes, is validated and runs two steps, on a tiny model and sixteen clips of noise."""

import json
import re

import pytest
import torch

from dia.checkpoint import load_checkpoint, save_checkpoint
from dia.checkpoint.adapter import load_adapter, merge_adapter
from dia.codecs.registry import load_codec
from dia.config.compose import compose, recipes, typed
from dia.config.data import LabelsConfig
from dia.data.dataset import DatasetShare, PreparedClips
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.data.voice_filter import select_voices
from dia.errors import UserError
from dia.generate import generate
from dia.model import Dia
from dia.network import DiaNetwork
from dia.pipelines.check_config import complete, validate
from dia.resources import resource
from dia.train import run_task
from dia.training.checkpointing import newest
from dia.training.dia_module import DiaModule
from dia.training.objectives import objective_type
from dia.training.run_folder import read_metrics
from tests.conftest import TINY
from tests.tiny_world import TinyWorld

TRAINED = [
    # the first is for dia.prepare (tests/data/test_recordings.py), the second has no data of the tiny world
    # (tests/training/test_event_detector.py)
    name
    for name in recipes()
    if name not in ("recordings", "event_detector")
]


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return TinyWorld(tmp_path_factory.mktemp("tiny"))


def config_of(world, name, runs, *more):
    """The config of a recipe, shrunk."""
    recipe = compose("train", [f"+recipe={name}"])
    codec = recipe.task == "codec"
    if codec:
        where = world.codec_training()
    else:
        where = [f"init_from={world.init}"] if recipe.init_from else world.shape()
    pairs = not codec and objective_type(str(recipe.objective)).reads.from_preferences
    overrides = [*world.overrides(runs, codec=codec, pairs=pairs), *where, *more]
    config = complete(typed(compose("train", [f"+recipe={name}", *overrides])))
    validate(config)
    return config


def train(world, name, runs, *more):
    config = config_of(world, name, runs, *more)
    return run_task(config)


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """The run folders of all recipes, each trained when it is asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(name):
        if name not in made:
            made[name] = train(world, name, folder)
        return made[name]

    return run


@pytest.mark.parametrize("name", TRAINED)
def test_every_recipe_runs_two_steps(world, runs, name):
    run = runs(name)
    if name == "codec_nano":
        assert load_codec(str(run / "model")).channels == 4
        return
    opened = Dia.from_pretrained(str(run), device="cpu")
    assert opened.codec.name == str(world.codec)
    assert [int(row["step"]) for row in read_metrics(run) if row.get("validation/loss")]
    if (
        name == "grpo"
    ):  # its takes end at once and have equal rewards; tests/training/test_preference_runs.py learns
        assert [row for row in read_metrics(run) if row.get("train/reward")]
        return
    before = load_checkpoint(world.init).network.state_dict() if (run / "base.json").is_file() else {}
    after = opened.network.state_dict()
    assert all(
        not torch.equal(tensor, after[key]) for key, tensor in before.items() if key.endswith("q_proj.weight")
    )


def test_a_run_with_adapters_saves_what_learns_and_no_more(runs):
    state = torch.load(newest(runs("lora") / "checkpoints").path, weights_only=True)["state_dict"]
    assert state and all(".lora_" in name for name in state)


def test_the_average_is_what_is_exported(runs):
    run = runs("base")
    state = torch.load(newest(run / "checkpoints").path, weights_only=True)["state_dict"]
    exported = load_checkpoint(run).network.state_dict()
    names = [name.removeprefix("network.") for name in state if name.startswith("network.")]
    for number, name in enumerate(names):
        assert torch.equal(exported[name], state[f"average.weights.{number}"]), name
    assert not torch.equal(exported["logits_dense.weight"], state["network.logits_dense.weight"])


@pytest.mark.parametrize("path", sorted(resource("recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_begins_with_its_command(path):
    package, command = path.read_text().splitlines()[:2]
    assert package == "# @package _global_"
    assert re.search(rf"-m dia\.(train|prepare) \+recipe={path.stem}( |$)", command)


@pytest.mark.parametrize("name", ["lora", "voice"])
def test_an_adapter_on_its_base_is_the_model_that_was_exported(world, runs, name):
    base = load_checkpoint(world.init).network
    merge_adapter(base, load_adapter(runs(name)))
    exported = load_checkpoint(runs(name)).network.state_dict()
    assert all(torch.equal(tensor, exported[key]) for key, tensor in base.state_dict().items())


def test_an_adapter_speaks_from_the_command_line(world, runs, tmp_path):
    out = tmp_path / "spoken.wav"
    spoken = [
        "text=[S1] Hello there.",
        f"ckpt={world.init}",
        f"codec.name={world.codec}",
        f"out={out}",
        "max_seconds=1",
    ]
    generate(typed(compose("generate", spoken)))
    base = out.read_bytes()
    generate(typed(compose("generate", [*spoken, f"adapter={runs('lora')}"])))
    assert len(out.read_bytes()) > 1000 and base
    with pytest.raises(UserError, match="does not fit this checkpoint"):
        generate(typed(compose("generate", [spoken[0], f"out={out}", f"adapter={runs('lora')}"])))


def test_a_voice_is_chosen_among_others(world, tmp_path):
    config = config_of(world, "voice", tmp_path)
    folder = prepare(config.data, load_codec(config.codec.name), config.engine)
    splits = select_voices(open_prepared(folder), ["anna"])
    assert {turn["voice"] for split in splits.values() for row in split for turn in row["turns"]} == {"anna"}
    clips = PreparedClips([DatasetShare(splits["train"], 1.0)], TINY, LabelsConfig())
    own = [row for row in open_prepared(folder)["train"] if row["turns"][0]["voice"] == "anna"]
    assert len(clips) == len(own) == 6
    assert [clips.codes(index).tolist() for index in range(6)] == [row["codes"] for row in own]
    with pytest.raises(UserError, match=r"only by carl; voices and their clips: anna \(6\), ben \(6\)"):
        select_voices(open_prepared(folder), ["carl"])


def test_what_was_distilled_speaks_in_one_pass(runs):
    assert not Dia.from_pretrained(str(runs("cfg_distill")), device="cpu").default_sampling.guided
    assert Dia.from_pretrained(str(runs("finetune")), device="cpu").default_sampling.temperature == 1.8


class Crash(Exception):
    """What a machine that fails is to a test."""


@pytest.mark.parametrize(
    "name, more",
    [
        ("lora", ["trainer.activation_checkpointing=layers"]),
        ("cfg_distill", []),
        ("base", ["schedule.warmup_steps=1"]),
    ],
)
def test_a_run_that_goes_on_ends_with_the_same_weights(world, tmp_path, monkeypatch, name, more):
    more = ["trainer.steps=4", *more]
    whole = load_checkpoint(train(world, name, tmp_path / "whole", *more)).network.state_dict()
    step = DiaModule.training_step

    def failing(task, batch, index):
        if task.global_step == 2:
            raise Crash
        return step(task, batch, index)

    monkeypatch.setattr(DiaModule, "training_step", failing)
    with pytest.raises(Crash):
        train(world, name, tmp_path / "broken", *more)
    monkeypatch.undo()
    parts = load_checkpoint(train(world, name, tmp_path / "broken", *more)).network.state_dict()
    assert all(torch.equal(tensor, parts[key]) for key, tensor in whole.items())


@pytest.mark.parametrize("where", ["training_step", "validation_step"])
def test_a_run_that_goes_on_stops_early_where_an_unbroken_one_does(world, tmp_path, monkeypatch, where):
    # no validation is that much better than the first, so it is the model of step 2 that is kept, and step 8
    # is the last
    more = [
        "trainer.steps=20",
        "trainer.validate_every=2",
        "early_stopping.patience=3",
        "early_stopping.min_delta=100",
    ]
    run = train(world, "finetune", tmp_path / "whole", *more)
    assert json.loads((run / "finished.json").read_text()) == {"steps": 8}
    step = getattr(DiaModule, where)

    def failing(task, batch, index):
        if task.global_step == 4:
            raise Crash
        return step(task, batch, index)

    monkeypatch.setattr(DiaModule, where, failing)
    with pytest.raises(Crash):
        train(world, "finetune", tmp_path / "broken", *more)
    monkeypatch.undo()
    gone_on = train(world, "finetune", tmp_path / "broken", *more)
    assert json.loads((gone_on / "finished.json").read_text()) == {"steps": 8}
    first, second = (load_checkpoint(folder).network.state_dict() for folder in (run, gone_on))
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


def test_a_run_does_not_go_on_from_another_base(world, tmp_path):
    run = train(world, "finetune", tmp_path)
    torch.manual_seed(1)
    save_checkpoint(DiaNetwork(TINY), tmp_path / "other", None)
    with pytest.raises(UserError, match="has other weights than at the start of the run"):
        train(
            world, "finetune", tmp_path, f"init_from={tmp_path / 'other'}", "resume=true", "trainer.steps=3"
        )
    assert (run / "model").is_dir()
