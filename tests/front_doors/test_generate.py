"""Command lines of `dia.generate` and `dia.eval`: scripts, seeds, output files, early refusals."""

import io
import sys

import numpy as np
import pytest

from dia.cli.arguments import name_words, read_script
from dia.cli.commands import commands_of
from dia.cli.run import read_config, run
from dia.eval import main as run_evaluation
from dia.generate import configuration_problems, generate, main, output_files

GENERATE = commands_of("generate")[""]


def config_of(*arguments):
    return read_config(GENERATE, name_words(GENERATE, arguments))


def problems(*arguments):
    return configuration_problems(config_of(*arguments))


def test_the_script_is_a_word_a_key_a_file_or_standard_input(tmp_path, monkeypatch):
    script = '[S1] Hi, you: a=b (laughs) [S2] {x} "no" ${y} it\'s ~1.5!'
    assert config_of(script).text == config_of(f"text={script}").text == script
    assert config_of(f"text={script * 99}").text == config_of(script * 99).text == script * 99
    assert config_of("[S1]", "Hello", "there.").text == "[S1] Hello there."
    (tmp_path / "story.txt").write_text("[S1] One line.\n[S2] Another ä.\n", encoding="utf-8")
    assert config_of(f"text=@{tmp_path / 'story.txt'}").text == "[S1] One line. [S2] Another ä."
    monkeypatch.setattr(sys, "stdin", io.StringIO("[S1] From\na pipe.\n"))
    assert config_of("-", "seed=3").text == "[S1] From a pipe."


def test_several_seeds_write_one_file_each():
    config = config_of("[S1] Hello.", "seed=0,1,2", "out=a b/hello.flac")
    files = {seed: str(path) for seed, path in output_files(config).items()}
    assert files == {seed: f"a b/hello_seed{seed}.flac" for seed in (0, 1, 2)}
    assert {seed: str(path) for seed, path in output_files(config_of("[S1] Hello.", "seed=4")).items()} == {
        4: "speech.wav"
    }
    assert read_script(["seed=[3,4,3]"]) == ["seeds=[3,4]"]


def test_all_problems_are_reported_before_anything_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "[S1] Hello (foo).",
        "out=missing/speech.mp4",
        "speed=9",
        "sampling.top_p=4",
        "ckpt=nothing",
        "retries=-1",
        "voice=anna.voice",
    ]
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    said = capsys.readouterr().err
    for part in (
        "must end in .wav, .flac, .ogg, .mp3",
        "folder missing",
        "speed=9",
        "sampling.top_p=4",
        "no checkpoint at ckpt=nothing",
        "retries=-1",
        "voice=anna.voice does not exist",
    ):
        assert part in said, part


def test_an_unwritable_output_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert any("cannot be written" in item for item in problems("[S1] Hello.", f"out={tmp_path / 'x.wav'}"))
    assert any("is a folder" in item for item in problems("[S1] Hello.", f"out={tmp_path}"))


def test_a_script_with_an_unknown_tag_is_refused_before_loading_where_warnings_are_errors():
    assert any("(foo) is not a tag" in item for item in problems("[S1] Hello (foo).", "lint=error"))
    assert problems("[S1] Hello (foo).") == [] == problems("[S1] Hello there.", "lint=error")
    assert any("[S3] is not a speaker" in item for item in problems("[S1] Hello. [S3] No."))


def test_each_seed_is_generated_by_one_loaded_model(tmp_path, monkeypatch, capsys):
    loaded = []

    class Model:
        """In place of a loaded checkpoint."""

        class codec:
            sample_rate = 16_000

        @classmethod
        def from_pretrained(cls, *arguments, **settings):
            loaded.append(arguments)
            return cls()

        def sampling(self, **values):
            return self

        def check_text(self, text, **settings):
            return text

        def save_audio(self, path, waveform):
            (tmp_path / path).write_bytes(waveform.tobytes())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dia.model.Dia", Model)
    monkeypatch.setattr("dia.generate._waveform", lambda dia, config, seed: np.full(160, seed, np.float32))
    generate(config_of("[S1] Hello there.", "seed=0,1", "out=x.wav"))
    assert len(loaded) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x_seed0.wav", "x_seed1.wav"]
    assert "wrote x_seed1.wav" in capsys.readouterr().out


def test_evaluation_alone_lists_the_checkpoints_that_exist(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine" / "model").mkdir(parents=True)
    with pytest.raises(SystemExit) as left:
        run_evaluation([])
    said = capsys.readouterr().err
    assert left.value.code == 2 and "dia_nano" in said and "dia.eval runs/mine" in said


@pytest.mark.parametrize("name", ["dia_nano", "runs/nano", "owner/name"])
def test_evaluation_takes_a_checkpoint_as_a_word(name):
    seen = []
    run("eval", {"": seen.append}, [name, "suite=quick"])
    assert seen[0].ckpt == name and seen[0].suite == "quick"


def test_listening_tests_and_votes_take_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b (1).json").touch()
    seen = []
    run("eval", {"votes": seen.append}, ["votes", "a=b (1).json", "ü,x.json", "key=k.json"])
    assert seen[0].files == ["a=b (1).json", "ü,x.json"]
    run("eval", {"listen": seen.append}, ["listen", "outputs/a/1", "outputs/b/1", "trials=5"])
    assert seen[1].folders == ["outputs/a/1", "outputs/b/1"] and seen[1].trials == 5
