"""What `import dia` offers: a lazy class, a version, types, and the folder of everything that is written."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import dia
from dia.home import existing, home, in_home, models_folder


def test_the_package_imports_no_library_and_offers_the_class_and_its_version():
    code = (
        "import sys, dia; print(dia.__version__); assert {'Dia', '__version__'} <= set(dir(dia)); "
        "assert not {'torch', 'numpy', 'hydra', 'yaml'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == dia.__version__


def test_the_class_is_that_of_its_module():
    from dia.model import Dia

    assert dia.Dia is Dia
    with pytest.raises(AttributeError, match="'dia' has no attribute 'Diva'"):
        dia.Diva  # noqa: B018


def test_type_checkers_find_the_types():
    assert (files("dia") / "py.typed").is_file()


def test_output_lies_in_the_working_directory_unless_a_variable_names_another(tmp_path, monkeypatch):
    monkeypatch.delenv("DIA_HOME", raising=False)
    assert (home(), in_home("runs"), existing("runs/x")) == (Path(), Path("runs"), Path("runs/x"))
    monkeypatch.setenv("DIA_HOME", str(tmp_path / "store"))
    assert in_home("runs") == tmp_path / "store" / "runs"
    assert in_home("/elsewhere/runs") == Path("/elsewhere/runs")


def test_input_is_read_from_the_working_directory_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIA_HOME", str(tmp_path / "store"))
    assert existing("runs/nano") == Path("runs/nano")
    (tmp_path / "store" / "runs" / "nano").mkdir(parents=True)
    assert existing("runs/nano") == tmp_path / "store" / "runs" / "nano"
    (tmp_path / "runs" / "nano").mkdir(parents=True)
    assert existing("runs/nano") == Path("runs/nano")


def test_model_files_of_judges_follow_their_own_variable_first(tmp_path, monkeypatch):
    monkeypatch.delenv("DIA_MODELS", raising=False)
    monkeypatch.delenv("DIA_HOME", raising=False)
    assert models_folder() == Path.home() / ".cache" / "dia" / "models"
    monkeypatch.setenv("DIA_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "models"
    monkeypatch.setenv("DIA_MODELS", str(tmp_path / "judges"))
    assert models_folder() == tmp_path / "judges"
