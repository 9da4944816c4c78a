"""The suite of short measurements: its parts, what fails or hangs, and the comparison of two files."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dia.benchmark.compare_files import compare_files
from dia.benchmark.suite import SuitePart, measure_suite, parts_of, run_part, summary
from dia.config.bench_suite import BenchCompareConfig, BenchSuiteConfig
from dia.errors import UserError
from tests.processes import run_door

ROOT = Path(__file__).parent.parent.parent


def test_parts_of_dia_come_first():
    names = [part.name for part in parts_of(BenchSuiteConfig())]
    assert names[0] == "decoding, dia-bf16-compiled" and len(names) == 9
    assert [name for name in names if "transformers" in name] == names[-2:]
    assert all(not part.arguments[0].startswith("-") for part in parts_of(BenchSuiteConfig()))


def test_the_script_measures_a_small_model_on_a_cpu(tmp_path):
    done = subprocess.run(
        [
            "bash",
            ROOT / "scripts" / "measure_gpu.sh",
            tmp_path / "out.json",
            "device=cpu",
            "model=nano",
            "codec=codec_nano",
            "variants=[dia-fp32,dia-int3]",
            "batches=[]",
            "steps=16",
            "seconds=0.5",
            "clips=2",
            "part_seconds=240",
            "precision=32-true",
        ],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "out.json").read_text())
    parts = results["parts"]
    assert list(parts) == ["decoding, dia-fp32", "decoding, dia-int3", "training"]
    assert "dia-int3" in parts["decoding, dia-int3"]["problem"] and "exit code 2" in done.stdout
    figures = parts["decoding, dia-fp32"]["figures"]
    assert figures["variants"]["dia-fp32"]["steps_per_second"] > 0
    assert figures["measured"]["codec"]["encoding one"] and figures["measured"]["first_audio"]
    assert parts["training"]["figures"]["flops_per_second"] > 1e8
    assert "TFLOP/s" in done.stdout and "of the bandwidth" in done.stdout


def test_a_part_that_hangs_is_stopped_and_the_rest_goes_on(tmp_path, monkeypatch):
    written = tmp_path / "out.json"
    config = BenchSuiteConfig(out=str(written), minutes=0.5, part_seconds=0.2)
    monkeypatch.setattr(
        "dia.benchmark.suite.parts_of", lambda config: [SuitePart("a", ()), SuitePart("b", ())]
    )
    lines = []
    results = measure_suite(config, {"device": "none"}, lines.append)
    assert results == json.loads(written.read_text())
    assert [results["parts"][name]["problem"] for name in "ab"] == ["stopped after 0 s"] * 2
    assert lines == ["a: stopped after 0 s", "b: stopped after 0 s"]
    config.minutes = 0.1
    results = measure_suite(config, {"device": "none"}, lines.append)
    assert "left out" in results["parts"]["a"]["problem"]


def test_a_failed_part_states_its_last_lines():
    result = run_part(SuitePart("wrong", ("rounds=0",)), 60)
    assert "exit code 2" in result["problem"] and "rounds=0" in result["problem"]
    assert summary("wrong", result).startswith("wrong: exit code 2")


def test_two_files_are_compared_number_by_number(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text(json.dumps({"x": {"speed": 2.0, "same": 1}, "times": [1, 3], "old": 1, "ok": True}))
    second.write_text(json.dumps({"x": {"speed": 3.0, "same": 1}, "times": [4], "new": 1}))
    console = Console(width=200, record=True, file=StringIO())
    compare_files(BenchCompareConfig([str(first), str(second)]), console)
    text = console.export_text()
    assert "x.speed" in text and "1.500" in text and "x.same" not in text
    assert "only in" in text and "old" in text and "2 numbers in both files, 1 differ" in text


@pytest.mark.parametrize("files", [[], ["one.json"], ["missing.json", "none.json"]])
def test_files_that_cannot_be_compared_are_refused(files):
    with pytest.raises(UserError, match=r"name two JSON files|cannot be read"):
        compare_files(BenchCompareConfig(files), Console(file=StringIO()))


def test_wrong_settings_are_reported_at_once(tmp_path):
    done = run_door("bench", "suite", "device=cpu", "steps=1", "variants=[]", "out=no/x.json", cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in ("steps=1", "variants is empty", "no/x.json"))
    done = run_door("bench", "compare", "one.json", cwd=tmp_path)
    assert done.returncode == 2 and "name two JSON files" in done.stderr
