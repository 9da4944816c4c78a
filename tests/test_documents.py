"""JSON and YAML from outside: plain values only, and limits that hold within a second."""

import json
import os
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dia.documents import (
    MAX_YAML_NODES,
    parse_json,
    parse_yaml,
    read_json,
    read_json_object,
    read_yaml,
    read_yaml_mapping,
)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcdefgh", min_size=1, max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def within_a_second():
    begin = time.process_time()
    yield
    assert time.process_time() - begin < 5  # hypothesis runs many examples; a hang takes minutes


@given(PLAIN)
def test_plain_values_are_read_as_they_were_written(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "[" * 200 + "]" * 200]
)
def test_deep_nesting_is_refused(text):
    for parse in (parse_json, parse_yaml):
        with pytest.raises(ValueError, match=r"nested|deep|JSON|YAML|Expecting"):
            parse(text)


def test_deep_nesting_in_block_style_is_refused():
    with pytest.raises(ValueError, match="deep"):
        parse_yaml("\n".join(" " * level + "a:" for level in range(1000)))


def test_an_alias_bomb_is_refused_and_ordinary_aliases_are_read():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
    )
    merged = "a0: &a0 {k: 1}\n" + "".join(
        f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
    )
    for text in (bomb, merged):
        with pytest.raises(ValueError, match=f"{MAX_YAML_NODES:,}"):
            parse_yaml(text)
    assert parse_yaml("a: &a {k: 1}\nb: *a\nc: {<<: *a, l: 2}") == {
        "a": {"k": 1},
        "b": {"k": 1},
        "c": {"k": 1, "l": 2},
    }
    with pytest.raises(ValueError, match="deep"):
        parse_yaml("&a [*a]")


@pytest.mark.parametrize(
    "text, reason",
    [
        ("!!python/object/apply:os.mkdir [trace]", "constructor"),
        ("!!python/name:os.system", "constructor"),
        ("a: 1\na: 2", "twice"),
        ("yes: 1", "quotes"),
        ("a: " + "1:" * 50_000 + "1", "digits"),
        ("!!int '" + "1:" * 50_000 + "1'", "digits"),
        ("a: " + "9" * 5000, "digits"),
        ("- a\n" * (MAX_YAML_NODES + 1), "values"),
        ("a: '" + "x" * (1 << 20) + "'", "bytes"),
        ("a: [", "not YAML"),
    ],
)
def test_objects_repeated_keys_and_huge_values_are_refused(text, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=reason):
        parse_yaml(text)
    assert not list(tmp_path.iterdir())


def test_numbers_and_interpolations_are_read_as_training_writes_them():
    read = parse_yaml("a: 1e-3\nb: 1.0e-05\nc: ${oc.env:HOME}\nd: 2024-01-01\ne: 3\n1: x\n")
    assert read == {"a": 1e-3, "b": 1e-5, "c": "${oc.env:HOME}", "d": "2024-01-01", "e": 3, "1": "x"}


def test_files_that_are_no_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_json, read_yaml, read_json_object, read_yaml_mapping):
        for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
            with pytest.raises(OSError):
                read(path)


def test_a_list_is_no_object(tmp_path):
    (tmp_path / "list").write_text("[1]")
    for read in (read_json_object, read_yaml_mapping):
        with pytest.raises(ValueError, match="holds no"):
            read(tmp_path / "list")
