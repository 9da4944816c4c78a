"""A YAML declaration is enough to add a corpus; its path is used from preparation to the preview page."""

import numpy as np
import pytest

from dia.audio.files import write_audio
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared, read_card
from dia.data.sources.declaration import read_declaration
from dia.errors import UserError

RATE = 16_000
DECLARATION = r"""
title: Kitchen talk
licence: CC-BY-4.0
commercial_ok: true
uses: [train]
card: https://example.org/kitchen-talk
files: {manifest: "*.csv"}
splits: {train: train, test: test}
columns: {audio: path, text: string, split: string, speaker: string, mood: string}
roles: {text: text, voice: speaker, split: split}
marks: {pattern: '<(\w+)>', tags: {laugh: laughs}, drop: {breath: breath has no tag}}
emotion: {column: mood, labels: {glad: happy, "": null}}
"""
TABLE = """audio,text,split,speaker,mood
0.wav,Hello there. <laugh>,train,anna,glad
1.wav,Well <breath> then.,train,ben,
2.wav,So it goes.,test,anna,glad
"""


def write_corpus(folder):
    """Three clips of noise with a table, in a folder outside the package."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        write_audio(folder / f"{number}.wav", 0.1 * rng.standard_normal(RATE).astype(np.float32), RATE)
    (folder / "clips.csv").write_text(TABLE)
    return folder


def test_a_declaration_file_adds_a_corpus_from_preparation_to_preview(tmp_path):
    declaration = tmp_path / "kitchen_talk.yaml"
    declaration.write_text(DECLARATION)
    config = DataConfig(
        corpus=str(declaration),
        name=str(declaration),  # the value that `data=corpus` sets
        path=str(write_corpus(tmp_path / "copy")),
        root=str(tmp_path / "prepared"),
        held_out=0.0,
    )
    assert config.problems() == []
    folder = prepare(config, None, EngineConfig(workers=0))
    assert folder.parent == tmp_path / "prepared" and folder.name.startswith("kitchen_talk-")
    train = open_prepared(folder)["train"]
    assert [row["script"] for row in train] == ["[S1] Hello there. (laughs)", "[S1] Well then."]
    assert {row["source"] for row in train} == {"kitchen_talk"}
    assert train[0]["turns"][0]["emotions"][0]["label"] == "happy" and train[0]["turns"][0]["voice"] == "anna"
    assert read_card(folder)["figures"]["clips"] == {"test": 1, "train": 2}
    page = (folder / "page.html").read_text()
    assert page.count("<audio") == 3 + 1 and '<meta name="viewport"' in page
    assert 'Hello there. <span class="tag">(laughs)</span>' in page
    assert prepare(config, None, EngineConfig(workers=0)) == folder


def test_the_place_of_a_declaration_does_not_change_the_data_set(tmp_path):
    corpus = write_corpus(tmp_path / "copy")
    folders = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        declaration = tmp_path / place / "kitchen_talk.yaml"
        declaration.write_text(DECLARATION)
        config = DataConfig(
            corpus=str(declaration), name="same", path=str(corpus), root=str(tmp_path), held_out=0.0
        )
        folders.append(prepare(config, None, EngineConfig(workers=0)))
    assert folders[0] == folders[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "is not YAML"),
        (DECLARATION + "colour: red\n", "colour"),
        (DECLARATION.replace("laugh: laughs", "laugh: giggles"), r"\(giggles\) is not a tag"),
    ],
)
def test_an_invalid_declaration_file_is_reported_with_its_path(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_declaration(str(path))
    assert "mine.yaml" in str(error.value)


def test_a_misspelt_corpus_is_reported_with_instructions_to_add_one():
    with pytest.raises(
        UserError, match=r"(?s)no corpus 'libritts'.*libritts_r.*data\.corpus=path/to/corpus\.yaml"
    ):
        read_declaration("libritts")
