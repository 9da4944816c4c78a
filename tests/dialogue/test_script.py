"""Scripts parse and render, the linter reports each problem, and tokens are those of transformers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.dialogue import Limits, Nonverbal, Script, Turn, decode_text, encode_text, lint
from dia.dialogue.tags import canonical_tag, known_tags

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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hello.", "begin"),
        ("[S2] Hello there my friend.", "begin with [S1]"),
        ("[S1] One two three. [S1] Four five six.", "turns 1 and 2 are both [S1]"),
        ("[S1] One two. [S3] Four five.", "[S3] is not a speaker"),
        ("[S1] Hello (lauhgs) there.", "nearest is (laughs)"),
        ("[S1] " + "word " * 300, "too long for one pass"),
        ("[S1] a", "too short for one pass"),
        ("[S1] " + "word " * 300, "over the 1,024"),
        ("[S1] [S2] Hello there you.", "is empty"),
        ("[S1] Hello () there my friend.", "a tag is empty"),
        ("[S1] Hello (laughs there my friend.", "a stray ("),
        ("[S1] Hello [laughs] there my friend.", "a stray [ ]"),
        ("[S01] Hello there my friend.", "begin"),
    ],
)
def test_lint_explains(text, message):
    problems = lint(text, Limits(shortest_seconds=0.5, longest_seconds=20))
    assert any(message in problem for problem in problems) or (message == "begin" and "begin" in problems[0])


def test_clean_script_has_no_problems():
    assert (
        lint("[S1] Well, that is good news. (laughs) [S2] Yes, we can meet on Friday.", Limits(0.5, 20)) == []
    )


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "x" * 1025])
def test_text_that_cannot_be_encoded(text):
    with pytest.raises(ValueError):
        encode_text(text)
