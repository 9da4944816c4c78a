"""Shards that the package ships are used instead of synthesizing their clips again."""

import shutil
import subprocess
import sys
import tarfile

import pytest

from dia.codecs.registry import load_codec
from dia.config.data import DataConfig, OpenEnglishConfig
from dia.config.engine import EngineConfig
from dia.data import prepare as preparation
from dia.data.prepare import prepare
from dia.data.prepared import read_card, require_intact
from dia.data.shipped_shards import pack_shards
from dia.data.sources.open_english import OpenEnglishSource
from dia.errors import UserError
from dia.resources import resource

from .test_prepare import digest

SMALL = {"train": 4, "validation": 2, "test": 3}
LARGE = {"train": 7, "validation": 2, "test": 4}


def prepared(root, clips, **options):
    corpus = OpenEnglishConfig(clips=clips, turns=[1.0], slow_voices=0.0, **options)
    config = DataConfig(
        corpus="open_english",
        name="open",
        root=str(root),
        shard_units=2,
        keep_audio=False,
        open_english=corpus,
    )
    return prepare(config, load_codec("codec_nano"), EngineConfig(workers=0))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The shards of the small data set as the only ones that are shipped, and the clips that are spoken."""
    monkeypatch.setattr(preparation, "resource", lambda name: tmp_path / name)
    small = prepared(tmp_path / "small", SMALL)
    target = tmp_path / "data" / "codes" / "open"
    archives = pack_shards(small, read_card(small)["request"], target)
    assert [path.name.partition("-")[0] for path in archives] == ["test", "train", "validation"]
    assert pack_shards(small, read_card(small)["request"], target) == []
    return target


@pytest.fixture
def spoken(monkeypatch):
    names, read = [], OpenEnglishSource.read

    def counted(source, unit, tally):
        names.append(unit.id)
        return read(source, unit, tally)

    monkeypatch.setattr(OpenEnglishSource, "read", counted)
    return names


def test_only_the_missing_shards_are_synthesized(shipped, spoken, tmp_path):
    folder = prepared(tmp_path / "shipped", LARGE)
    assert len(spoken) == sum(LARGE.values()) - 8
    shutil.rmtree(shipped)
    assert digest(prepared(tmp_path / "synthesized", LARGE)) == digest(folder)
    require_intact(folder)


def test_shards_of_another_request_are_not_used(shipped, spoken, tmp_path):
    folder = prepared(tmp_path / "other", SMALL, seed=1)
    assert len(spoken) == sum(SMALL.values())
    with pytest.raises(UserError, match="another request"):
        pack_shards(folder, read_card(folder)["request"], shipped)


def test_a_damaged_archive_is_an_error_or_its_shard_is_synthesized(shipped, spoken, tmp_path):
    archive = shipped / "test-00000.tar.xz"
    with tarfile.open(archive, "r:xz") as stored:
        stored.extractall(tmp_path / "files", filter="data")
    path = tmp_path / "files" / "test" / "data-00000.arrow"
    path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    with tarfile.open(archive, "w:xz") as changed:
        changed.add(tmp_path / "files", ".")
    with pytest.raises(UserError, match="no shard"):
        prepared(tmp_path / "strange", SMALL)
    with tarfile.open(archive, "w:xz") as changed:
        for file in (tmp_path / "files").rglob("data-*"):
            changed.add(file, str(file.relative_to(tmp_path / "files")))
    folder = prepared(tmp_path / "damaged", SMALL)
    assert len(spoken) == 3
    require_intact(folder)


def test_the_script_packs_the_shards_of_a_request(tmp_path):
    folder = prepared(tmp_path / "prepared", SMALL)
    script = resource("configs").parent / "scripts" / "ship_codes.py"
    clips = ", ".join(f"{split}: {size}" for split, size in SMALL.items())
    request = ["data=open_english", "codec=codec_nano", "data.keep_audio=false", "data.shard_units=2"]
    request += [f"data.root={folder.parent}", "data.name=open", "data.open_english.turns=[1.0]"]
    request += [f"data.open_english.clips={{{clips}}}", "data.open_english.slow_voices=0"]
    request += ["data.open_english.tags=[laughs,coughs,sighs,humming]", "data.open_english.tag_rate=0.4"]
    command = [sys.executable, str(script), str(tmp_path / "packed"), *request]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "packed").glob("*.tar.xz"))) == 3
    refused = subprocess.run([*command, "data.keep_audio=true"], capture_output=True, text=True, timeout=300)
    assert refused.returncode == 2 and "only codes are shipped" in refused.stderr
