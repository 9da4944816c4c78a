"""Old names of keys work wherever they were stored, with a warning, and change nothing else."""

import json
import logging
from dataclasses import asdict

import pytest
from omegaconf import OmegaConf

from dia.checkpoint.adapter import _config_of
from dia.config.aliases import ALIASES, TRAIN_ALIASES, new_key, rename_flat, rename_nested
from dia.config.compose import SCHEMAS, compose, typed
from dia.config.keys import has_part, type_of
from dia.config.model import DiaConfig
from dia.config.stored import present_keys, read_run_config
from dia.config.train import CodecTrainConfig, TrainConfig
from dia.errors import UserError
from dia.sweep import read_arguments
from dia.training.checkpointing import newest
from dia.training.resume import IRRELEVANT_KEYS, RunFingerprint, incompatibilities, inexact_changes, relevant


@pytest.mark.parametrize(
    ("config", "old", "new"),
    [(name, old, new) for name, table in ALIASES.items() for old, new in table.items()],
)
def test_an_alias_names_a_key_that_exists_and_none_that_still_does(config, old, new):
    schemas = [SCHEMAS["train"], SCHEMAS["train_codec"]] if config == "train" else [SCHEMAS[config]]
    plain = new.removesuffix(".")
    assert any(type_of(plain, schema) is not None or has_part(plain, schema) for schema in schemas)
    assert not any(type_of(old.removesuffix("."), schema) is not None for schema in schemas)


def test_old_names_on_the_command_line_work_and_are_warned_of(caplog):
    old = ["trainer.accumulate=3", "average.decay=.5", "batch.short_epochs=2", "early_stop.goal=max",
           "early_stop.patience=2", "guard.stall_seconds=9", "optim.group_decay={head: 0.1}",
           "init=somewhere",
           "model.encoder={layers: 1, width: 16, inner_width: 32, heads: 2, head_width: 8}"]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        config = typed(compose("train", old))
    assert config.trainer.gradient_accumulation_steps == 3 and config.ema.decay == 0.5
    assert config.curriculum.epochs == 2 and config.early_stopping.mode == "max"
    assert config.early_stopping.patience == 2 and config.watchdog.timeout_seconds == 9
    assert config.optim.weight_decay_by_group == {"head": 0.1} and config.init_from == "somewhere"
    assert (config.model.encoder.hidden_size, config.model.encoder.head_dim) == (16, 8)
    assert "trainer.accumulate is now called trainer.gradient_accumulation_steps" in caplog.text
    assert "model.encoder.width is now called model.encoder.hidden_size" in caplog.text


def test_an_old_name_beside_its_new_one_is_refused():
    with pytest.raises(ValueError, match=r"batch\.frames and batch\.max_frames are the same key"):
        rename_nested({"batch": {"max_frames": 3, "frames": 4}}, TRAIN_ALIASES)


def old_run(task="dia"):
    """The config.yaml of a run of an earlier version: old names, and the keys of both tasks."""
    new = OmegaConf.to_container(OmegaConf.structured(TrainConfig())) | OmegaConf.to_container(
        OmegaConf.structured(CodecTrainConfig())
    )
    plain = json.loads(json.dumps(new | {"task": task}))
    back = {new: old for old, new in TRAIN_ALIASES.items() if not old.endswith(".")}
    back |= {"ema.decay": "average.decay", "early_stopping.patience": "early_stop.patience"}
    flat = {back.get(key, key): value for key, value in flatten(plain).items()}
    return OmegaConf.create(nested(flat))


def flatten(content, before=""):
    flat = {}
    for key, value in content.items():
        flat |= (
            flatten(value, f"{before}{key}.") if isinstance(value, dict) and value else {before + key: value}
        )
    return flat


def nested(flat):
    content = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        target = content
        for name in parents:
            target = target.setdefault(name, {})
        target[last] = value
    return content


def test_the_config_of_an_old_run_opens(tmp_path):
    content = old_run()
    assert "average" in content and "guard" in content and "spectral" in content
    path = tmp_path / "config.yaml"
    OmegaConf.save(content, path)
    assert read_run_config(path) == TrainConfig()
    OmegaConf.save(old_run("codec"), path)
    assert read_run_config(path) == CodecTrainConfig()


@pytest.mark.parametrize(("task", "schema"), [("dia", TrainConfig), ("codec", CodecTrainConfig)])
def test_a_run_of_an_earlier_version_resumes(tmp_path, task, schema):
    before = RunFingerprint(relevant_before(OmegaConf.to_container(old_run(task))), 1)
    now = RunFingerprint(
        relevant(json.loads(json.dumps(OmegaConf.to_container(OmegaConf.structured(schema()))))), 1
    )
    assert before.config != now.config
    (tmp_path / "step-00000003.ckpt").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    manifest = {"step": 3, "files": {"": empty}, "facts": before.to_json()}
    (tmp_path / "step-00000003.json").write_text(json.dumps(manifest))
    stored = newest(tmp_path).manifest.fingerprint
    assert incompatibilities(stored, now) == [] and inexact_changes(stored, now) == []


def relevant_before(content):
    """What the earlier version stored: without the keys that decide on no weight, under their old names."""
    left_out = {*IRRELEVANT_KEYS, "guard", "trainer.loader_processes"}
    return {
        key: value
        for key, value in flatten(content).items()
        if not any(f"{key}.".startswith(f"{name}.") for name in left_out)
    }


def test_a_stored_key_keeps_its_value():
    stored = {"task": "dia", "average.decay": 0.5, "spectral.hop": 3, "model.decoder.width": 8}
    assert present_keys(stored) == {
        "task": "dia", "ema.decay": 0.5, "model.decoder.hidden_size": 8,
    }  # fmt: skip
    assert (
        rename_flat({"init": "x"}) == {"init_from": "x"}
        and new_key("initializer_range", TRAIN_ALIASES) == "initializer_range"
    )


def test_an_adapter_of_an_earlier_version_opens():
    old = asdict(DiaConfig())
    for part in ("encoder", "decoder"):
        for was, now in (
            ("width", "hidden_size"),
            ("inner_width", "intermediate_size"),
            ("head_width", "head_dim"),
        ):
            old[part][was] = old[part].pop(now)
    old["encoder"]["vocabulary"] = old["encoder"].pop("vocab_size")
    old["decoder"]["cross_head_width"] = old["decoder"].pop("cross_head_dim")
    assert _config_of(old) == DiaConfig()


def test_an_unknown_key_of_a_stored_config_is_an_error(tmp_path):
    (tmp_path / "config.yaml").write_text("task: dia\ncolour: red\n")
    with pytest.raises(UserError, match="colour"):
        read_run_config(tmp_path / "config.yaml")
    with pytest.raises(UserError, match="colour"):
        compose("train", ["colour=red"])


def test_a_sweep_takes_old_names_in_its_own_keys_its_space_and_the_training(caplog):
    config, overrides = read_arguments(
        [
            "sweep.figure=validation/wer",
            "sweep.goal=max",
            "sweep.space={average.decay: [0, 0.9]}",
            "batch.frames=9",
        ]
    )
    assert (config.metric, config.mode) == ("validation/wer", "max") and overrides == ["batch.max_frames=9"]
    assert config.space == {"ema.decay": [0, 0.9]} and "average.decay is now called ema.decay" in caplog.text
