"""What was measured and spoken before is found again, whole or not at all."""

import numpy as np
import pytest

from dia.evaluation.cache import ContentCache, Take, key_of_take

KEY, OTHER = key_of_take(script="[S1] Hi.", seed=0), key_of_take(script="[S1] Hi.", seed=1)


def test_values_are_asked_for_once(tmp_path):
    kept, asked = ContentCache(tmp_path), []

    def make():
        asked.append(1)
        return {"wer": 0.25, "words": ["a", None]}

    assert kept.values(KEY, make) == kept.values(KEY, make) == {"wer": 0.25, "words": ["a", None]}
    assert ContentCache(tmp_path).values(KEY, make)["wer"] == 0.25 and len(asked) == 1
    assert kept.values(OTHER, make) and len(asked) == 2 and (kept.asked, kept.found) == (3, 1)


def test_what_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        ContentCache(tmp_path).values(KEY, lambda: {"wer": float("nan")})
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("samples", [0, 1, 4000])
def test_sound_is_the_same_now_and_later(tmp_path, samples):
    waveform = np.random.default_rng(0).uniform(-0.9, 0.9, samples).astype(np.float32)
    kept = ContentCache(tmp_path)
    assert kept.take(KEY) is None
    now = kept.put(KEY, Take(waveform, 16_000, False))
    later = ContentCache(tmp_path).take(KEY)
    assert (
        np.array_equal(now.waveform, later.waveform)
        and now.waveform.dtype == later.waveform.dtype == np.float32
    )
    assert (later.sample_rate, later.ended) == (16_000, False) and np.allclose(
        later.waveform, waveform, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["json", "flac"])
def test_a_damaged_file_is_as_good_as_none(tmp_path, kind):
    kept = ContentCache(tmp_path)
    kept.put(KEY, Take(np.full(500, 0.1, np.float32), 16_000, True))
    (path,) = tmp_path.rglob(f"*.{kind}")
    path.write_bytes(path.read_bytes()[:-3])
    assert kept.take(KEY) is None
    kept.put(KEY, Take(np.full(500, 0.1, np.float32), 16_000, True))
    assert kept.take(KEY).ended


def test_a_key_says_all_that_matters():
    assert KEY != OTHER and key_of_take(seed=0, script="[S1] Hi.") == KEY
