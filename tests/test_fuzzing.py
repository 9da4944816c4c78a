"""Damaged copies of files from outside give the documented error, within a limit of time."""

from itertools import islice

import pytest

from tests.fuzzing import build_readers, check, mutations

INPUTS = 60
NAMES = (
    *(".pth", "adapter config", "adapter header", "codec config", "config.json", "safetensors header"),
    *("shard index", "voice", "run config", "prompts", "script", "recording manifest", "recording rows"),
    *("CSV", "JSONL", "WAV", "FLAC", "MP3", "OGG"),
)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return build_readers(tmp_path_factory.mktemp("fuzzing"))


def test_every_reader_is_named(readers):
    assert sorted(readers) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_copy_is_read_or_refused(readers, name):
    reader = readers[name]
    if name != ".pth":  # a checkpoint with the right tensors is too large to mutate
        for seed in reader.seeds:
            reader.open(seed)  # the first one may import a library
    refused = sum(not check(reader, content) for content in islice(mutations(reader.seeds, 1), INPUTS))
    assert refused > 0 or name == "script"
