"""Writes that the file system refuses give one message with a remedy, and leave nothing behind."""

import errno
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dia.audio.files import write_audio
from dia.checkpoint.save import write_folder
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.errors import StorageError, UserError
from dia.evaluation.cache import ContentCache
from dia.files import atomic_write, make_folder, refused_write, storing, write_bytes, write_text
from dia.inference.voice import Voice
from dia.systems.recording_files import AppendOnlyLog, write_once
from dia.tensor_files import write_pickled
from dia.training.metrics_file import MetricsFile
from tests.conftest import TINY_CODEC
from tests.faults import file_size_limit

LIMIT = 2048
VOICE = Voice("[S1] Hello there.", torch.zeros(500, 8, dtype=torch.long), "codec_nano", "", 40.0)
NOISE = np.linspace(-0.5, 0.5, 20_000, dtype=np.float32)


def big_folder(path):
    write_folder(path, lambda folder: save_file({"x": torch.zeros(9999)}, folder / "model.safetensors"))


def big_weights(path):
    with atomic_write(path) as temporary:
        write_pickled({"x": torch.zeros(9999)}, temporary)


def many_metrics(path):
    metrics = MetricsFile(path)
    for step in range(900):
        metrics.log_metrics({"loss": 1.0}, step)


WRITERS = {
    "write_bytes": lambda path: write_bytes(path, bytes(9999)),
    "write_text": lambda path: write_text(path, "x" * 9999),
    "write_audio": lambda path: write_audio(path.with_suffix(".wav"), NOISE, 16_000),
    "write_audio mp3": lambda path: write_audio(path.with_suffix(".mp3"), NOISE, 16_000),
    "voice": VOICE.save,
    "codec": lambda path: save_spectral(SpectralNetwork(TINY_CODEC), path.parent),
    "checkpoint": big_folder,
    "torch.save": big_weights,
    "cache": lambda path: ContentCache(path.parent).get_or_compute("ab", lambda: {"x": "x" * 9999}),
    "raw response": lambda path: write_once(path, bytes(9999)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_without_space_is_reported_and_nothing_remains(name, tmp_path):
    with file_size_limit(LIMIT), pytest.raises(StorageError) as caught:
        WRITERS[name](tmp_path / "target")
    assert "cannot be written (File too large); raise the limit" in str(caught.value), caught.value
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_is_none_is_reported(name, tmp_path):
    (tmp_path / "file").write_text("before")
    with pytest.raises(UserError, match=r"file"):
        WRITERS[name](tmp_path / "file" / "target")
    assert (tmp_path / "file").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("write", [VOICE.save, lambda path: write_bytes(path, b"x")])
def test_a_missing_folder_is_reported(write, tmp_path):
    with pytest.raises(
        StorageError, match=r"missing/target cannot be written \(No such file.*create the folder"
    ):
        write(tmp_path / "missing" / "target")


def test_an_older_file_stays_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("older")
    with file_size_limit(LIMIT), pytest.raises(StorageError):
        write_text(path, "x" * 9999)
    assert path.read_text() == "older" and list(tmp_path.iterdir()) == [path]


def test_an_older_checkpoint_stays_as_it_was(tmp_path):
    write_folder(tmp_path / "model", lambda folder: (folder / "a").write_text("older"))
    with file_size_limit(LIMIT), pytest.raises(StorageError):
        big_folder(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "a").read_text() == "older"


def test_metrics_that_cannot_be_appended_are_reported(tmp_path):
    with file_size_limit(LIMIT), pytest.raises(StorageError, match=r"metrics\.csv cannot be written"):
        many_metrics(tmp_path / "metrics.csv")


def test_a_full_disk_leaves_no_part_of_a_row_in_a_log(tmp_path):
    log = AppendOnlyLog(tmp_path / "attempts.jsonl", str)
    log.append({"x": "y" * 1000})
    with file_size_limit(LIMIT), pytest.raises(StorageError, match=r"attempts\.jsonl cannot be written"):
        log.append({"x": "y" * 5000})
    log.append({"z": 1})
    assert log.rows() == [{"x": "y" * 1000}, {"z": 1}]
    log.close()


def test_a_full_device_is_reported_with_its_remedy():
    with (
        pytest.raises(StorageError, match=r"No space left on device\); free space"),
        storing(Path("/dev/full")),
        open("/dev/full", "wb", buffering=0) as file,
    ):
        file.write(b"x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_write_of_torch_that_fails_has_its_errno(number, tmp_path):
    class Refusing:
        """A file whose disk refuses the second write."""

        writes = 0

        def write(self, content):
            self.writes += 1
            if self.writes > 1:
                raise OSError(number, os.strerror(number))
            return len(content)

        def flush(self):
            pass

    message = re.escape(f"a.pt cannot be written ({os.strerror(number)})")
    with pytest.raises(StorageError, match=message), storing(tmp_path / "a.pt"):
        torch.save({"x": torch.zeros(9999)}, Refusing())


def test_a_path_that_torch_cannot_open_has_its_errno(tmp_path):
    (tmp_path / "a.pt").mkdir()
    for name, reason in (("a.pt", "Is a directory"), ("a" * 300, "File name too long")):
        for write in (torch.save, write_pickled):
            with pytest.raises(StorageError, match=reason), storing(tmp_path / name):
                write({"x": torch.zeros(3)}, tmp_path / name)
    with pytest.raises(StorageError, match="Input/output error"), storing(Path("/dev/full")):
        torch.save({"x": torch.zeros(9999)}, "/dev/full")  # torch's writer gives no reason
    with pytest.raises(StorageError, match="No space left on device"), storing(Path("/dev/full")):
        write_pickled({"x": torch.zeros(9999)}, "/dev/full")


def test_errors_of_reading_pass_unchanged(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(FileNotFoundError), storing(tmp_path / "here" / "target"):
        (tmp_path / "elsewhere" / "input").read_bytes()
    with pytest.raises(ZeroDivisionError), storing(tmp_path / "target"):
        _ = 1 / 0
    assert refused_write(OSError(errno.ECONNRESET, "reset")) is None


def test_a_folder_below_a_file_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/a/b cannot be written"):
        make_folder(tmp_path / "file" / "a" / "b")


def test_the_error_is_one_of_the_operating_system_and_of_the_user():
    error = pickle.loads(pickle.dumps(StorageError("x cannot be written")))
    assert isinstance(error, OSError) and isinstance(error, UserError) and str(error) == "x cannot be written"
