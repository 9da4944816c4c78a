"""A user's own table in the forms in use: each is read, or refused with the remedy before any work."""

import json
import os
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Dataset, DatasetDict, Features, Value

from dia.audio.files import flac_bytes, write_audio
from dia.config.choices import TooLong
from dia.config.data import DataConfig, SourceConfig
from dia.config.engine import EngineConfig
from dia.data.clip import script_of
from dia.data.length_limits import LengthLimits
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared
from dia.data.source import Tally
from dia.data.sources.settings import open_source
from dia.errors import UserError

RATE = 8_000
TONE = (0.3 * np.sin(np.arange(RATE) * 0.3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A folder with the audio files a.wav to d.wav and LJ-1.wav, LJ-2.wav in `wavs`."""
    folder = tmp_path / "mine"
    (folder / "wavs").mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        write_audio(folder / f"{name}.wav", TONE, RATE)
    for name in ("LJ-1", "LJ-2"):
        write_audio(folder / "wavs" / f"{name}.wav", TONE, RATE)
    return folder


def source_of(folder, **options):
    return open_source(SourceConfig(corpus="local", path=str(folder), held_out=0.0, **options))


def clips_of(folder, **options):
    """Return the clips by split; every unit must be read."""
    source, tally, clips = source_of(folder, **options), Tally(), {}
    source.request()  # checks the tables
    source.check(LengthLimits())
    for unit in source.units():
        clips.setdefault(unit.split, []).extend(source.read(unit, tally))
    return clips


def texts(folder, **options):
    return [script(clip) for clips in clips_of(folder, **options).values() for clip in clips]


def script(clip):
    return script_of([asdict(t) for t in clip.turns], [asdict(n) for n in clip.nonverbals]).render()


HELLO = ["[S1] Hello there.", "[S1] And you?"]
FORMS = {
    "commas": ("t.csv", "audio,text\na.wav,Hello there.\nb.wav,And you?\n"),
    "the names of AudioFolder": ("metadata.csv", "file_name,text\na.wav,Hello there.\nb.wav,And you?\n"),
    "transcription": ("metadata.csv", "file_name,transcription\na.wav,Hello there.\nb.wav,And you?\n"),
    "Coqui": ("metadata.csv", "audio_file|text|speaker_name\na.wav|Hello there.|anna\nb.wav|And you?|anna\n"),
    "pipes": ("t.csv", "audio|text\na.wav|Hello there.\nb.wav|And you?\n"),
    "semicolons, marked and named by Excel": (
        "t.csv", "\ufeffsep=;\r\naudio;text\r\na.wav;Hello there.\r\nb.wav;And you?\r\n",
    ),
    "letter case and spaces": ("t.csv", "Audio , TEXT\na.wav,Hello there.\nb.wav,And you?\n"),
    "tabs": ("t.tsv", "path\tsentence\na.wav\tHello there.\nb.wav\tAnd you?\n"),
    "Mac line ends": ("t.csv", "audio,text\ra.wav,Hello there.\rb.wav,And you?\r"),
    "a header of another order": ("t.csv", "text,audio\nHello there.,a.wav\nAnd you?,b.wav\n"),
    "empty lines": ("t.csv", "\n\naudio,text\n\na.wav,Hello there.\n\nb.wav,And you?\n\n\n"),
    "LJSpeech": ("metadata.csv", "LJ-1|Hello 1.|Hello there.\nLJ-2|And U?|And you?\n"),
    "no header": ("metadata.csv", "LJ-1|Hello there.\nLJ-2|And you?\n"),
    "a speaker in the middle": ("train.txt", "wavs/LJ-1.wav|0|Hello there.\nwavs/LJ-2.wav|1|And you?\n"),
    "a speaker at the end": ("train_list.txt", "LJ-1.wav|Hello there.|0\nLJ-2.wav|And you?|1\n"),
    "paths of Windows": ("t.csv", "audio,text\nwavs\\LJ-1.wav,Hello there.\n.\\b.wav,And you?\n"),
    "paths from another folder": ("t.csv", "audio,text\nLJ-1,Hello there.\nLJ-2.wav,And you?\n"),
    "JSON Lines": (
        "t.jsonl", '{"audio": "a.wav", "text": "Hello there."}\n{"audio": "b.wav", "text": "And you?"}\n',
    ),
    "NeMo": (
        "manifest.json",
        '{"audio_filepath": "a.wav", "duration": 9.0, "text": "Hello there."}\n'
        '{"audio_filepath": "b.wav", "duration": 9.0, "text": "And you?"}\n',
    ),
    "a JSON list": (
        "t.json", '[{"audio": "a.wav", "text": "Hello there."}, {"file": "b.wav", "sentence": "And you?"}]',
    ),
    "a JSON list inside": (
        "t.json",
        '{"data": [{"audio": "a.wav", "text": "Hello there."}, {"audio": "b.wav", "text": "And you?"}]}',
    ),
    "JSON texts by name": ("t.json", '{"a.wav": "Hello there.", "b": {"text": "And you?"}}'),
}  # fmt: skip


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_forms_in_use_are_read(form, encoding, folder):
    name, content = FORMS[form]
    if (encoding == "utf-16" and name.endswith("jsonl")) or (form == "NeMo" and encoding == "utf-16"):
        pytest.skip("JSON Lines are UTF-8")
    (folder / name).write_bytes(content.removeprefix("\ufeff").encode(encoding))
    (folder / "README.txt").write_text("Recorded in May.\n")
    assert texts(folder) == HELLO


def test_a_text_file_beside_each_recording_is_a_table(folder):
    (folder / "a.txt").write_text("Hello there.\n", encoding="utf-8-sig")
    (folder / "wavs/LJ-1.txt").write_text("And you?")
    assert texts(folder) == HELLO


def test_cells_may_hold_line_breaks_delimiters_and_quotation_marks(folder):
    (folder / "t.csv").write_text(
        'audio,text\na.wav,"Hello,\nthere.\n\n"\nb.wav,"She said ""no"", twice."\nc.wav,5\'11" tall\n'
    )
    assert texts(folder) == ["[S1] Hello, there.", '[S1] She said "no", twice.', "[S1] 5'11\" tall"]
    (folder / "t.csv").unlink()
    (folder / "t.tsv").write_text('audio\ttext\na.wav\t"Hello\nthere."\nb.wav\tyes\n')
    assert texts(folder) == ["[S1] Hello there.", "[S1] yes"]
    (folder / "t.tsv").unlink()
    (folder / "metadata.csv").write_text('LJ-1|He said "Hello.\nLJ-2|"Well", yes"\n')
    assert texts(folder) == ['[S1] He said "Hello.', '[S1] "Well", yes"']


REFUSED = {
    "cp1252": ("t.csv", "audio,text\na.wav,Caf\xe9\n".encode("cp1252"), r"line 2 has the byte 0xe9.*iconv"),
    "a comma in a text": (
        "t.csv",
        b"audio,text\na.wav,Hello there\nb.wav,Oh, you\n",
        r"1 lines do not have 2 cells.*lines 3\).*quotes",
    ),
    "a missing quotation mark": (
        "t.csv",
        b'audio,text\na.wav,"Hello, there\nb.wav,And you\n',
        r"do not have 2 cells|1 lines",
    ),
    "no audio column": (
        "t.csv",
        b"sound,text\na.wav,Hello.\n",
        r"columns sound, text.*`audio` and `text`.*data\.path=FOLDER/TABLE",
    ),
    "no text column": (
        "t.jsonl",
        b'{"audio": "a.wav", "words": "Hi."}\n',
        r"column is missing: text \(text, sentence",
    ),
    "a misspelt column": (
        "t.csv",
        b"audio,text,emotions\na.wav,Hi.,happy\n",
        r"column emotions is not read; rename it to emotion",
    ),
    "another misspelt column": (
        "t.jsonl",
        b'{"audio": "a.wav", "text": "Hi.", "Spekaer": "a"}\n',
        r"Spekaer is not read; rename it to speaker",
    ),
    "an unknown split": (
        "t.csv",
        b"audio,text,split\na.wav,Hi.,fold3\n",
        r"split 'fold3' is not one of train, validation, test",
    ),
    "files that are nowhere": (
        "t.csv",
        b"audio,text\nx.wav,Hi.\ny.wav,No.\n",
        r"none of the audio files exists.*x\.wav",
    ),
    "an absolute path": (
        "t.csv",
        b"audio,text\n/etc/hostname,Hi.\n",
        r"outside of its folder.*data\.outside=true.*hostname",
    ),
    "a path that leaves": (
        "t.csv",
        b"audio,text\n../../x.wav,Hi.\n",
        r"outside of its folder.*data\.outside=true",
    ),
    "no table": ("notes.md", b"nothing", r"contains no \*\.jsonl, .*docs/finetuning\.md"),
    "no header and a riddle": (
        "t.csv",
        b"LJ-1|yes|no\nLJ-2|no|yes\n",
        r"no header.*is not clear.*audio\|text\|speaker",
    ),
    "no header and many columns": ("t.csv", b"LJ-1|a b|c|d\n", r"no header.*4 cells.*audio\|text\|speaker"),
    "JSON of something else": ("config.json", b'{"layers": 3}', r"is no table: write a list of objects"),
    "broken JSON": ("t.json", b"[{", r"is not JSON"),
    "broken Parquet": ("t.parquet", b"PAR1 no", r"is damaged"),
}


@pytest.mark.parametrize("mistake", sorted(REFUSED))
def test_a_mistake_is_reported_before_anything_is_prepared(mistake, folder, tmp_path):
    name, content, message = REFUSED[mistake]
    (folder / name).write_bytes(content)
    config = DataConfig(corpus="local", name="local", path=str(folder), root=str(tmp_path / "out"))
    with pytest.raises(UserError, match=f"(?s){message}"):
        prepare(config, None, EngineConfig(workers=0))
    assert not (tmp_path / "out").exists()


def test_several_mistakes_are_reported_together(folder):
    (folder / "t.csv").write_text(
        "audio,text,emotions,split\na.wav,Hi.,happy,train\n/etc/passwd,No.,sad,sometimes\nb.wav,No.,sad,never\n"
    )
    with pytest.raises(UserError, match=r"(?s)emotions.*/etc/passwd.*never") as caught:
        source_of(folder).request()
    assert str(caught.value).count("\n  - ") == 3


def test_what_lies_outside_needs_permission(folder, tmp_path):
    (tmp_path / "other").mkdir()
    write_audio(tmp_path / "other" / "x.wav", TONE, RATE)
    os.symlink(tmp_path / "other" / "x.wav", folder / "link.wav")
    for named in (str(tmp_path / "other/x.wav"), "../other/x.wav", "link.wav"):
        (folder / "t.csv").write_text(f"audio,text\n{named},Hello there.\na.wav,And you?\n")
        with pytest.raises(UserError, match=r"data\.outside=true"):
            source_of(folder).request()
        assert texts(folder, outside=True) == HELLO
    (folder / "t.csv").write_text(f"audio,text\n{folder / 'a.wav'},Hello there.\nb.wav,And you?\n")
    assert texts(folder) == HELLO


def test_a_row_cannot_name_the_bytes_of_another_file(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(flac_bytes(TONE, RATE))
    rows = [
        {"audio": {"path": str(secret), "bytes": None}, "text": "Hi."},
        {"audio": {"archive": str(secret), "offset": 0, "size": 9999, "path": "x"}, "text": "Hi."},
        {"audio": {"arrow": str(secret), "row": 1, "column": "audio"}, "text": "Hi."},
        {"audio": "a.wav", "text": "Hi.", "__split__": "test", "__error__": "no"},
    ]
    for row in rows[:3]:
        (folder / "t.jsonl").write_text(json.dumps(row) + "\n")
        with pytest.raises(UserError):
            list(clips_of(folder))
            source = source_of(folder)
            for unit in source.units():
                source.read(unit, Tally())
    write_parquet(folder / "t.parquet", [{"path": str(secret), "bytes": None}], ["Hi."])
    (folder / "t.jsonl").unlink()
    with pytest.raises(UserError, match=r"outside of its folder.*data\.outside=true: t.parquet:1"):
        clips_of(folder)


SPLITS = [
    ("train", "train"),
    ("Train", "train"),
    ("training", "train"),
    ("val", "validation"),
    ("VAL", "validation"),
    ("valid", "validation"),
    ("dev", "validation"),
    ("Validation", "validation"),
    ("eval", "validation"),
    ("test", "test"),
    (" Test ", "test"),
]


@pytest.mark.parametrize(("stated", "split"), SPLITS)
def test_names_of_splits_are_understood(stated, split, folder):
    (folder / "t.csv").write_text(f"audio,text,split\na.wav,Hello there.,{stated}\n")
    assert list(clips_of(folder)) == [split]


def test_tables_and_folders_state_splits_by_name(folder):
    (folder / "train.csv").write_text("audio,text\na.wav,Hello there.\n")
    (folder / "metadata_val.csv").write_text("audio,text\nb.wav,And you?\n")
    assert {split: len(clips) for split, clips in clips_of(folder).items()} == {"train": 1, "validation": 1}
    for path in folder.glob("*.csv"):
        path.unlink()
    for split, name in (("train", "x"), ("test", "y")):  # AudioFolder
        (folder / split).mkdir()
        write_audio(folder / split / f"{name}.wav", TONE, RATE)
        (folder / split / "metadata.csv").write_text(f"file_name,text\n{name}.wav,Hi.\n")
    assert list(clips_of(folder)) == ["test", "train"]


def test_a_single_table_may_have_any_name(folder):
    (folder / "test.csv").write_text("audio,text\na.wav,Hello there.\nb.wav,And you?\n")
    assert list(clips_of(folder)) == ["train"]


def test_several_tables_of_the_same_clips_need_a_choice(folder):
    (folder / "metadata.csv").write_text("audio,text\na.wav,Hello there.\nb.wav,And you?\n")
    (folder / "train.csv").write_text("audio,text\na.wav,Hello there.\n")
    with pytest.raises(
        UserError, match=r"several tables list the same audio.*data\.path=FOLDER/TABLE.*a\.wav"
    ):
        source_of(folder).request()
    assert texts(folder / "metadata.csv") == HELLO


def test_validation_is_held_out_where_there_is_none(folder):
    (folder / "t.csv").write_text("audio,text\na.wav,Hi.\nb.wav,Hi.\nc.wav,Hi.\nd.wav,Hi.\n")
    source = open_source(SourceConfig(corpus="local", path=str(folder)))
    splits = {unit.id: unit.split for unit in source.units()}
    assert sorted(splits.values()) == ["train", "train", "train", "validation"]
    assert {unit.id: unit.split for unit in source.units()} == splits
    (folder / "t.csv").write_text("audio,text,split\na.wav,Hi.,train\nb.wav,Hi.,dev\n")
    source = open_source(SourceConfig(corpus="local", path=str(folder)))
    assert [unit.split for unit in source.units()] == ["train", "validation"]


def test_no_recording_and_no_speaker_is_in_two_splits(folder):
    parts = "".join(
        f"{name}.wav,Hi.,{begin / 10},{begin / 10 + 0.1}\n" for name in "abcd" for begin in range(8)
    )
    (folder / "t.csv").write_text(f"audio,text,start,end\n{parts}")
    source = open_source(SourceConfig(corpus="local", path=str(folder)))
    by_audio = {}
    for unit in source.units():
        by_audio.setdefault(unit.content["audio"], set()).add(unit.split)
    assert all(len(splits) == 1 for splits in by_audio.values()) and {"validation"} in by_audio.values()
    rows = "".join(f"{'abcd'[number % 4]}.wav,Hi.,voice {number % 40}\n" for number in range(400))
    (folder / "t.csv").write_text(f"audio,text,speaker\n{rows}")
    source = open_source(SourceConfig(corpus="local", path=str(folder), held_out=0.1))
    by_speaker = {}
    for unit in source.units():
        by_speaker.setdefault(unit.content["speaker"], set()).add(unit.split)
    assert all(len(splits) == 1 for splits in by_speaker.values())
    assert 1 <= sum(splits == {"validation"} for splits in by_speaker.values()) <= 12


def test_without_a_speaker_there_is_no_voice(folder):
    (folder / "t.csv").write_text("audio,text\na.wav,Hello there.\n")
    assert clips_of(folder)["train"][0].turns[0].voice == ""
    (folder / "t.csv").write_text("audio,text,Speaker\na.wav,Hello there.,\nb.wav,Hi.,anna\n")
    assert [clip.turns[0].voice for clip in clips_of(folder)["train"]] == ["", "anna"]


@pytest.mark.parametrize("named", ["anna;ben", '"anna, ben"', '"[""anna"", ""ben""]"'])
def test_a_dialogue_has_the_voices_of_its_speakers(named, folder):
    (folder / "t.csv").write_text(f"audio,text,speakers\na.wav,[S1] Hi. [S2] Yes? [S1] No.,{named}\n")
    assert [turn.voice for turn in clips_of(folder)["train"][0].turns] == ["anna", "ben", "anna"]


def test_a_speaker_without_a_voice_is_reported(folder):
    (folder / "t.csv").write_text("audio,text,speakers\na.wav,[S1] Hi. [S2] Yes?,anna\n")
    with pytest.raises(UserError, match=r"names 1 voices \(anna\), but the text has \[S2\]"):
        clips_of(folder)


def test_own_labels_are_mapped(folder):
    (folder / "t.csv").write_text("audio,text,emotion\na.wav,Hi (Giggling hard).,JOY\nb.wav,No.,meh\n")
    with pytest.raises(
        UserError, match=r"(?s)without a mapping.*data\.labels=.*'Giggling hard'.*'JOY'.*'meh'"
    ):
        clips_of(folder)
    labels = {"joy": "happy", "giggling hard": "laughs", "Meh": None}
    clips = clips_of(folder, labels=labels)["train"]
    assert script(clips[0]) == "[S1] Hi (laughs)."
    assert [emotion.label for clip in clips for emotion in clip.turns[0].emotions] == ["happy"]
    assert DataConfig(corpus="local", labels=labels).problems() == []
    assert "glad, which is neither" in DataConfig(corpus="local", labels={"joy": "glad"}).problems()[0]


@pytest.mark.parametrize(
    ("start", "end", "samples"),
    [
        ("0.25", "0.75", 4000),
        ("0,25", "", 6000),
        ("", "0.5", 4000),
        ("0:00:00.5", "0:01", 4000),
        ("", "", 8000),
    ],
)
def test_a_clip_may_be_a_part_of_its_audio(start, end, samples, folder):
    (folder / "t.csv").write_text(f"audio;text;start;end\na.wav;Hi.;{start};{end}\n")
    assert len(clips_of(folder)["train"][0].waveform) == samples


def test_parts_that_are_none_are_reported(folder):
    for start, end, message in (
        ("0.5", "9", "does not lie in"),
        ("0.7", "0.2", "does not lie"),
        ("x", "", "no number"),
    ):
        (folder / "t.csv").write_text(f"audio,text,start,end\na.wav,Hi.,{start},{end}\n")
        with pytest.raises(UserError, match=message):
            clips_of(folder)


def test_numbers_may_have_a_comma_and_must_lie_on_their_scale(folder):
    (folder / "t.csv").write_text("audio;text;valence\na.wav;Hi.;0,5\n")
    assert clips_of(folder)["train"][0].turns[0].emotions[0].valence == pytest.approx(0.5)
    for value, message in (
        ("4", "valence=4 is outside of -1 to 1"),
        ("good", "no number"),
        ("inf", "not finite"),
    ):
        (folder / "t.csv").write_text(f"audio;text;valence\na.wav;Hi.;{value}\n")
        with pytest.raises(UserError, match=message):
            clips_of(folder)


def test_characters_that_no_model_reads_are_removed(folder):
    rows = [
        {"audio": "a.wav", "text": "It\x92s\x01 late\u200b.\ttoo"},
        {"audio": "b.wav", "text": "a\ud800b"},
    ]
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source, tally = source_of(folder), Tally()
    units = list(source.units())
    assert script(source.read(units[0], tally)[0]) == "[S1] It\u2019s late. too"
    with pytest.raises(UserError, match="lone surrogate"):
        source.read(units[1], tally)


def write_parquet(path, audio, sentences, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    features = Features(
        {"audio": Audio(), "text": Value("string")} | {name: Value("string") for name in columns}
    )
    content = {"audio": audio, "text": sentences, **columns}
    rows = [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]
    pq.write_table(pa.Table.from_pylist(rows, features.arrow_schema), path, row_group_size=2)


def encoded(count):
    return [{"bytes": flac_bytes(TONE * (0.1 + 0.1 * number), RATE), "path": None} for number in range(count)]


def test_parquet_is_read_as_datasets_writes_it(folder):
    write_parquet(folder / "data/train-00000-of-00001.parquet", encoded(5), ["Hi."] * 5, speaker=["anna"] * 5)
    write_parquet(folder / "data/validation-00000-of-00001.parquet", encoded(1), ["Yes."], speaker=["ben"])
    clips = clips_of(folder)
    assert {split: len(clips[split]) for split in clips} == {"train": 5, "validation": 1}
    peaks = [float(np.abs(clip.waveform).max()) for clip in clips["train"]]
    assert peaks == pytest.approx([0.03 * (1 + number) for number in range(5)], abs=1e-3)
    assert clips["validation"][0].turns[0].voice == "ben"


def test_a_folder_of_datasets_is_read(folder):
    # `datasets` itself needs torchcodec to write audio
    kind = {"bytes": Value("binary"), "path": Value("string")}
    features = Features({"audio": kind, "sentence": Value("string")})
    splits = {
        name: Dataset.from_list([{"audio": item, "sentence": "Hi."} for item in encoded(count)], features)
        for name, count in (("train", 3), ("test", 1))
    }
    DatasetDict(splits).save_to_disk(str(folder / "saved"))
    clips = clips_of(folder / "saved")
    assert {split: len(clips[split]) for split in clips} == {"train": 3, "test": 1}
    splits["train"].save_to_disk(str(folder / "one"))
    assert len(clips_of(folder / "one")["train"]) == 3


def test_audio_beside_parquet_is_found(folder):
    write_parquet(folder / "t.parquet", [{"path": "a.wav", "bytes": None}], ["Hi."])
    assert len(clips_of(folder)["train"][0].waveform) == RATE


def test_the_identity_of_a_folder_is_its_content(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DIA_HOME", str(tmp_path / "home"))
    (folder / "t.csv").write_text("audio,text\na.wav,Hello there.\nb.wav,And you?\n")
    before = source_of(folder).request()
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    (folder / "notes.md").write_text("not part of the data")
    assert source_of(folder).request() == before
    cached = list((tmp_path / "home").rglob("*.json"))
    content = (folder / "a.wav").read_bytes()
    (folder / "a.wav").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # the same size
    assert source_of(folder).request() != before
    (folder / "a.wav").write_bytes(content)
    assert source_of(folder).request() == before
    folder.rename(tmp_path / "moved")
    assert source_of(tmp_path / "moved").request() == before and len(cached) <= 1


def test_a_checksum_is_computed_once(folder, tmp_path, monkeypatch):
    from dia.data import content

    monkeypatch.setenv("DIA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(content, "SETTLED", 0)
    first = content.content_digest(folder, folder.rglob("*.wav"))
    monkeypatch.setattr(content, "file_sha256", lambda path: pytest.fail(f"{path} is read again"))
    assert content.content_digest(folder, folder.rglob("*.wav")) == first
    next((tmp_path / "home").rglob("*.json")).write_text("{")
    monkeypatch.undo()
    monkeypatch.setenv("DIA_HOME", str(tmp_path / "home"))
    assert content.content_digest(folder, folder.rglob("*.wav")) == first


def test_long_texts_are_named_or_skipped(folder, tmp_path):
    (folder / "t.csv").write_text(f"audio,text\na.wav,Hello there.\nb.wav,{'so ' * 200}\nc.wav,{'é' * 40}\n")
    config = DataConfig(
        corpus="local", name="local", path=str(folder), root=str(tmp_path), max_text_bytes=64, held_out=0.0
    )
    message = r"(?s)2 texts are longer than the 64 bytes.*data\.too_long=skip.*t\.csv:3.*t\.csv:4"
    with pytest.raises(UserError, match=message):
        prepare(config, None, EngineConfig(workers=0))
    assert not list(tmp_path.glob("*local*"))
    config.too_long = TooLong.skip
    rows = open_prepared(prepare(config, None, EngineConfig(workers=0)))["train"]
    assert [row["script"] for row in rows] == ["[S1] Hello there."]


def test_a_training_names_what_it_lacks_and_reads_a_table_of_two_columns(folder, tmp_path):
    from dia.config.train import TrainConfig
    from dia.data.prepare import missing_splits
    from dia.pipelines.preflight import needed_splits

    (folder / "t.csv").write_text("audio,text\na.wav,Hello there.\nb.wav,And you?\n")
    config = DataConfig(corpus="local", path=str(folder), root=str(tmp_path))
    assert missing_splits(config, needed_splits(TrainConfig())) == []
    config.held_out = 0.0
    assert missing_splits(config, needed_splits(TrainConfig())) == ["validation"]
