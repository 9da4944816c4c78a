"""A prepared data set is opened only if it is what was stored, and is read once to find that out."""

import json
import os
import random
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dia.data.integrity
from dia.codecs.registry import load_codec
from dia.config.engine import EngineConfig
from dia.data.integrity import code_problems, verify_prepared
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared, read_card, require_intact
from dia.errors import UserError
from dia.files import file_sha256
from tests.data.test_prepare import config_for, make_corpus
from tests.faults import ended, forked, obey_permissions, read_only


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("integrity")
    corpus = make_corpus(folder / "clips", 16)
    return prepare(config_for(corpus, folder), load_codec("codec_nano"), EngineConfig(workers=0))


@pytest.fixture
def copied(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("DIA_HOME", str(tmp_path / "home"))
    return shutil.copytree(prepared, tmp_path / "copy")


@pytest.fixture
def hashed(monkeypatch):
    """The files whose checksum was computed."""
    names = []

    def record(path):
        names.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(dia.data.integrity, "file_sha256", record)
    return names


def test_files_are_read_once_while_they_do_not_change(copied, hashed):
    shards = sorted(copied.glob("*/*.arrow"))
    open_prepared(copied)
    assert len(hashed) == len(shards)
    open_prepared(copied)
    assert len(hashed) == len(shards), "the second time costs nothing"
    os.utime(shards[0], (1, 1))
    open_prepared(copied)
    assert len(hashed) == len(shards) + 1
    require_intact(copied)
    assert len(hashed) == 2 * len(shards) + 1, "`dia.prepare` reads everything"


@pytest.mark.parametrize("byte", [0, 0.3, 0.6, 0.999])
def test_one_changed_byte_is_noticed_even_if_size_and_time_are_kept(copied, byte):
    open_prepared(copied)
    shard = sorted(copied.glob("train/*.arrow"))[0]
    before, content = shard.stat(), bytearray(shard.read_bytes())
    content[int(byte * (len(content) - 1))] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match=r"1 files are damaged.*\n  - train/data-00000.arrow: differs"):
        open_prepared(copied)


def test_changed_codes_are_noticed(copied):
    shard = sorted(copied.glob("train/*.arrow"))[0]
    rewrite(shard, lambda codes: [[[0] * len(frame) for frame in clip] for clip in codes])
    with pytest.raises(UserError, match="differs from its checksum"):
        open_prepared(copied)


def test_exchanged_splits_are_noticed(copied):
    train, test = copied / "train" / "data-00000.arrow", copied / "test" / "data-00000.arrow"
    train.rename(copied / "x")
    test.rename(train)
    (copied / "x").rename(test)
    with pytest.raises(UserError, match=r"(?s)2 files.*test/data-00000.*train/data-00000"):
        open_prepared(copied)


def test_exchanged_splits_with_their_reports_are_noticed(copied):
    for kind in ("", "reports/"):
        for name in os.listdir(copied / f"{kind}test"):
            if name.endswith((".arrow", ".json")) and name.startswith("data-"):
                shutil.copy(copied / f"{kind}test" / name, copied / f"{kind}train" / name)
    with pytest.raises(UserError, match=r"train: state.json or a report is damaged"):
        open_prepared(copied)


def test_a_state_that_lists_files_of_another_split_is_refused(copied):
    path = copied / "train" / "state.json"
    state = json.loads(path.read_text())
    state["_data_files"] = [{"filename": "../test/data-00000.arrow"}]
    path.write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"state\.json names '../test/data-00000.arrow', which is not"):
        open_prepared(copied)


def test_a_missing_shard_and_a_missing_split_are_named(copied):
    (copied / "train" / "data-00001.arrow").unlink()
    shutil.rmtree(copied / "test")
    with pytest.raises(UserError, match=r"(?s)2 files.*splits.*train/data-00001.arrow: is missing"):
        require_intact(copied)
    with pytest.raises(UserError, match="is damaged"):
        open_prepared(copied)


@settings(max_examples=25)
@given(st.data())
def test_random_bytes_in_any_file_give_one_message_or_no_change(prepared, tmp_path_factory, data):
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("random") / "copy")
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".html", ".md")
    )
    path = data.draw(st.sampled_from(files))
    path.write_bytes(data.draw(st.binary(max_size=300)))
    try:
        for rows in open_prepared(folder).values():
            _ = rows[0]
        read_card(folder)
    except UserError as error:
        assert str(folder) in str(error)
    else:
        pytest.fail(f"{path.relative_to(folder)} was not noticed")


def rewrite(shard, change):
    """Write a shard anew with other codes."""
    with pa.ipc.open_stream(shard.read_bytes()) as stream:
        table = stream.read_all()
    place = table.schema.get_field_index("codes")
    codes = pa.array(change(table["codes"].to_pylist()), table.schema.field("codes").type)
    table = table.set_column(place, table.schema.field("codes"), codes)
    with pa.OSFile(str(shard), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def sign(folder):
    """Make the checksums those of the files, as somebody who prepares bad data would."""
    import hashlib

    for split in ("train", "test"):
        digests = []
        for path in sorted((folder / "reports" / split).glob("*.json")):
            report = json.loads(path.read_text())
            report["sha256"] = file_sha256(folder / split / f"{path.stem}.arrow")
            digests.append(report["sha256"])
            path.write_text(json.dumps(report))
        state = json.loads((folder / split / "state.json").read_text())
        state["_fingerprint"] = hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
        (folder / split / "state.json").write_text(json.dumps(state))


def test_codes_out_of_range_are_refused_though_their_checksum_is_right(copied):
    codec = load_codec("codec_nano")
    assert code_problems(copied, codec.channels, codec.codebook_size) == []
    shard = copied / "train" / "data-00001.arrow"
    rewrite(shard, lambda codes: [[[*frame[:-1], 512] for frame in clip] for clip in codes])
    sign(copied)
    (problem,) = code_problems(copied, codec.channels, codec.codebook_size)
    assert "codes up to 512, but the codebook has 512 entries" in problem
    rewrite(shard, lambda codes: [[frame[:-1] for frame in clip] for clip in codes])
    sign(copied)
    (problem,) = code_problems(copied, codec.channels, codec.codebook_size)
    assert "codes of 7 to 8 channels, 8 are needed" in problem


def test_a_shard_that_is_none_is_refused_though_its_checksum_is_right(copied):
    (copied / "train" / "data-00000.arrow").write_bytes(random.Random(0).randbytes(5000))
    sign(copied)
    with pytest.raises(UserError, match=r"train/data-00000\.arrow: cannot be read"):
        open_prepared(copied)


def test_largest_code_and_channels_are_those_of_all_rows(copied):
    rows = [np.array(row["codes"]) for split in open_prepared(copied).values() for row in split]
    files = verify_prepared(copied)
    assert max(file.largest_code for file in files) == max(codes.max() for codes in rows)
    assert {file.most_channels for file in files} == {file.fewest_channels for file in files} == {8}


def open_read_only(folder, home):
    os.environ["DIA_HOME"] = str(home)
    obey_permissions()
    assert len(open_prepared(folder)["test"])


def test_read_only_data_and_a_read_only_home_are_no_obstacle(copied, tmp_path):
    home = tmp_path / "locked"
    home.mkdir()
    before = sorted(copied.rglob("*"))
    with read_only(home), read_only(copied), read_only(copied / "train"):
        assert ended(forked(open_read_only, copied, home)) == 0
    assert sorted(copied.rglob("*")) == before and not list(home.iterdir())


def test_stored_results_that_are_damaged_are_read_again(copied, hashed, tmp_path):
    open_prepared(copied)
    count = len(hashed)
    (stored,) = (tmp_path / "home" / "outputs" / ".verified").iterdir()
    for content in (b"", b"[]", b'{"files": {"train/data-00000.arrow": {"size": 1}}}', b"\xff"):
        stored.write_bytes(content)
        open_prepared(copied)
        count += len(list(copied.glob("*/*.arrow")))
        assert len(hashed) == count
