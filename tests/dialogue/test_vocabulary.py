"""The words that a model was trained on: read, written, and those of dia_nano."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.data.sources.demo import VERSION
from dia.data.sources.demo_scripts import SLOT
from dia.dialogue import Limits, Vocabulary, lint
from dia.dialogue.vocabulary import MAX_BYTES, entries_of, read_vocabulary
from dia.errors import UserError
from dia.resources import declaration, shipped_model
from tests.dialogue.test_script import scripts

ANY_LENGTH = Limits(0.0, float("inf"))


def nano():
    return read_vocabulary(shipped_model("dia_nano") / "vocabulary.txt")


@given(st.lists(scripts(), max_size=2))
@settings(max_examples=15)
def test_a_written_vocabulary_is_read_and_knows_its_scripts(tmp_path_factory, some):
    path = tmp_path_factory.mktemp("any") / "vocabulary.txt"
    texts = [script.render() for script in some]
    vocabulary = Vocabulary.of_scripts(texts)
    vocabulary.write(path)
    assert read_vocabulary(path) == vocabulary
    assert path.read_text().splitlines() == sorted(vocabulary.entries)
    assert not any(vocabulary.problems(text) for text in texts)


def test_entries_are_words_tags_and_emotions():
    assert entries_of("[S1] {calm} It\u2019s (laugh) Monday, it's 9!") == [
        "it's",
        "monday",
        "it's",
        "9",
        "(laughs)",
        "{calm}",
    ]


def test_the_list_of_dia_nano_has_the_words_of_its_corpus():
    """Its card names version 7 of the demo corpus, with the tags of configs/data/nano.yaml."""
    assert VERSION == 7
    grammar, tags = (
        declaration("data/demo/grammar.yaml"),
        declaration("configs/data/nano.yaml")["demo"]["tags"],
    )
    templates = [SLOT.sub(" ", sentence).replace("|", " ") for sentence in grammar["sentences"]]
    slots = [word for words in grammar["slots"].values() for word in words]
    labels = [f"({tag})" for tag in tags] + ["[S1] {calm} we", "[S1] {activated} we"]
    assert nano() == Vocabulary.of_scripts([*templates, *slots, *labels])
    assert len(nano().entries) == 271
    assert "vocabulary.txt" in (shipped_model("dia_nano") / "README.md").read_text()


def test_words_that_dia_nano_does_not_know_are_a_warning():
    known = "[S1] I love rain in the morning. (laughs) [S2] {calm} Do you like soup?"
    assert lint(known, ANY_LENGTH, nano()).problems == ()
    (warning,) = lint("[S1] The elephant ran to the market. (sings)", ANY_LENGTH, nano()).warnings
    assert "trained on 271 words and tags, without elephant, (sings); it does not" in warning
    (warning,) = lint(
        "[S1] One rhino or 27 zebras met Esther near Paris (burps).", ANY_LENGTH, nano()
    ).warnings
    assert "without one, rhino, 27, zebras, esther and 2 more" in warning
    assert lint("[S1] The elephant ran to the market.", ANY_LENGTH).problems == ()


def test_marks_asides_and_other_languages_are_no_words_that_it_does_not_know():
    (mark,) = lint("[S1] I love rain [laughs].", ANY_LENGTH, nano()).warnings
    assert mark.startswith("[laughs] is a mark")
    (aside,) = lint("[S1] I love rain (WHO).", ANY_LENGTH, nano()).warnings
    assert aside.startswith("(WHO) is not a tag")
    (language,) = lint("[S1] Ich habe heute keine Zeit.", ANY_LENGTH, nano()).warnings
    assert "German" in language


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"two words\n",
        b"../../etc/passwd\n",
        b"a\n\nb\n",
        b"a" * (MAX_BYTES + 2),
        b"${oc.env:HOME}\n",
    ],
)
def test_a_file_that_is_no_list_of_words_is_refused(tmp_path, content):
    (tmp_path / "vocabulary.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"vocabulary\.txt (cannot be read|is no list of words).*remove it"):
        read_vocabulary(tmp_path / "vocabulary.txt")


def test_a_fifo_is_no_vocabulary(tmp_path):
    os.mkfifo(tmp_path / "vocabulary.txt")
    with pytest.raises(UserError, match="not a regular file"):
        read_vocabulary(tmp_path / "vocabulary.txt")
