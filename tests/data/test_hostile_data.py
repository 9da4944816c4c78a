"""Prepared data, tables and declarations from someone else: names stay inside, nothing else is read."""

import json
import os
import shutil
import time

import pytest
import soundfile

from dia.config.data import DataConfig, SourceConfig
from dia.config.engine import EngineConfig
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared, require_intact, split_fingerprints
from dia.data.source import Tally
from dia.data.sources import patterns
from dia.data.sources.corpus import CorpusSource
from dia.data.sources.declaration import parse_declaration, read_declaration
from dia.data.sources.settings import open_source
from dia.data.sources.tables import open_table
from dia.errors import UserError
from tests.data.test_corpora import tone
from tests.payloads import opened_files

RATE = 16_000


def corpus(folder, *audio, text="[S1] Hello."):
    """Write a table whose rows name these files, a sound inside of the folder and one outside."""
    folder.mkdir(exist_ok=True)
    for path in (folder / "in.wav", folder.parent / "secret.wav"):
        soundfile.write(path, tone(), RATE)
    rows = [{"audio": str(name), "text": text, "split": "train"} for name in audio]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a small prepared data set."""
    folder = tmp_path_factory.mktemp("data")
    config = DataConfig(
        corpus="local",
        path=str(corpus(folder / "corpus", "in.wav")),
        name="small",
        root=str(folder / "prepared"),
    )
    return prepare(config, None, EngineConfig(workers=0))


@pytest.fixture
def copied(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "set")


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["../../secret.arrow", "{root}/secret.arrow", "link.arrow", 3, None])
def test_a_shard_outside_of_the_data_set_is_refused_by_name(copied, tmp_path, name):
    shutil.copy(
        copied / "train" / "data-00000.arrow", tmp_path / "secret.arrow"
    )  # would open if it were read
    (copied / "train" / "link.arrow").symlink_to("../../secret.arrow")
    name = name.format(root=tmp_path) if isinstance(name, str) else name
    change(copied / "train" / "state.json", lambda state: state["_data_files"].append({"filename": name}))
    with opened_files() as opened, pytest.raises(UserError, match="not a file inside"):
        open_prepared(copied)
    assert not any("secret" in path for path in opened)


@pytest.mark.parametrize("split", ["../../other", "{root}/other", ".", 3])
def test_a_split_outside_of_the_data_set_is_refused_by_name(copied, tmp_path, split):
    shutil.copytree(copied / "train", tmp_path / "other")
    split = split.format(root=tmp_path) if isinstance(split, str) else split
    change(copied / "dataset_dict.json", lambda content: content["splits"].append(split))
    with pytest.raises(UserError, match="not the name of a folder"):
        open_prepared(copied)


def test_columns_that_name_files_are_refused(copied):
    change(copied / "train" / "dataset_info.json", lambda info: info["features"]["audio"].update(decode=True))
    with pytest.raises(UserError, match="other columns"):
        open_prepared(copied)


@pytest.mark.parametrize(
    "file", ["dataset_dict.json", "train/state.json", "train/dataset_info.json", "dia.json"]
)
@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", "", "\0", '{"splits": 3}'])
def test_damaged_descriptions_are_one_message(copied, file, content):
    if file == "dia.json":
        from dia.data.prepared import read_card

        (copied / file).write_text(content)
        with pytest.raises(UserError, match="damaged"):
            read_card(copied)
        return
    (copied / file).write_text(content)
    if file == "train/dataset_info.json" and content in ("{}", '{"splits": 3}'):
        return  # the columns are those of the shards, which are compared as well
    with pytest.raises(UserError, match=r"damaged|columns"):
        open_prepared(copied)
    if file == "train/state.json":
        with pytest.raises(UserError, match="damaged"):
            split_fingerprints(copied)


def test_a_fifo_as_a_shard_is_refused(copied):
    (copied / "train" / "data-00000.arrow").unlink()
    os.mkfifo(copied / "train" / "data-00000.arrow")
    with pytest.raises(UserError, match="regular file"):
        open_prepared(copied)


def test_a_report_that_names_a_file_outside_is_refused(copied):
    report = copied / "reports" / "train" / "data-00000.json"
    change(report, lambda content: content.update(split="../../etc", name="passwd"))
    with pytest.raises(UserError, match=r"state\.json or a report is damaged"):
        require_intact(copied)


def read_rows(source):
    """Return the clips of a source, and the reason for each row that cannot be read."""
    clips, errors = [], []
    for unit in source.units():
        try:
            clips += source.read(unit, Tally())
        except UserError as error:
            errors.append(str(error))
    return clips, errors


@pytest.mark.parametrize("kind", ["parent", "absolute", "link", "through"])
def test_a_table_that_names_files_outside_is_refused_by_name(tmp_path, kind):
    folder = tmp_path / "corpus"
    names = {
        "parent": "../secret.wav",
        "absolute": str(tmp_path / "secret.wav"),
        "link": "link.wav",
        "through": "sub/secret.wav",
    }
    corpus(folder, "in.wav", names[kind], "real/../in.wav")
    (folder / "real").mkdir()
    (folder / "link.wav").symlink_to("../secret.wav")
    (folder / "sub").symlink_to("..")
    declared = read_declaration("local")
    with opened_files() as opened:
        clips, errors = read_rows(CorpusSource(declared, str(folder)))
    assert len(clips) == 2 and len(errors) == 1 and not any("secret" in path for path in opened)
    assert names[kind] in errors[0] and "outside of the folder" in errors[0]
    trusted, errors = read_rows(CorpusSource(declared, str(folder), outside=True))
    assert len(trusted) == 3 and not errors


def test_data_of_a_table_that_names_files_outside_are_not_prepared(tmp_path):
    folder = corpus(tmp_path / "corpus", "../secret.wav")
    with pytest.raises(UserError, match=r"data.outside=true: rows.jsonl:1 names ../secret.wav"):
        open_source(SourceConfig(corpus="local", path=str(folder))).request()
    open_source(SourceConfig(corpus="local", path=str(folder), outside=True)).request()


def test_a_table_that_is_a_link_outside_is_refused(tmp_path):
    folder = corpus(tmp_path / "corpus", "in.wav")
    (tmp_path / "theirs.jsonl").write_text((folder / "rows.jsonl").read_text())
    (folder / "rows.jsonl").unlink()
    (folder / "rows.jsonl").symlink_to("../theirs.jsonl")
    with pytest.raises(UserError, match=r"a symbolic link names 'rows.jsonl'"):
        list(open_table(read_declaration("local"), str(folder), False).units())


def test_a_parquet_row_that_names_a_file_outside_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    corpus(tmp_path / "corpus")
    (tmp_path / "corpus" / "rows.jsonl").unlink()
    rows = [{"audio": {"bytes": None, "path": str(tmp_path / "secret.wav")}, "text": "[S1] Hello."}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "corpus" / "train.parquet")
    declared = parse_declaration("theirs", BASE | {"hub": {"path": "owner/name"}, "roles": {"text": "text"}})
    clips, errors = read_rows(CorpusSource(declared, str(tmp_path / "corpus")))
    assert not clips and "data.outside=true" in errors[0]


@pytest.mark.parametrize("kind", ["parent", "absolute", "link", "through"])
@pytest.mark.parametrize("shape", ["structure", "path"])
def test_a_parquet_table_that_names_files_outside_is_refused_as_other_tables(tmp_path, kind, shape):
    folder = corpus(tmp_path / "corpus")
    (folder / "rows.jsonl").unlink()
    (folder / "link.wav").symlink_to("../secret.wav")
    (folder / "sub").symlink_to("..")
    outside = {
        "parent": "../secret.wav",
        "absolute": str(tmp_path / "secret.wav"),
        "link": "link.wav",
        "through": "sub/secret.wav",
    }[kind]
    write_parquet(folder / "rows.parquet", shape, {"in.wav": None, outside: None})
    with opened_files() as opened:
        with pytest.raises(
            UserError, match=r"outside of its folder.*data.outside=true: rows.parquet:2 names"
        ):
            open_source(SourceConfig(corpus="local", path=str(folder))).request()
        clips, errors = read_rows(CorpusSource(read_declaration("local"), str(folder)))
    assert len(clips) == 1 and len(errors) == 1 and "outside of the folder" in errors[0]
    assert not any("secret" in path or "link.wav" in path for path in opened)
    trusted, errors = read_rows(CorpusSource(read_declaration("local"), str(folder), outside=True))
    assert len(trusted) == 2 and not errors


def test_a_parquet_table_that_holds_its_audio_may_have_any_paths(tmp_path):
    folder = corpus(tmp_path / "corpus")
    (folder / "rows.jsonl").unlink()
    content = (folder / "in.wav").read_bytes()
    names = ["../secret.wav", str(tmp_path / "secret.wav"), "gone.wav", "a" * 5_000, "a\0b"]
    write_parquet(folder / "rows.parquet", "structure", dict.fromkeys(names, content))
    with opened_files() as opened:
        open_source(SourceConfig(corpus="local", path=str(folder))).request()
        clips, errors = read_rows(CorpusSource(read_declaration("local"), str(folder)))
    assert len(clips) == len(names) and not errors and not any("secret" in path for path in opened)


def write_parquet(path, shape, rows):
    """Write a table whose audio is a structure with bytes and path, or a path alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    structure = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    audio = {"structure": structure, "path": pa.string()}[shape]
    schema = pa.schema([("audio", audio), ("text", pa.string()), ("split", pa.string())])
    content = [
        {
            "audio": name if shape == "path" else {"bytes": held, "path": name},
            "text": f"[S1] Hello {number}.",
            "split": "train",
        }
        for number, (name, held) in enumerate(rows.items())
    ]
    pq.write_table(pa.Table.from_pylist(content, schema=schema), path)


@pytest.mark.parametrize("part", ["pattern", "strip", "names"])
def test_a_pattern_that_searches_for_ever_is_refused(tmp_path, part, monkeypatch):
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    pattern, text = "(a|aa)+$", "a" * 60 + "!"
    declared = parse_declaration(
        "theirs",
        BASE
        | {"files": {"manifest": "*.jsonl"}, "roles": {"text": "text"}}
        | {
            "pattern": {"marks": {"pattern": pattern}},
            "strip": {"marks": {"strip": [pattern]}},
            "names": {"names": {"pattern": pattern, "column": "text"}},
        }[part],
    )
    source = CorpusSource(declared, str(corpus(tmp_path / "corpus", "in.wav", text=text)))
    begin = time.process_time()
    clips, errors = read_rows(source)
    assert not clips and len(errors) == 1 and "takes more than 0.2 s for a text of 61" in errors[0]
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("pattern", ["(", "[a", "(?P<1>a)", "*"])
def test_a_pattern_that_is_none_is_refused_with_the_declaration(pattern):
    for part in (
        {"marks": {"pattern": pattern}},
        {"marks": {"strip": [pattern]}},
        {"names": {"pattern": pattern}},
    ):
        with pytest.raises(UserError, match="is no regular expression"):
            parse_declaration("theirs", BASE | {"hub": {"path": "a/b"}} | part)


BASE = {
    "title": "Theirs",
    "licence": "CC0",
    "commercial_ok": True,
    "uses": ["train"],
    "card": "none",
    "columns": {"audio": "audio", "text": "string"},
}


@pytest.mark.parametrize(
    "places, message",
    [
        ({"files": {"audio": "../*.wav"}}, "audio: ../*.wav"),
        ({"files": {"manifest": "*.csv|/etc/*"}}, "manifest: /etc/*"),
        ({"files": {"manifest": "*.csv", "sound": "../{id}.wav"}}, "sound: ../{id}.wav"),
        ({"hub": {"path": "../secret"}}, "hub.path"),
        ({"hub": {"path": "/etc"}}, "hub.path"),
        ({"hub": {"path": "a/b", "data_files": {"train": "https://example.org/x.tar"}}}, "example.org"),
        ({"hub": {"path": "a/b", "data_files": {"train": "/etc/*.tar"}}}, "/etc/"),
        ({"hub": {"path": "a/b"}, "name": "../x"}, "plain folder name"),
        ({"hub": {"path": "a/b"}, "title": "${oc.env:HOME}"}, ""),
    ],
)
def test_a_declaration_that_leads_outside_is_refused(places, message, monkeypatch):
    monkeypatch.setenv("HOME", "/secret")
    if not message:
        assert parse_declaration("theirs", BASE | places).title == "${oc.env:HOME}"
        return
    with pytest.raises(UserError) as caught:
        parse_declaration("theirs", BASE | places)
    assert message in str(caught.value)


def test_a_template_fills_cells_and_nothing_else(tmp_path):
    folder = corpus(tmp_path / "corpus", "in.wav")
    rows = [{"id": name, "text": "[S1] Hello."} for name in ("in", "../secret")]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    roles = {"roles": {"text": "text"}, "columns": {"id": "string", "text": "string"}}
    for template, read in (("{id}.wav", 1), ("{id.__class__}.wav", 0), ("{id:>1000000000}.wav", 0)):
        declared = parse_declaration(
            "theirs", BASE | roles | {"files": {"manifest": "*.jsonl", "sound": template}}
        )
        clips, errors = read_rows(CorpusSource(declared, str(folder)))
        assert len(clips) == read and len(errors) == 2 - read


def test_an_alias_bomb_as_a_declaration_is_refused(tmp_path):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    (tmp_path / "theirs.yaml").write_text(bomb)
    with pytest.raises(UserError, match="values"):
        read_declaration(str(tmp_path / "theirs.yaml"))
    (tmp_path / "theirs.yaml").unlink()
    os.mkfifo(tmp_path / "theirs.yaml")
    with pytest.raises(UserError):
        read_declaration(str(tmp_path / "theirs.yaml"))


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "/x"])
def test_names_that_are_paths_are_refused(name, tmp_path):
    assert any("plain folder name" in problem for problem in DataConfig(name=name).problems())
