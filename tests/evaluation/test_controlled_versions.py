"""Controlled versions of a script differ in one thing only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.dialogue import Script
from dia.evaluation.controlled_versions import SENTINEL, arousal_versions, replace_tags, tag_versions
from dia.evaluation.prompts import Prompt

TAGS = ["laughs", "coughs", "sighs"]
WORDS = st.lists(st.sampled_from(["we", "like", "soup", "and", "the river"]), min_size=1, max_size=5).map(
    " ".join
)


def test_a_tag_has_four_versions():
    made = list(tag_versions([Prompt("a", "[S1] Well, (coughs) that is news. [S2] Yes.")], TAGS))
    assert [prompt.version for prompt in made] == ["tag", "plain", "swapped", "sentinel"]
    assert [prompt.script for prompt in made] == [
        "[S1] Well, (coughs) that is news. [S2] Yes.",
        "[S1] Well, that is news. [S2] Yes.",
        "[S1] Well, (sighs) that is news. [S2] Yes.",
        f"[S1] Well, ({SENTINEL}) that is news. [S2] Yes.",
    ]
    assert {(prompt.group, prompt.tag) for prompt in made} == {("a", "coughs")} and len(
        {prompt.id for prompt in made}
    ) == 4


@pytest.mark.parametrize(
    "script", ["[S1] Well.", "[S1] (laughs) Well. (coughs) [S2] Yes.", "[S1] (screams) Well."]
)
def test_scripts_without_exactly_one_known_tag_have_no_versions(script):
    assert list(tag_versions([Prompt("a", script)], TAGS)) == []


def test_arousal_has_a_high_and_a_low_version():
    high, low = arousal_versions([Prompt("a", "[S1] {calm} Well, (coughs) that is news. [S2] Yes.")])
    assert (high.arousal, high.script) == (
        "high",
        "[S1] {activated} Well, that is news. [S2] {activated} Yes.",
    )
    assert (low.arousal, low.script) == ("low", "[S1] {calm} Well, that is news. [S2] {calm} Yes.")
    assert high.group == low.group == "a" and high.id != low.id


@given(
    st.lists(st.tuples(WORDS, st.sampled_from(["", "(laughs) "]), WORDS), min_size=1, max_size=4),
    st.sampled_from(TAGS),
)
def test_words_do_not_depend_on_tags(turns, tag):
    text = " ".join(
        f"[S{1 + number % 2}] {before} {sound}{after}" for number, (before, sound, after) in enumerate(turns)
    )
    script = Script.parse(text)
    plain, other = replace_tags(script, ""), replace_tags(script, tag)
    assert plain.words() == script.words() == other.words() and not any(
        turn.nonverbals for turn in plain.turns
    )
    assert [len(turn.nonverbals) for turn in other.turns] == [len(turn.nonverbals) for turn in script.turns]
    assert {sound.tag for turn in other.turns for sound in turn.nonverbals} <= {tag}
