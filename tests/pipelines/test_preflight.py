"""What cannot be trained is told whole, before anything is loaded or written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from dia.codecs.protocol import CodecShape
from dia.codecs.registry import codec_shape, load_codec
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.compose import compose
from dia.config.engine import EngineConfig
from dia.data.prepare import prepare
from dia.errors import UserError
from dia.pipelines import train_dia as dia_run
from dia.pipelines.preflight import as_plain, preflight
from dia.training.resume import RunFingerprint, relevant
from tests.conftest import TINY_CODEC
from tests.training.whole_runs import TINY_RUN, make_noise


def config_of(*overrides):
    return OmegaConf.to_object(compose("train", [*TINY_RUN, *overrides]))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with a corpus, prepared with codec_nano, and `other`, prepared with a codec of four channels
    of 32 codes.
    """
    monkeypatch.chdir(tmp_path)
    make_noise(tmp_path)
    data = config_of().data
    prepare(data, load_codec("codec_nano"), EngineConfig(workers=0))
    torch.manual_seed(0)
    save_spectral(SpectralNetwork(TINY_CODEC), tmp_path / "codec")
    prepare(replace(data, root="other"), load_codec("codec"), EngineConfig(workers=0))
    return tmp_path


def leave_a_checkpoint(config, world, **facts):
    """What a run of so many processes leaves behind: a checkpoint that says so."""
    checkpoints = Path(config.runs, config.run_name, "checkpoints")
    checkpoints.mkdir(parents=True)
    (checkpoints.parent / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.structured(config)))
    (checkpoints / "step-00000003.ckpt").write_bytes(b"")
    facts = RunFingerprint(relevant(as_plain(config)), world, **facts).to_json()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (checkpoints / "step-00000003.json").write_text(
        json.dumps({"step": 3, "files": {"": empty}, "facts": facts})
    )


def times(folder):
    """Return the times of all files but the stored checksums."""
    caches = {".checksums", ".verified"}
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if not caches & set(path.parts)}


def test_all_problems_come_in_one_message_before_anything_is_loaded(work, monkeypatch):
    other = next((work / "other").glob("noise-*")).relative_to(work)
    bad = config_of(
        "batch.max_frames=20",
        f"mix={{{other}: 0.3}}",
        "model.delays=[0,1,2]",
        "trainer.steps=0",
        "batch.text_dropout=1",
    )
    leave_a_checkpoint(bad, 2)
    for name in ("load_codec", "open_data", "build_model"):
        monkeypatch.setattr(dia_run, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    before = times(work)
    with pytest.raises(UserError) as caught:
        dia_run.train_dia(bad)
    for part in (
        "batch.max_frames=20 is below the longest clip of prepared/noise-",  # the data of the run
        f"batch.max_frames=20 is below the longest clip of {other}",  # what is mixed in
        f"{other} is tokenized with the codec codec, not with codec_nano",
        "the model has 3 channels (model.delays) of 512 codes (model.decoder.codebook_size), but the codec "
        "codec_nano has 8 of 512",
        "the number of processes was 2, is 1",
        "trainer.steps=0",
        "batch.text_dropout=1",
    ):
        assert part in str(caught.value), f"{part!r} is not in:\n{caught.value}"
    assert times(work) == before


def test_what_only_the_data_tell_comes_before_the_network(work, monkeypatch):
    """The data are not there yet, so nobody can know how long they are before they are prepared."""
    monkeypatch.setattr(dia_run, "build_model", lambda *_: pytest.fail("a network was made"))
    with pytest.raises(UserError, match=r"batch.max_frames=20 is below the longest clip"):
        dia_run.train_dia(config_of("batch.max_frames=20", "data.root=elsewhere"))
    assert not (work / "runs").exists()


@pytest.mark.parametrize(
    ("environment", "overrides", "said"),
    [
        ({}, ["trainer=ddp"], "torchrun --nproc-per-node=GPUS"),
        (
            {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "RANK": "0"},
            [],
            "torchrun started 4 processes; choose trainer=ddp",
        ),
        (
            {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "0"},
            ["trainer=fsdp2", "trainer.devices=8"],
            "devices=8, but",
        ),
    ],
)
def test_processes_that_do_not_match_the_trainer_are_reported(
    work, monkeypatch, environment, overrides, said
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        preflight(config_of(*overrides))


def test_processes_and_data_that_go_together_are_ready(work, monkeypatch):
    for name, value in {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    ready = preflight(config_of("trainer=ddp", "trainer.accelerator=cpu"))
    assert (ready.processes.world_size, ready.processes.nodes, ready.processes.rank) == (
        4,
        2,
        3,
    ) and ready.fingerprint.world_size == 4


def test_a_codec_shape_is_the_codecs_own(work):
    for name in ("codec_nano", "codec"):
        codec = load_codec(name)
        assert codec_shape(name) == CodecShape(
            codec.channels, codec.codebook_size, codec.sample_rate, codec.hop
        )
    with pytest.raises(UserError, match="no codec"):
        codec_shape("nope")


def test_shapes_without_anything_are_told():
    config = config_of("model.decoder.key_value_heads=0", "model.delays=[]").model
    assert config.problems() == ["decoder.key_value_heads=0 must be 1 or more"]


@pytest.mark.parametrize(("world", "taken"), [(1, 3), (2, 1)])
def test_threads_are_those_of_the_checkpoint_where_a_run_goes_on_exactly(work, world, taken):
    config = config_of("resume=true")
    leave_a_checkpoint(config, world, threads=3)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert preflight(config).fingerprint.threads == torch.get_num_threads() == taken
    finally:
        torch.set_num_threads(before)
