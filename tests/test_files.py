"""Names in documents stay inside of their folder."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.errors import UserError
from dia.files import inside, is_plain_name, require_regular_file

OUTSIDE = ["../x", "a/../../x", "/etc/passwd", "", ".", "..", "a\0b", "\\\\host\\x", "..\\x", None, 3, ["x"]]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_outside_is_refused_by_name(name, tmp_path):
    with pytest.raises(UserError, match="which is not a file inside") as caught:
        inside(tmp_path, name, "index.json")
    assert repr(name) in str(caught.value) and "index.json" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["x", "a/b.wav", "a/../b.wav", "./x", ".hidden", "a b", "ü.wav", "take:1.wav"]
)
def test_a_name_below_the_folder_is_its_path(name, tmp_path):
    assert inside(tmp_path, name, "index.json") == tmp_path / name


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "c.wav"]), min_size=1, max_size=6), st.booleans())
def test_the_result_lies_below_the_folder_or_the_name_is_refused(parts, absolute):
    folder = Path("/srv/corpus")
    name = "/" * absolute + "/".join(parts)
    normal = Path(os.path.normpath(folder / name))
    try:
        assert inside(folder, name, "table") == folder / name
        assert normal != folder and normal.is_relative_to(folder)
    except UserError:
        assert absolute or normal == folder or not normal.is_relative_to(folder)


def test_links_are_followed_inside_only(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / "real").write_text("x")
    for name, target in {"out": "../secret", "up": "..", "in": "real", "loop": "loop"}.items():
        (folder / name).symlink_to(target)
    assert inside(folder, "in", "index").read_text() == "x"
    for name in ("out", "up/secret", "up", "loop/x"):
        with pytest.raises(UserError, match="not a file inside"):
            inside(folder, name, "index")


def test_links_of_the_hub_cache_lead_to_its_blobs(tmp_path):
    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "abc").write_text("x")
    (tmp_path / "secret").write_text("x")
    (snapshot / "weights").symlink_to("../../blobs/abc")
    (snapshot / "other").symlink_to("../../../secret")
    assert inside(snapshot, "weights", "index").read_text() == "x"
    with pytest.raises(UserError, match="not a file inside"):
        inside(snapshot, "other", "index")


def test_plain_names_are_single_parts():
    assert all(is_plain_name(name) for name in ("a", "run-1", ".a", "ü b"))
    assert not any(is_plain_name(name) for name in ("", ".", "..", "a/b", "a\\b", "/a", "a/", "a\0"))


def test_a_fifo_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="regular file"):
        require_regular_file(tmp_path / "pipe")
