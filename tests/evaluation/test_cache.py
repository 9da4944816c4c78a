"""Cached takes and scores are read back, complete or not at all."""

import json
import shutil

import numpy as np
import pytest

from dia.errors import StorageError
from dia.evaluation.cache import ContentCache, Take, open_cache, take_key

KEY, OTHER = take_key(script="[S1] Hi.", seed=0), take_key(script="[S1] Hi.", seed=1)


def test_values_are_computed_once(tmp_path):
    cache, calls = ContentCache(tmp_path), []

    def make():
        calls.append(1)
        return {"wer": 0.25, "words": ["a", None]}

    assert (
        cache.get_or_compute(KEY, make)
        == cache.get_or_compute(KEY, make)
        == {"wer": 0.25, "words": ["a", None]}
    )
    assert ContentCache(tmp_path).get_or_compute(KEY, make)["wer"] == 0.25 and len(calls) == 1
    assert cache.get_or_compute(OTHER, make) and len(calls) == 2 and (cache.lookups, cache.hits) == (3, 1)


def test_values_that_are_not_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        ContentCache(tmp_path).get_or_compute(KEY, lambda: {"wer": float("nan")})
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("samples", [0, 1, 4000])
def test_a_take_is_the_same_now_and_later(tmp_path, samples):
    waveform = np.random.default_rng(0).uniform(-0.9, 0.9, samples).astype(np.float32)
    cache = ContentCache(tmp_path)
    assert cache.load_take(KEY) is None
    now = cache.store_take(KEY, Take(waveform, 16_000, False))
    later = ContentCache(tmp_path).load_take(KEY)
    assert (
        np.array_equal(now.waveform, later.waveform)
        and now.waveform.dtype == later.waveform.dtype == np.float32
    )
    assert (later.sample_rate, later.ended) == (16_000, False) and np.allclose(
        later.waveform, waveform, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["json", "flac"])
def test_a_damaged_file_counts_as_missing(tmp_path, kind):
    cache = ContentCache(tmp_path)
    cache.store_take(KEY, Take(np.full(500, 0.1, np.float32), 16_000, True))
    (path,) = tmp_path.rglob(f"*.{kind}")
    path.write_bytes(path.read_bytes()[:-3])
    assert cache.load_take(KEY) is None
    cache.store_take(KEY, Take(np.full(500, 0.1, np.float32), 16_000, True))
    assert cache.load_take(KEY).ended


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("0.25", "0.20"),
        lambda text: json.dumps({"wer": 0.2}),  # as versions without checksums stored it
        lambda text: text[:-9],
        lambda text: "[]",
        lambda text: json.dumps({"sha256": 1, "values": {}}),
    ],
)
def test_a_changed_value_is_computed_again(tmp_path, caplog, change):
    cache = ContentCache(tmp_path)
    cache.get_or_compute(KEY, lambda: {"wer": 0.25})
    (path,) = tmp_path.rglob("*.json")
    path.write_text(change(path.read_text()))
    assert cache.get_or_compute(KEY, lambda: {"wer": 0.25}) == {"wer": 0.25} and cache.hits == 0
    assert "is damaged or has no checksum" in caplog.text
    assert cache.get_or_compute(KEY, dict) == {"wer": 0.25}


def test_exchanged_values_are_computed_again(tmp_path):
    cache = ContentCache(tmp_path)
    cache.get_or_compute(KEY, lambda: {"wer": 0.25})
    cache.get_or_compute(OTHER, lambda: {"wer": 0.75})
    shutil.copy(cache._path(OTHER, "json"), cache._path(KEY, "json"))
    assert cache.get_or_compute(KEY, lambda: {"wer": 0.25}) == {"wer": 0.25}


def test_a_changed_description_of_a_take_counts_as_missing(tmp_path):
    cache = ContentCache(tmp_path)
    cache.store_take(KEY, Take(np.full(500, 0.1, np.float32), 16_000, True))
    path = cache._path(KEY, "json")
    path.write_text(path.read_text().replace("true", "false"))
    assert cache.load_take(KEY) is None


def test_a_cache_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file.* cannot be written"):
        ContentCache(tmp_path / "file").get_or_compute(KEY, lambda: {"wer": 0.25})


def test_a_key_covers_all_dependencies():
    assert KEY != OTHER and take_key(seed=0, script="[S1] Hi.") == KEY


def test_the_default_folder_of_earlier_versions_is_renamed_and_read(tmp_path):
    old = ContentCache(tmp_path / "outputs" / ".kept")
    old.get_or_compute(KEY, lambda: {"wer": 0.5})
    cache = open_cache(tmp_path / "outputs" / ".cache")
    assert cache.get_or_compute(KEY, lambda: {"wer": 0.9}) == {"wer": 0.5} and cache.hits == 1
    assert not (tmp_path / "outputs" / ".kept").exists()
    (tmp_path / "outputs" / ".kept").mkdir()
    assert open_cache(tmp_path / "outputs" / ".cache").folder.name == ".cache"  # an existing one is used
    assert open_cache(tmp_path / "mine").folder == tmp_path / "mine"


def test_an_old_folder_that_cannot_be_renamed_is_used_as_it_is(tmp_path, monkeypatch, caplog):
    ContentCache(tmp_path / ".kept").get_or_compute(KEY, lambda: {"wer": 0.5})

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr("os.rename", refuse)
    assert open_cache(tmp_path / ".cache").folder == tmp_path / ".kept" and "read-only" in caplog.text
