"""Read every declared corpus from a small data set in the documented schema, as files and streamed."""

import io
import json
import os
import tarfile
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, Features, List, Value

from dia.audio.files import flac_bytes
from dia.config.data import SourceConfig, corpora
from dia.data.clip import script_of
from dia.data.source import Tally
from dia.data.sources.corpus import CorpusSource
from dia.data.sources.declaration import parse_declaration, read_declaration
from dia.data.sources.row_reader import nearest_boundary
from dia.data.sources.settings import open_source
from dia.errors import UserError
from dia.resources import declaration

RATE = 16_000
KINDS = {"string": Value("string"), "int": Value("int64"), "float": Value("float32"), "bool": Value("bool")}
LISTS = {
    "speaker_ids": List(Value("int64")), "turn_ids": List(Value("int64")), "texts": List(Value("string")),
    "audio_cut_idxs": List(List(Value("int64"))), "non_verbal_region": List(Value("float32")),
}  # fmt: skip


def tone(seconds=1.0):
    return (0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.05)).astype(np.float32)


def sound(name="x.wav", seconds=1.0):
    return {"bytes": flac_bytes(tone(seconds), RATE), "path": name}


# rows in the documented columns, with the expected scripts, emotion labels and reasons for dropping
HUB = {
    "nonverbal_tts": (
        [
            {
                "index": "a", "Result": "Well \U0001f923\ufe0f that was \U0001f32c fun",
                "Emotion": "happy", "dnsmos": 3.5,
            },
            {"index": "b", "Result": "So tired \U0001f634", "Emotion": "neutral", "dnsmos": 3.5},
            {"index": "c", "Result": "Bad sound", "Emotion": "sad", "dnsmos": 2.0},
        ],
        ["[S1] Well (laughs) that was fun"], ["happy"],
        ["\U0001f634: snore has no tag", "dnsmos is below 3"],
    ),
    "nonverbal_speech_38k": (
        [
            {
                "caption": "I told you <B>[laughing]</B> not to.", "language": "en",
                "non_verbal_region": [0.25, 0.5],
            },
            {"caption": "Oh [yawn] dear.", "language": "en", "non_verbal_region": [0.1, 0.2]},
            {"caption": "Ni hao [sigh].", "language": "zh", "non_verbal_region": [0.1, 0.2]},
        ],
        ["[S1] I told you (laughs) not to."], [],
        ["yawn: has no tag", "language is not en or EN or English or english"],
    ),
    "expresso": (
        [
            {"text": "It is late.", "speaker_id": "ex01", "style": "whisper", "id": "1"},
            {"text": "It is so late.", "speaker_id": "ex02", "style": "laughing", "id": "2"},
            {"text": "It was.", "speaker_id": "ex02", "style": "default", "id": "3"},
        ],
        ["[S1] It is late.", "[S1] It is so late.", "[S1] It was."], ["whispering", "amused"], [],
    ),
    "disfluency_speech": (
        [{
            "transcript_annotated": "{F Uh, } [ I + I ] thought <laughter> so / {D well }",
            "transcript_a": "x",
        }],
        ["[S1] Uh, I I thought (laughs) so well"], [], [],
    ),
    "dailytalk": (
        [
            {
                "conversation_id": "7", "speaker_ids": [1, 0, 0], "turn_ids": [0, 1, 2],
                "texts": ["Hi.", "Hello.", "How are you?"],
                "audio_cut_idxs": [[0, 32_000], [32_000, 64_000], [64_000, 96_000]],
                "audio": sound(seconds=6),
            }
        ],
        ["[S1] Hi. [S2] Hello. How are you?"], [], [],
    ),
    "libritts_r": (
        [{
            "text_normalized": "A quiet night.", "speaker_id": "84", "path": "p", "chapter_id": "1",
            "id": "84_1",
        }],
        ["[S1] A quiet night."] * 3, [], [],  # of each training part
    ),
    "crema_d": (
        [{"file": "1001_DFA_ANG_HI.wav", "emotion": "anger", "label": 0}],
        ["[S1] Don't forget a jacket."], ["angry"], [],
    ),
    "iemocap": (
        [
            {"file": "Ses01F_impro01_M003.wav", "transcription": "Excuse me. [LAUGHTER]"}
            | {"major_emotion": "frustrated"}
            | {"EmoAct": 5.0, "EmoVal": 1.0, "EmoDom": 3.0}
        ],
        ["[S1] Excuse me."], ["frustrated"], [],
    ),
}  # fmt: skip


def hub_folder(name, rows, folder):
    """Write rows like a local copy of a Hub repository: parquet files and a card of configs and splits."""
    declared = read_declaration(name)
    kinds = {
        column: LISTS.get(column) or (Audio() if kind == "audio" else KINDS[kind])
        for column, kind in declared.columns.items()
    }
    filled = [
        {column: row.get(column, sound() if column == "audio" else None) for column in declared.columns}
        for row in rows
    ]
    table = pa.Table.from_pylist(
        filled, Features(kinds).arrow_schema
    )  # `datasets` itself needs torchcodec to write audio
    files = []
    for split in dict.fromkeys("+".join(declared.splits.values()).split("+")):
        path = f"data/{split}-00000-of-00001.parquet"
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(table, folder / path)
        files.append({"split": split, "path": path})
    config = {"config_name": declared.hub.config or "default", "data_files": files}
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps([config])}\n---\n")
    return declared


def read_all(source):
    tally = Tally()
    clips = [clip for unit in source.units() if unit.split == "train" for clip in source.read(unit, tally)]
    return clips, tally


def scripts(clips):
    return [
        script_of([asdict(t) for t in clip.turns], [asdict(n) for n in clip.nonverbals]).render()
        for clip in clips
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", sorted(HUB))
def test_rows_of_the_hub_become_clips(name, streaming, tmp_path):
    rows, wanted, emotions, reasons = HUB[name]
    declared = hub_folder(name, rows, tmp_path)
    clips, tally = read_all(CorpusSource(declared, str(tmp_path), streaming=streaming))
    assert scripts(clips) == wanted and not tally.unknown
    labels = [emotion.label for clip in clips for emotion in clip.turns[0].emotions]
    assert labels == emotions
    assert [item["reason"] for item in tally.dropped] == reasons
    assert all(
        clip.commercial_ok == declared.commercial_ok and clip.licence == declared.licence for clip in clips
    )
    assert all(clip.sample_rate == RATE and len(clip.waveform) for clip in clips)


def test_scales_and_times_are_stored(tmp_path):
    for name in ("iemocap", "nonverbal_speech_38k", "dailytalk", "crema_d"):
        (tmp_path / name).mkdir()
    emotion = read_all(
        CorpusSource(
            hub_folder("iemocap", HUB["iemocap"][0], tmp_path / "iemocap"), str(tmp_path / "iemocap")
        )
    )[0]
    label = emotion[0].turns[0].emotions[0]
    assert (label.arousal, label.valence, label.dominance, label.origin) == (1.0, -1.0, 0.0, "human")
    name = "nonverbal_speech_38k"
    laugh = read_all(CorpusSource(hub_folder(name, HUB[name][0], tmp_path / name), str(tmp_path / name)))[0][
        0
    ].nonverbals[0]
    assert (laugh.tag, laugh.start, laugh.end) == ("laughs", 0.25, 0.5)
    talk = read_all(
        CorpusSource(
            hub_folder("dailytalk", HUB["dailytalk"][0], tmp_path / "dailytalk"), str(tmp_path / "dailytalk")
        )
    )[0]
    assert [(turn.start, turn.end, turn.voice) for turn in talk[0].turns] == [
        (0.0, 2.0, "1"),
        (2.0, 6.0, "0"),
    ]
    assert (
        emotion[0].turns[0].voice == "Ses01M"
    )  # an actor, where the column `gender` is all women or all men
    acted = read_all(
        CorpusSource(
            hub_folder("crema_d", HUB["crema_d"][0], tmp_path / "crema_d"), str(tmp_path / "crema_d")
        )
    )[0][0]
    assert acted.turns[0].voice == "1001" and acted.turns[0].emotions[0].intensity == pytest.approx(0.9)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_web_data_set_is_read_by_its_json_members(streaming, tmp_path):
    declared = read_declaration("emilia_yodas")
    folder = tmp_path / "Emilia-YODAS/EN"
    folder.mkdir(parents=True)
    fields = {
        "id": "EN_1",
        "wav": "EN_1.mp3",
        "text": "Good morning.",
        "duration": 1.0,
        "speaker": "EN_S1",
        "language": "en",
        "dnsmos": 3.4,
        "phone_count": 12,
    }
    with tarfile.open(folder / "EN-B000000.tar", "w") as archive:
        for number in range(3):
            fields["dnsmos"] = 3.4 - number
            add_member(archive, f"EN_{number}.mp3", encoded("MP3"))
            add_member(archive, f"EN_{number}.json", json.dumps(fields).encode())
    clips, tally = read_all(CorpusSource(declared, str(tmp_path), streaming=streaming))
    assert scripts(clips) == ["[S1] Good morning."] and len(tally.dropped) == 2
    assert clips[0].turns[0].voice == "EN_S1"


def encoded(kind):
    file = io.BytesIO()
    soundfile.write(file, tone(), RATE, format=kind)
    return file.getvalue()


def add_member(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("unpacked", [False, True])
def test_opendialog_is_read_in_the_layout_of_its_loader(unpacked, tmp_path):
    """A manifest per language with `id`, `text` and `path`, and MP3 files in tars below `audio/en`."""
    (tmp_path / "audio/en").mkdir(parents=True)
    rows = [
        {
            "id": f"en_{number}",
            "text": f"[S1] Good morning. [S2] Oh, hello {number}.",
            "path": f"audio/en/{number}.mp3",
        }
        for number in range(3)
    ]
    (tmp_path / "manifest.en.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "manifest.zh.jsonl").write_text(json.dumps(rows[0] | {"text": "[S1] Ni hao."}) + "\n")
    if unpacked:
        for number in range(3):
            (tmp_path / f"audio/en/{number}.mp3").write_bytes(encoded("MP3"))
    else:
        for part, numbers in ((0, (0, 1)), (1, (2,))):
            with tarfile.open(tmp_path / f"audio/en/en_{part}.tar", "w") as archive:
                for number in numbers:
                    add_member(archive, f"{number}.mp3", encoded("MP3"))
    source = CorpusSource(read_declaration("opendialog"), str(tmp_path))
    source.request()
    clips, tally = read_all(source)
    assert scripts(clips) == [row["text"] for row in rows] and not tally.dropped
    assert [clip.id for clip in clips] == [f"opendialog-en_{number}" for number in range(3)]
    assert all(0.9 < clip.seconds < 1.2 for clip in clips)


FILES = {
    "ravdess": (
        ["Actor_12/03-01-06-02-02-01-12.wav"], None, ["[S1] Dogs are sitting by the door."], ["fearful"], [],
    ),
    "vocalsound": (
        ["f0003_0_laughter.wav", "m0001_0_cough.wav"], None, ["[S1] (laughs)", "[S1] (coughs)"], [], [],
    ),
    "meld": (
        ["train_splits/dia0_utt3.wav"],
        ("train_sent_emo.csv",
         "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,"
         "EndTime\n"
         '1,"Oh, my God! It\u0092s Ross.",Rachel,surprise,negative,0,3,8,21,"00:16:16,059","00:16:21,731"\n'),
        ["[S1] Oh, my God! It\u2019s Ross."], ["surprised"], [],
    ),
    "smiip_nv": (
        ["MIC-0001/happy/MIC-0001_0048.wav"],
        ("MIC-0001/happy/annotation.txt", "MIC-0001_0048.wav|one two three four|laughter 0.9 1.0\n"),
        ["[S1] one two three four (laughs)"], ["happy"], [],
    ),
    "emov_db": (
        ["a.wav", "b.wav"],
        ("clips.csv",
         "audio,text,speaker,emotion\na.wav,Hello there.,bea,Amused\nb.wav,Go away.,bea,angry\n"),
        ["[S1] Go away."], ["angry"], ["emotion is not neutral or angry or anger or disgusted or disgust"],
    ),
    "local": (
        ["a.wav", "b.wav"],
        ("rows.jsonl",
         '{"audio": "a.wav", "text": "[S1] Oh. (Laughing) [S2] Yes.", "emotion": "happy", "valence": 0.5}\n'
         '{"audio": "b.wav", "text": "Just words (and more).", "events": "coughs 0.0 0.2", '
         '"commercial_ok": true}\n'),
        ["[S1] Oh. (laughs) [S2] Yes.", "[S1] (coughs) Just words."], ["happy"], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_become_clips(name, tmp_path):
    sounds, table, wanted, emotions, reasons = FILES[name]
    for path in sounds:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / path, tone(), RATE)
    if table:
        (tmp_path / table[0]).write_text(table[1], encoding="utf-8")
    clips, tally = read_all(CorpusSource(read_declaration(name), str(tmp_path), unknown="drop_tag"))
    assert scripts(clips) == wanted
    assert [emotion.label for clip in clips for emotion in clip.turns[0].emotions] == emotions
    assert [item["reason"] for item in tally.dropped] == reasons
    if name == "local":
        assert [clip.commercial_ok for clip in clips] == [False, True]


def test_a_changed_local_copy_is_read_again(tmp_path):
    rows = HUB["expresso"][0]
    for text in ("It is early.", "It is noon."):
        declared = hub_folder("expresso", [rows[0] | {"text": text}], tmp_path)
        source = CorpusSource(declared, str(tmp_path))
        before = source.request()
        assert scripts(read_all(source)[0]) == [f"[S1] {text}"]
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    assert source.request() == before


def test_every_corpus_is_tested():
    tested = {*HUB, *FILES, "emilia_yodas", "opendialog"}
    assert tested == set(corpora())


def test_unknown_labels_are_an_error_by_default_and_are_counted_on_request(tmp_path):
    rows = [{**HUB["nonverbal_speech_38k"][0][0], "caption": "Oh [hiccup] no [hiccup]."}]
    declared = hub_folder("nonverbal_speech_38k", rows, tmp_path)
    for unknown, clips_left, counted in (
        ("raise", 1, {"hiccup": 2}),
        ("drop_tag", 1, {}),
        ("drop_clip", 0, {}),
    ):
        clips, tally = read_all(CorpusSource(declared, str(tmp_path), unknown=unknown))
        assert len(clips) == clips_left and tally.unknown == Counter(counted)
    assert tally.dropped[0]["reason"] == "hiccup has no mapping"


def test_a_corpus_that_lacks_a_column_is_refused(tmp_path):
    declared = hub_folder("expresso", HUB["expresso"][0], tmp_path)
    with pytest.raises(UserError, match="lacks the columns accent"):
        list(
            CorpusSource(
                replace(declared, columns={**declared.columns, "accent": "string"}), str(tmp_path)
            ).units()
        )


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["expresso", "emilia_yodas"])
def test_damaged_files_of_a_corpus_are_reported(name, streaming, tmp_path):
    if name == "expresso":
        declared = hub_folder(name, HUB[name][0], tmp_path)
        paths = list(tmp_path.glob("data/*.parquet"))
    else:
        declared, paths = read_declaration(name), [tmp_path / "Emilia-YODAS/EN/EN-B000000.tar"]
        paths[0].parent.mkdir(parents=True)
        paths[0].write_bytes(b"no archive" * 200)
    for path in paths:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cannot be loaded|failed after row -1"):
        list(CorpusSource(declared, str(tmp_path), streaming=streaming).units())


def test_a_row_with_damaged_audio_is_reported(tmp_path):
    rows = [{**HUB["expresso"][0][0], "audio": {"bytes": b"RIFF", "path": "x.wav"}}]
    source = CorpusSource(hub_folder("expresso", rows, tmp_path), str(tmp_path))
    with pytest.raises(UserError, match="cannot be read as audio"):
        read_all(source)


def test_licence_and_use_are_enforced(tmp_path):
    for options, reason in (
        ({"corpus": "expresso", "licence": "commercial"}, "does not permit commercial use"),
        ({"corpus": "crema_d"}, "may only be used for evaluation"),
        ({"corpus": "vocalsound"}, "may only be used for evaluation"),
        (
            {"corpus": "recordings", "licence": "commercial", "path": str(tmp_path)},
            "does not permit commercial use",
        ),
    ):
        with pytest.raises(UserError, match=reason):
            open_source(SourceConfig(**options)).request()
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    (tmp_path / "rows.jsonl").write_text(
        '{"audio": "a.wav", "text": "Hello."}\n{"audio": "a.wav", "text": "Hi.", "commercial_ok": true}\n'
    )
    clips, tally = read_all(
        open_source(SourceConfig(corpus="local", path=str(tmp_path), licence="commercial"))
    )
    assert (
        len(clips) == 1 and tally.dropped[0]["reason"] == "the licence unknown does not permit commercial use"
    )


def test_all_mistakes_of_a_declaration_are_reported_at_once():
    content = declaration("data/corpora/expresso.yaml")
    with pytest.raises(UserError, match=r"\(giggles\) is not a tag"):
        parse_declaration("x", content | {"marks": {"tags": {"giggle": "giggles"}}, "layout": "clip"})
    with pytest.raises(UserError, match="colums"):
        parse_declaration("x", content | {"colums": {}})


def test_a_nonverbal_is_placed_at_the_nearest_word():
    text = "one two three four"
    assert [nearest_boundary(text, share) for share in (0.0, 0.25, 0.5, 1.0)] == [0, 4, 8, 18]
