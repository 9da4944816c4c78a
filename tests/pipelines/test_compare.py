"""`dia-eval compare RUN RUN`: the folders become recordings and checkpoints, and their report is printed."""

import json

import numpy as np
import pytest

from dia.audio.files import write_audio
from dia.cli.arguments import choose_command, name_words
from dia.cli.run import read_config
from dia.config.eval import CompareConfig
from dia.config.systems import RecordConfig
from dia.errors import UserError
from dia.eval import compare
from dia.evaluation.prompts import suite_prompts
from dia.pipelines.evaluation.compare import evaluation_of
from dia.systems.record import record
from tests.systems.conftest import load_declared

SUITE = "voices"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two recordings of one system, of which the second lacks a take."""
    root = tmp_path_factory.mktemp("runs")
    folders = []
    for name, pitch, count in (("low", 140, 3), ("high", 230, 2)):
        source = root / f"{name}-source"
        source.mkdir()
        rows = []
        for place, prompt in enumerate(suite_prompts(SUITE)[:3]):
            if place < count:
                phase = 2 * np.pi * pitch * (1 + 0.02 * place) * np.arange(16_000) / 16_000
                waveform = sum(np.sin(number * phase) / number for number in range(1, 6)) / 10
                write_audio(source / f"{place}.wav", waveform.astype(np.float32), 16_000)
            rows.append({"id": prompt.id, "file": f"{place}.wav", "script": prompt.script})
        (source / "recordings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        declared = load_declared("folder", name="mine", path=str(source))
        config = RecordConfig(system=declared, out=str(root / "outputs"), takes=1, run_id=name)
        folders.append(record(config, lambda _: None).folder)
    return [str(folder) for folder in folders]


def test_two_recordings_of_one_system_are_compared_and_stay_apart(runs, tmp_path, capsys):
    config = CompareConfig(
        folders=runs,
        suite=SUITE,
        prompts=3,
        metrics=["prosody"],
        cache=str(tmp_path / "cache"),
        out=str(tmp_path / "report"),
    )
    with pytest.raises(SystemExit) as left_out:
        compare(config)
    assert left_out.value.code == 3  # the second run lacks a take
    printed = capsys.readouterr().out
    assert "mine (low)" in printed and "mine (high)" in printed and "pitch (Hz)" in printed
    assert "mine (high): 1 of 3 takes are missing" in printed
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    systems = scores["suites"][SUITE]["systems"]
    pitches = [systems[f"mine ({name})"]["pitch_hertz"]["value"] for name in ("low", "high")]
    assert pitches == pytest.approx([143, 232], abs=8)
    assert (tmp_path / "report" / "report.html").is_file()


def test_a_comparison_writes_nothing_but_its_cache_unless_it_is_given_a_folder(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare(CompareConfig(folders=runs, suite=SUITE, prompts=1, metrics=["prosody"], cache="cache"))
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_plain_words_are_the_folders():
    command, rest = choose_command("eval", ["compare", "outputs/a/x", "runs/b", "suite=quick"])
    config = read_config(command, name_words(command, rest))
    assert config.folders == ["outputs/a/x", "runs/b"] and config.suite == "quick"


def manifest_of(folder, **content):
    path = folder / "manifest.json"
    folder.mkdir(parents=True)
    path.write_text(json.dumps({"kind": "dia recording", **content}))
    (folder / "outputs.jsonl").write_text("")
    return str(folder)


def test_the_suite_is_that_of_the_recordings(tmp_path):
    folders = [manifest_of(tmp_path / name, suite="dialogue") for name in "ab"]
    config = evaluation_of(CompareConfig(folders=[*folders, "runs/one", "dia_nano"]))
    assert (config.suite, config.systems) == ("dialogue", folders)
    assert (config.ckpt, config.baseline) == ("runs/one", "dia_nano")
    assert evaluation_of(CompareConfig(folders=["runs/one", "dia_nano"])).suite == "quick"


@pytest.mark.parametrize("stated", ["../../secret.jsonl", "/etc/passwd", "", 7, None, ["voices"]])
def test_a_suite_that_a_manifest_states_is_never_opened_as_a_path(tmp_path, stated):
    folders = [manifest_of(tmp_path / name, suite=stated) for name in "ab"]
    with pytest.raises(UserError, match="name the suite, or its file of prompts: suite=") as refused:
        evaluation_of(CompareConfig(folders=folders))
    assert "/etc" not in str(refused.value) and "../" not in str(refused.value)


def test_all_problems_of_the_folders_are_reported_together(tmp_path):
    (tmp_path / "eval-quick").mkdir()
    (tmp_path / "eval-quick" / "scores.json").write_text("{}")
    folder = str(tmp_path / "eval-quick")
    with pytest.raises(UserError) as refused:
        evaluation_of(CompareConfig(folders=[folder, "a", "a", "b"], ckpt="c"))
    text = str(refused.value)
    for part in ("holds an evaluation", "a is named twice", "at most two checkpoints", "without ckpt="):
        assert part in text, part
    with pytest.raises(UserError, match="name two or more runs"):
        evaluation_of(CompareConfig(folders=["a"]))
