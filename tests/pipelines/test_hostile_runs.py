"""Run folders from someone else: evaluating and consolidating start no program, resolve nothing, prepare
nothing."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from dia.checkpoint import CodecReference, save_checkpoint
from dia.codecs.registry import load_codec
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.compose import compose
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.config.eval import EvalConfig
from dia.data.prepare import prepare
from dia.errors import UserError
from dia.network import DiaNetwork
from dia.pipelines.consolidate import consolidate
from dia.pipelines.evaluation.load_inputs import load_inputs
from dia.training.checkpointing import newest
from dia.training.resume import RunFingerprint
from dia.training.run_folder import acquire_run
from dia.training.run_inputs import RunInputs, read_inputs, write_inputs
from dia.weights import main as weights
from tests.conftest import TINY, TINY_CODEC
from tests.data.test_hostile_data import corpus
from tests.payloads import opened_files, write_pickle, write_program


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a run folder with a model, whose config.yaml is still missing."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_spectral(SpectralNetwork(TINY_CODEC), tmp_path / "codec")
    codec = load_codec("codec")
    folder = tmp_path / "runs" / "theirs"
    save_checkpoint(DiaNetwork(TINY), folder / "model", CodecReference("codec", codec.fingerprint))
    return folder


def write_config(run, **groups):
    (run / "config.yaml").write_text(yaml.safe_dump({"task": "dia", **groups}))


def load(run, **changes):
    return load_inputs(EvalConfig(ckpt=str(run), **changes), needs_data=True)


def test_evaluating_starts_no_program_that_a_run_names(run, tmp_path):
    program = write_program(tmp_path / "python", tmp_path / "trace")
    corpus(tmp_path / "sounds", "in.wav")
    recordings = {"diarization": "pyannote", "pyannote": str(program)}
    data = {
        "corpus": "recordings",
        "path": str(tmp_path / "sounds"),
        "recordings": recordings,
        "name": "sounds",
    }
    write_config(run, data=data)
    for needs_data in (True, False):
        try:
            inputs = load_inputs(EvalConfig(ckpt=str(run)), needs_data=needs_data)
            assert inputs.splits is None and not needs_data
        except UserError as error:
            assert needs_data and "data.*" in str(error) and "sounds-*" in str(error)
    assert not (tmp_path / "trace").exists() and not (tmp_path / "prepared").exists()


def test_data_are_used_where_they_are_and_never_prepared(run, tmp_path, caplog):
    data = {"corpus": "local", "path": str(corpus(tmp_path / "corpus", "in.wav")), "name": "small"}
    write_config(run, data=data)
    with pytest.raises(UserError, match=r"not prepared here.*data.root=FOLDER"):
        load(run)
    assert not (tmp_path / "prepared").exists()
    with caplog.at_level(logging.WARNING):
        assert load_inputs(EvalConfig(ckpt=str(run)), needs_data=False).splits is None
    assert "continues without them" in caplog.text
    folder = prepare(DataConfig(**data), load_codec("codec"), EngineConfig(workers=0))
    with pytest.raises(UserError, match="not prepared here"):  # it is not known to be the run's
        load(run)
    digests = {"train": json.loads((folder / "train" / "state.json").read_text())["_fingerprint"]}
    write_inputs(run, RunInputs(digests, "codec", "0"))
    assert set(load(run).splits) == {"train"}
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "prepared", moved)
    with pytest.raises(UserError, match="not prepared here"):
        load(run)
    assert set(load(run, data=DataConfig(root=str(moved))).splits) == {"train"}
    write_config(run, data=data | {"root": str(moved)})
    assert set(load(run).splits) == {"train"}
    write_inputs(run, RunInputs({"train": "1" * 16}, "codec", "0"))
    with pytest.raises(UserError, match="not prepared here"):
        load(run)


def test_keys_of_data_replace_the_data_of_a_run(run, tmp_path):
    theirs = {"corpus": "local", "path": str(corpus(tmp_path / "theirs", "in.wav")), "name": "theirs"}
    write_config(run, data=theirs)
    mine = DataConfig(corpus="local", path=str(corpus(tmp_path / "mine", "in.wav")), name="mine")
    with pytest.raises(UserError, match=r"mine-\w+ does not exist; prepare them first"):
        load(run, data=mine)
    folder = prepare(mine, load_codec("codec"), EngineConfig(workers=0))
    assert Path(next(iter(load(run, data=mine).splits.values())).cache_files[0]["filename"]).is_relative_to(
        folder.resolve()
    )


def test_a_checkpoint_without_a_run_uses_data_of_the_command_line_that_are_prepared(run, tmp_path):
    data = DataConfig(corpus="local", path=str(corpus(tmp_path / "corpus", "in.wav")), name="small")
    with pytest.raises(UserError, match=r"prepare them first: python -m dia.prepare data.corpus=local"):
        load(run / "model", data=data)
    prepare(data, load_codec("codec"), EngineConfig(workers=0))
    assert set(load(run / "model", data=data).splits) == {"train"}


@pytest.mark.parametrize("name", ["../secret", "/secret", "..", "a/b"])
def test_a_run_names_no_data_outside_of_the_root(run, tmp_path, name):
    write_config(run, data={"name": name})
    write_inputs(run, RunInputs({"train": "1" * 16}))
    with opened_files() as opened, pytest.raises(UserError, match=r"data.name="):
        load(run)
    assert not any("secret" in path for path in opened)


def test_resolvers_in_the_config_of_a_run_are_text(run, monkeypatch):
    monkeypatch.setenv("DIA_SECRET", "s3cret")
    write_config(run, data={"name": "${oc.env:DIA_SECRET}", "root": "${oc.env:DIA_SECRET}"})
    with pytest.raises(UserError) as caught:
        load(run)
    assert "s3cret" not in str(caught.value) and "${oc.env:DIA_SECRET}" in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[1]", "data: 3", "data: {corpus: {a: 1}}", "data: {colour: red}"])
def test_a_damaged_config_is_one_message(run, content):
    (run / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config.yaml"):
        load(run)


def test_a_fifo_as_a_config_is_no_config(run):
    os.mkfifo(run / "config.yaml")
    with pytest.raises(UserError):
        consolidate(run, run / "out")


def old_shards(run, tmp_path):
    """Write a run whose newest checkpoint is a folder of shards with a pickled description."""
    write_config(run)
    shards = run / "checkpoints" / "step-00000003.ckpt"
    write_pickle(shards / ".metadata", tmp_path / "trace")
    facts = RunFingerprint({}, 1).to_json()
    (run / "checkpoints" / "step-00000003.json").write_text(
        json.dumps({"step": 3, "files": {}, "facts": facts})
    )
    return shards


def test_shards_with_a_pickle_are_refused_with_the_remedy(run, tmp_path, capsys):
    old_shards(run, tmp_path)
    with pytest.raises(SystemExit) as ended:
        weights(["consolidate", str(run), f"out={tmp_path / 'out'}"])
    assert ended.value.code == 2 and "init_from=" in capsys.readouterr().err
    state, problems = acquire_run(run, "true", RunFingerprint({}, 1))
    assert state.saved is None and len(problems) == 1 and "pickle" in problems[0]
    assert not (tmp_path / "trace").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../../../secret": "0" * 64}},
        {"files": {"/etc/passwd": "0" * 64}},
        {"files": {"": "0" * 64}},
        {"files": ["x"]},
        {"step": "three"},
        {"facts": {"threads": 10**9}},
        {"facts": {"threads": "many"}},
        {"facts": [1]},
    ],
)
def test_a_manifest_names_its_own_files_and_possible_values(run, tmp_path, change):
    old_shards(run, tmp_path)
    (tmp_path / "secret").write_text("x")
    path = run / "checkpoints" / "step-00000003.json"
    manifest = json.loads(path.read_text())
    for key, value in change.items():
        manifest[key] = manifest[key] | value if isinstance(value, dict) and key == "facts" else value
    path.write_text(json.dumps(manifest))
    with opened_files() as opened:
        assert newest(run / "checkpoints") is None
    assert not any(path.endswith(("secret", "passwd")) for path in opened)


def test_a_pickle_as_a_checkpoint_does_not_run(run, tmp_path):
    write_config(run)
    write_pickle(run / "checkpoints" / "step-00000003.ckpt", tmp_path / "trace")
    facts = RunFingerprint({}, 1).to_json()
    (run / "checkpoints" / "step-00000003.json").write_text(
        json.dumps({"step": 3, "files": {}, "facts": facts})
    )
    with pytest.raises(UserError, match="more than weights"):
        consolidate(run, tmp_path / "out")
    assert not (tmp_path / "trace").exists()


def test_consolidating_opens_a_codec_by_path_only_with_its_fingerprint(run, tmp_path):
    from omegaconf import OmegaConf

    from dia.config.train import TrainConfig

    config = TrainConfig(model=TINY)
    config.codec.name, config.ema.decay = "codec", 0.0
    (run / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.structured(config)))
    state = {f"network.{name}": tensor for name, tensor in DiaNetwork(TINY).state_dict().items()}
    (run / "checkpoints").mkdir()
    torch.save({"state_dict": state}, run / "checkpoints" / "step-00000003.ckpt")
    facts = RunFingerprint({}, 1).to_json()
    (run / "checkpoints" / "step-00000003.json").write_text(
        json.dumps({"step": 3, "files": {}, "facts": facts})
    )
    assert (
        consolidate(run, tmp_path / "exported") == 3
    )  # the run's own model names the codec and its fingerprint
    shutil.rmtree(run / "model")
    with pytest.raises(UserError, match="without its fingerprint"):
        consolidate(run, tmp_path / "out")
    assert consolidate(run, tmp_path / "given", "codec") == 3
    write_inputs(run, RunInputs({}, "codec", load_codec("codec").fingerprint))
    assert consolidate(run, tmp_path / "recorded") == 3
    del state["network.logits_dense.weight"]
    torch.save({"state_dict": state}, run / "checkpoints" / "step-00000003.ckpt")
    with pytest.raises(UserError, match=r"lacks network.logits_dense.weight"):
        consolidate(run, tmp_path / "out")


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", '{"data": 3}', '{"data": {"train": 3}}', '{"codec": 3}', "\0"]
)
def test_damaged_inputs_are_no_inputs(run, content):
    (run / "inputs.json").write_text(content)
    assert read_inputs(run) == RunInputs()


@pytest.mark.parametrize("text", ["run_name: ../x", "run_name: a/b", "run_name: '..'", "run_name: ''"])
def test_a_run_has_a_plain_name(text, tmp_path):
    from dia.config.compose import typed
    from dia.pipelines.check_config import config_problems

    config = typed(compose("train", [f"run_name={text.partition(': ')[2]}"]))
    assert any("plain folder name" in problem for problem in config_problems(config))


def test_a_recipe_or_declaration_file_names_no_program_and_resolves_nothing(tmp_path, monkeypatch):
    from dia.config.compose import typed

    monkeypatch.setenv("DIA_SECRET", "s3cret")
    recipe = tmp_path / "theirs.yaml"
    for content in (
        {"data": {"recordings": {"pyannote": "./evil"}}},
        {"engine": {"slurm": {"prologue": ["touch trace"]}}},
        {"engine": {"slurm": {"python": "./evil"}}},
    ):
        recipe.write_text(yaml.safe_dump(content))
        with pytest.raises(UserError, match="cannot name programs"):
            compose("train", [f"+recipe={recipe}"])
    recipe.write_text("run_name: ${oc.env:DIA_SECRET}\nseed: 3\n")
    config = typed(compose("train", [f"+recipe={recipe}"]))
    assert (config.run_name, config.seed) == ("${oc.env:DIA_SECRET}", 3)
    system = tmp_path / "system.yaml"
    system.write_text("name: ../../x\nclient: http\nbase_url: http://${oc.env:DIA_SECRET}\n")
    composed = typed(compose("record", [f"system={system}", "suite=voices"]))
    assert composed.system["base_url"] == "http://${oc.env:DIA_SECRET}"


def test_the_name_of_a_system_is_no_path():
    from dia.systems.declaration import parse_declaration
    from tests.systems.conftest import load_declared

    for name in ("../../x", "/x", "..", "a/b"):
        with pytest.raises(UserError, match="plain folder name"):
            parse_declaration(load_declared("folder", name=name))
