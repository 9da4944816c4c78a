"""librosa is compiled by one process at a time."""

import subprocess
import sys

import pytest

from dia.judges import librosa_import
from dia.locks import file_lock

IMPORT = """
import tempfile
tempfile.tempdir = {folder!r}
from dia.judges.librosa_import import import_librosa
print(import_librosa().yin.__name__)
"""


def start(folder):
    command = [sys.executable, "-c", IMPORT.format(folder=str(folder))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_process_waits_while_another_one_compiles(tmp_path, monkeypatch):
    monkeypatch.setattr(librosa_import.tempfile, "gettempdir", lambda: str(tmp_path))
    with file_lock(librosa_import.lock_file(), pytest.fail):
        processes = [start(tmp_path), start(tmp_path)]
        for process in processes:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=4)
    assert [process.communicate(timeout=120)[0] for process in processes] == ["yin\n", "yin\n"]
    assert not list(tmp_path.iterdir())
