"""Scripts parse and render, texts are normalized, and tokens are those of transformers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.dialogue import Nonverbal, Script, Turn, decode_text, encode_text
from dia.dialogue.script import normalize_text
from dia.dialogue.tags import canonical_tag, known_tags, nearest_tag

words = st.lists(st.from_regex(r"[A-Za-z]{1,8}[,.!?]?", fullmatch=True), min_size=1, max_size=6)


@st.composite
def turns(draw, speaker):
    said = draw(words)
    text = " ".join(said)
    starts = [0, len(text), *(len(" ".join(said[:count])) + 1 for count in range(1, len(said)))]
    places = sorted(draw(st.lists(st.sampled_from(starts), max_size=3)))
    return Turn(
        speaker, text, tuple(Nonverbal(draw(st.sampled_from(known_tags())), place) for place in places)
    )


@st.composite
def scripts(draw):
    return Script(tuple(draw(turns(1 + index % 2)) for index in range(draw(st.integers(1, 4)))))


@given(scripts())
def test_parse_inverts_render(script):
    assert Script.parse(script.render()) == script


@given(scripts())
def test_render_is_what_dia_tokenizes(script):
    ids = encode_text(script.render())
    assert ids[0] == 1 and 0 not in ids
    assert decode_text(ids) == script.render()


@given(scripts())
@settings(max_examples=30)
def test_a_rendered_script_is_normalized(script):
    assert normalize_text(script.render()) == script.render()


@given(st.text())
def test_normalizing_changes_white_space_and_aliases_only(text):
    once = normalize_text(text)
    assert normalize_text(once) == once
    if "(" not in text:
        assert once.split() == text.split() and Script.read(once) == Script.read(text)


def test_aliases_become_their_tags():
    assert (
        normalize_text("[S1] Ha\n(Laughing)  ha (WHO) (ahem)") == "[S1] Ha (laughs) ha (WHO) (clears throat)"
    )


@given(st.text(max_size=30))
def test_any_text_is_read_with_its_first_words_by_the_first_speaker(text):
    script = Script.read(text)
    assert script.turns and (text.lstrip().startswith("[S") or script.turns[0].speaker == 1)


@pytest.mark.parametrize(
    ("spelling", "tag"),
    [
        ("laugh", "laughs"),
        ("lauhgs", "laughs"),
        ("sneez", "sneezes"),
        ("laughs softly", "laughs"),
        ("clear_throat", "clears throat"),
        ("WHO", None),
        ("ringing", None),  # not singing
        ("pause", None),  # not applause
        ("s", None),
        ("", None),
    ],
)
def test_the_nearest_tag_is_near(spelling, tag):
    assert nearest_tag(spelling) == tag


def test_tags_and_aliases():
    assert len(known_tags()) == 21
    assert (
        canonical_tag("Laughing") == "laughs"
        and canonical_tag("ahem") == "clears throat"
        and canonical_tag("foo") is None
    )


def test_tokens_match_transformers():
    tokenizer = pytest.importorskip("transformers").DiaTokenizer()
    text = "[S1] Héllo (laughs) there. [S2] Fine, 3 € please!"
    assert encode_text(text) == tokenizer(text)["input_ids"]


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "x" * 1025])
def test_text_that_cannot_be_encoded(text):
    with pytest.raises(ValueError):
        encode_text(text)
