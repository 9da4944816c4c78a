"""Preparation: identical bytes on every engine, resuming after a kill, and reports of unreadable units."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile

from dia.audio.files import write_audio
from dia.codecs.registry import load_codec
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.data.prepare import folder_of_request, prepare
from dia.data.prepared import README, open_prepared, parts_folder, read_card, require_intact
from dia.data.schema import FEATURES
from dia.data.shards import ShardJob, StorageFormat, build_shard
from dia.data.source import Unit
from dia.data.without_audio import store_without_audio
from dia.engines.run import Workers
from dia.errors import StorageError, UserError
from tests.data.gpu_job import gpu_of
from tests.processes import run_door

RATE = 16_000
CLIPS = 24


def make_corpus(folder, clips=CLIPS):
    """Audio files of different lengths with a table, some with tags and emotions."""
    folder.mkdir(exist_ok=True)
    rng, lines = np.random.default_rng(0), []
    for number in range(clips):
        waveform = 0.2 * rng.standard_normal(int(RATE * rng.uniform(0.3, 1.2))).astype(np.float32)
        write_audio(folder / f"{number:03d}.wav", waveform, RATE)
        text = f"[S1] Clip {number}." + (" (laughs)" if number % 3 == 0 else "")
        row = {
            "audio": f"{number:03d}.wav",
            "text": text,
            "split": "test" if number % 8 == 7 else "train",
            "emotion": "happy",
        }
        lines.append(json.dumps(row))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def config_for(corpus, root, **options):
    return DataConfig(
        corpus="local",
        name="local",
        path=str(corpus),
        root=str(root),
        shard_units=4,
        held_out=0.0,
        **options,
    )


def digest(folder):
    """Names and contents of all files of a data set."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "clips")


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory):
    folder = prepare(
        config_for(corpus, tmp_path_factory.mktemp("whole")),
        load_codec("codec_nano"),
        EngineConfig(workers=0),
    )
    return folder, digest(folder)


@pytest.mark.parametrize(
    "engine",
    [EngineConfig(workers=2), EngineConfig(kind="dask", workers=2), EngineConfig(kind="dask", workers=1)],
)
def test_every_engine_writes_the_same_bytes(engine, corpus, uninterrupted, tmp_path):
    folder = prepare(config_for(corpus, tmp_path), load_codec("codec_nano"), engine)
    assert folder.name == uninterrupted[0].name and digest(folder) == uninterrupted[1]


def test_a_prepared_data_set_opens_with_datasets_and_verifies_its_checksums(uninterrupted):
    folder, _ = uninterrupted
    rows = datasets.load_from_disk(str(folder))
    assert {split: len(split_rows) for split, split_rows in rows.items()} == {"train": 21, "test": 3}
    row = rows["train"][0]
    assert row["script"] == "[S1] Clip 0. (laughs)" and row["turns"][0]["emotions"][0]["origin"] == "human"
    assert np.array(row["codes"]).shape == (row["frames"], 8) and row["audio"]["bytes"][:4] == b"fLaC"
    require_intact(folder)
    assert "Clip 0" in (folder / "page.html").read_text()
    assert read_card(folder)["figures"]["tags"] == {"laughs": 8}


def test_a_prepared_data_set_opens_with_load_dataset(uninterrupted, tmp_path):
    folder = uninterrupted[0]
    opened = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    stored = datasets.load_from_disk(str(folder))
    assert set(opened) == set(stored) == {"train", "test"} and opened["train"].features == FEATURES
    for split, rows in stored.items():
        assert opened[split].to_list() == rows.to_list()
    streamed = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert [row["id"] for row in streamed] == stored["test"]["id"]


def test_a_copy_without_audio_is_what_a_preparation_without_audio_stores(uninterrupted, corpus, tmp_path):
    folder = shutil.copytree(uninterrupted[0], tmp_path / "copied" / uninterrupted[0].name)
    prepared = prepare(
        config_for(corpus, tmp_path / "prepared", keep_audio=False),
        load_codec("codec_nano"),
        EngineConfig(workers=0),
    )
    for _ in range(2):  # the second time it exists
        copy = store_without_audio(folder)
        assert copy.name == prepared.name and digest(copy) == digest(prepared)
    require_intact(copy)
    assert open_prepared(copy)["train"][0]["audio"]["bytes"] is None
    with pytest.raises(UserError, match="no prepared data set"):
        store_without_audio(tmp_path / "absent")


def test_a_prepared_data_set_is_tokenized_again(uninterrupted, tmp_path):
    folder, before = uninterrupted[0], open_prepared(uninterrupted[0])
    config = DataConfig(corpus="prepared", name="again", path=str(folder), root=str(tmp_path), shard_units=5)
    without = prepare(config, None, EngineConfig(workers=2))
    for split, rows in open_prepared(without).items():
        for row, stored in zip(rows, before[split], strict=True):
            changed = {"codes": [], "frames": 0, "codec": "none"}
            assert row == stored | changed
    stored = prepare(
        replace(config, name="other", path=str(without)), load_codec("codec_nano"), EngineConfig()
    )
    assert open_prepared(stored)["train"].to_list() == before["train"].to_list()
    assert folder_of_request(config, None) != folder_of_request(replace(config, path=str(stored)), None)


def test_a_data_set_without_audio_cannot_be_tokenized_again(uninterrupted, tmp_path):
    folder = store_without_audio(shutil.copytree(uninterrupted[0], tmp_path / uninterrupted[0].name))
    config = DataConfig(corpus="prepared", name="again", path=str(folder), root=str(tmp_path))
    with pytest.raises(UserError, match="has no audio"):
        prepare(config, None, EngineConfig(workers=0))
    assert "needs data.path" in DataConfig(corpus="prepared").problems()[0]


def test_a_data_set_without_a_readme_stays_valid(uninterrupted, corpus, tmp_path):
    folder = shutil.copytree(uninterrupted[0], tmp_path / uninterrupted[0].name)
    (folder / README).unlink()
    again = prepare(config_for(corpus, tmp_path), load_codec("codec_nano"), EngineConfig(workers=0))
    assert again == folder and not (folder / README).exists()
    require_intact(folder)
    assert len(open_prepared(folder)["train"]) == len(open_prepared(uninterrupted[0])["train"])


def test_damaged_shards_of_a_finished_data_set_are_listed(uninterrupted, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(uninterrupted[0], folder)
    shards = sorted(folder.glob("train/*.arrow"))
    shards[0].write_bytes(shards[0].read_bytes()[:-1] + b"?")
    shards[1].unlink()
    with pytest.raises(UserError, match=rf"(?s)2 files are damaged.*{shards[0].name}.*{shards[1].name}"):
        require_intact(folder)
    with pytest.raises(UserError, match="no prepared data set"):
        require_intact(tmp_path / "absent")


def test_codes_are_those_of_each_clip_alone(uninterrupted, corpus):
    import torch

    from dia.audio.files import read_audio
    from dia.codecs.protocol import pad_to_frames

    codec = load_codec("codec_nano")
    torch.set_num_threads(1)
    for row in datasets.load_from_disk(str(uninterrupted[0]))["train"].select(range(4)):
        name = row["id"].split("-")[-1]
        waveform = read_audio(corpus / f"{int(name.split(':')[-1]) - 1:03d}.wav", RATE)
        assert np.array_equal(
            codec.encode(pad_to_frames(torch.from_numpy(waveform)[None], codec.hop))[0].numpy(), row["codes"]
        )


def test_an_interrupted_preparation_resumes_and_rebuilds_damaged_shards(corpus, uninterrupted, tmp_path):
    codec, config = load_codec("codec_nano"), config_for(corpus, tmp_path)
    folder = prepare(config, codec, EngineConfig(workers=0))
    parts = parts_folder(folder)
    folder.rename(parts)
    shards = sorted(parts.glob("train/*.arrow"))
    shards[0].write_bytes(shards[0].read_bytes()[:-100])  # truncated
    shards[1].unlink()
    (parts / "train/.data-00001-0123").write_bytes(b"half")  # incomplete file of a killed process
    (parts / "reports/train/.data-00001.json-0123").write_text("{")
    (parts / "reports/train/data-00002.json").write_text("{")
    modified = shards[3].stat().st_mtime_ns
    assert prepare(config, codec, EngineConfig(workers=0)) == folder and digest(folder) == uninterrupted[1]
    assert (folder / "train" / shards[3].name).stat().st_mtime_ns == modified


def run(corpus, root, *options):
    command = ["data=corpus", "data.corpus=local", f"data.path={corpus}", f"data.root={root}"]
    return [*command, "data.shard_units=4", "data.held_out=0", *options]


def test_unreadable_units_are_reported_and_skipped(tmp_path):
    corpus = make_corpus(tmp_path / "clips", 8)
    (corpus / "empty.wav").write_bytes(b"")
    whole = (corpus / "000.wav").read_bytes()
    (corpus / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (corpus / "folder.wav").mkdir()
    (corpus / "text.wav").write_text("this is not audio")
    with (corpus / "rows.jsonl").open("ab") as table:
        for name in ("empty", "truncated", "folder", "text", "absent"):
            table.write(json.dumps({"audio": f"{name}.wav", "text": "[S1] Oh."}).encode() + b"\n")
        table.write(b'{"audio": "001.wav", "text": "[S1] caf\xe9"}\n{"audio": "001.wav"\n')
    done = run_door("prepare", *run(corpus, tmp_path / "out", "engine.workers=0"), cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    folder = next((tmp_path / "out").glob("local-*"))
    left_out = {item["id"]: item["error"] for item in read_card(folder)["left_out"]}
    expected = {
        9: "audio",
        10: "truncated",
        11: "Is a directory",
        12: "audio",
        13: "no audio file",
        14: "not UTF-8",
        15: "not JSON",
    }
    assert {int(name.split(":")[1]) for name in left_out} == set(expected)
    for line, reason in expected.items():
        assert reason in left_out[f"rows.jsonl:{line}"] and f"rows.jsonl:{line}" in done.stderr
    assert sum(len(rows) for rows in datasets.load_from_disk(str(folder)).values()) == 8


def test_all_unknown_labels_are_reported_at_once(tmp_path):
    corpus = make_corpus(tmp_path / "clips", 2)
    with (corpus / "rows.jsonl").open("a") as table:
        table.write(
            '{"audio": "000.wav", "text": "[S1] Oh (yodels)."}\n'
            '{"audio": "001.wav", "text": "[S1] Oh.", "emotion": "wistful"}\n'
        )
    done = run_door("prepare", *run(corpus, tmp_path / "out", "engine.workers=0"), cwd=tmp_path)
    assert (
        done.returncode == 2
        and "yodels" in done.stderr
        and "wistful" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_a_full_disk_is_reported_and_nothing_is_lost(corpus, uninterrupted, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = run_door("prepare", *run(corpus, disk, "data.name=local"), cwd=tmp_path)
        assert done.returncode == 2 and "No space left" in done.stderr and "Traceback" not in done.stderr, (
            done.stderr
        )
        parts = next(disk.glob(".local-*"))
        assert not list(parts.rglob(".data-*")), "an incomplete file remains"
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        done = run_door("prepare", *run(corpus, disk, "data.name=local"), cwd=tmp_path)
        assert done.returncode == 0 and digest(next(disk.glob("local-*"))) == uninterrupted[1]
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_audio_is_not_stored_below_the_sample_rate_of_the_codec(corpus, tmp_path):
    codec = load_codec("codec_nano")
    with pytest.raises(
        UserError, match=r"data\.sample_rate=8000 is below the .* hertz of.*set data\.sample_rate=16000"
    ):
        prepare(config_for(corpus, tmp_path, sample_rate=8000), codec, EngineConfig(workers=0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["local", "dask"])
def test_each_local_worker_has_its_own_gpu(kind, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    with Workers(EngineConfig(kind, 2), gpu_of, gpu=True) as workers:
        assert set(workers.run(range(6))) == {"4", "7"}


def test_a_missing_gpu_is_reported(corpus, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match=r"data\.device=cuda, but a worker has no GPU"):
        prepare(
            config_for(corpus, tmp_path, device="cuda"), load_codec("codec_nano"), EngineConfig(workers=0)
        )


def test_a_source_without_readable_units_is_an_error(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"audio": "absent.wav", "text": "[S1] Oh."}\n')
    with pytest.raises(UserError, match=r"absent\.wav"):
        prepare(config_for(tmp_path, tmp_path / "out"), None, EngineConfig(workers=0))
    soundfile.write(tmp_path / "absent.wav", np.zeros(1600), RATE)
    assert prepare(config_for(tmp_path, tmp_path / "out"), None, EngineConfig(workers=0)).is_dir()


class FullCache:
    """A source whose cache has no space."""

    def read(self, unit, tally):
        raise StorageError("cache cannot be written")


def test_a_full_disk_of_a_cache_is_no_unreadable_unit(tmp_path):
    storage = StorageFormat(RATE, False, "", "", "")
    job = ShardJob(str(tmp_path), "train", 0, FullCache(), (Unit("a", "train", None),), storage)
    job.path.parent.mkdir(parents=True)
    with pytest.raises(StorageError, match="cache cannot be written"):
        build_shard(job)
    assert not list(job.path.parent.iterdir())
