"""Prompts: files are read back, all problems are reported, the hash depends on content alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.errors import UserError
from dia.evaluation.prompts import Prompt, load_prompts, prompts_sha256, suite_prompts


def test_prompts_are_read_back_and_spacing_does_not_matter(tmp_path):
    prompts = [
        Prompt("a", "[S1] Hé."),
        Prompt("b", "[S1] (laughs)", group="g", version="A", tag="laughs", arousal="high"),
    ]
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"script": "[S1] Hé.",   "id": "a"}\n\n' + json.dumps(prompts[1].__dict__) + "\n", encoding="utf-8"
    )
    assert load_prompts(path) == prompts == suite_prompts(str(path))
    assert prompts_sha256(load_prompts(path)) == prompts_sha256(prompts)


@given(
    st.lists(st.builds(Prompt, st.text(min_size=1), st.text()), min_size=1, max_size=4), st.text(min_size=1)
)
def test_every_change_changes_the_hash(prompts, added):
    changed = [*prompts[:-1], Prompt(prompts[-1].id, prompts[-1].script + added)]
    assert prompts_sha256(prompts) != prompts_sha256(changed)
    assert prompts_sha256(prompts) != prompts_sha256([*prompts, Prompt("new", added)])


def test_every_problem_is_reported_with_its_line(tmp_path):
    path = tmp_path / "p.jsonl"
    lines = [
        '{"id": "a", "script": "[S1] Hi."}',
        "{",
        "[]",
        '{"id": "b"}',
        '{"id": "c", "script": "Hi."}',
        '{"id": "d", "script": "[S1] Hi.", "colour": "red", "tag": 3}',
        '{"id": "a", "script": "[S1] Ho."}',
        '{"id": "", "script": "[S1] Hi."}',
        '{"id": "\\ud800", "script": "[S1] Hi."}',
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        load_prompts(path)
    for part in (
        "line 2 is not valid JSON",
        "line 3 is not a JSON object",
        "line 4 lacks script",
        "line 5 has a script",
        "line 9 has a lone surrogate",
        "unknown key colour",
        "tag=3",
        "'a' occurs 2 times",
        "line 8 has an empty id",
    ):
        assert part in str(caught.value)


def test_an_empty_and_a_missing_file_are_errors(tmp_path):
    (tmp_path / "p.jsonl").write_text("\n")
    with pytest.raises(UserError, match="has no prompt"):
        load_prompts(tmp_path / "p.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        load_prompts(tmp_path / "missing.jsonl")
    with pytest.raises(UserError, match="nope"):
        suite_prompts("nope")
