"""`--help`, `--version`, `--cfg`, unknown options and words, of every command, in this process."""

import subprocess
import sys

import pytest

import dia
from dia.cli.commands import COMMANDS, DOORS, commands_of
from dia.cli.help import groups, help_text
from dia.cli.run import information, run
from dia.errors import UserError

EVERY = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.door}-{command.word}")


def leave(door, arguments, capsys, tasks=None):
    """Run a command line that ends with 2; return what it printed on standard error."""
    with pytest.raises(SystemExit) as left:
        run(door, tasks or {}, arguments)
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("door", ["train", "generate"])
def test_help_takes_at_most_two_seconds_and_does_not_import_torch(door):
    code = (
        f"import runpy, sys, time; sys.argv = ['dia.{door}', '--help']\n"
        f"runpy.run_module('dia.{door}', run_name='__main__', alter_sys=True)\n"
        "heavy = {'torch', 'numpy', 'hydra', 'lightning', 'transformers'} & set(sys.modules)\n"
        "print(sorted(heavy), time.process_time(), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Usage: python -m dia." in done.stdout, done.stderr
    heavy, seconds = done.stderr.split()
    assert heavy == "[]" and float(seconds) < 2


@EVERY
def test_every_command_explains_every_key(command):
    text = help_text(command, width=100)
    assert text.startswith(command.summary.split()[0]) and f"Usage: {command.name}" in text
    assert all(" ".join(arguments.split()[:1]) in text for arguments, _ in command.examples)
    assert len(command.examples) == 3
    for group in groups(command):
        for key in group.keys:
            assert f"{key.name}=" in text and key.kind.split()[0] in text
            assert key.meaning, f"{key.name} has no docstring"


@EVERY
@pytest.mark.parametrize("width", [60, 100])
def test_help_fits_the_width(command, width):
    for line in help_text(command, width=width).splitlines():
        assert len(line) <= width or " " not in line.strip(), line


@pytest.mark.parametrize("door", DOORS)
def test_help_is_found_before_and_after_a_command(door, capsys):
    for word in commands_of(door):
        before, after = information(door, [word, "--help"]), information(door, ["--help", word])
        assert before == after and "Usage" in before


def test_one_group_one_key_and_the_last_part_of_a_key():
    (train,) = (command for command in COMMANDS if command.door == "train")
    group = help_text(train, "optim")
    assert "optim.learning_rate=0.002" in group and "trainer.steps" not in group
    assert "optim=adamw|adamw8bit|muon" in group
    assert "adamw, adamw8bit, muon" in group
    assert help_text(train, "steps").startswith(help_text(train, "trainer.steps").rstrip())
    assert "data.demo.clips" in help_text(train, "data")
    assert "+recipe=base" in help_text(train) or "base" in help_text(train, "recipe")


def test_the_keys_of_the_codec_are_marked():
    text = information("train", ["--help", "codec_training"])
    assert "task=codec only" in text and "codec_training.batch_size=" in text


def test_an_unknown_topic_names_the_nearest_ones(capsys):
    assert "did you mean" in leave("train", ["--help", "optimm"], capsys)
    said = leave("train", ["--help", "trainer.step"], capsys)
    assert "trainer.steps" in said


def test_preparation_shows_only_what_it_reads():
    text = information("prepare", ["--help"])
    assert "data.corpus=" in text and "engine.workers=" in text
    assert "optim.learning_rate" not in text and "trainer.steps" not in text


def test_the_version_is_that_of_the_package():
    assert information("eval", ["--version"]).split()[-1] == dia.__version__


def test_the_configuration_is_printed_and_nothing_is_run(capsys):
    run("generate", {}, ["[S1] Hello.", "--cfg", "job"])
    assert "text: '[S1] Hello.'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("door", "arguments", "message"),
    [
        ("train", ["--steps", "5"], "trainer.steps"),
        ("train", ["--trainer.steps=5"], "trainer.steps=5"),
        ("train", ["-m", "seed=0,1"], "sweep"),
        ("train", ["nano"], "+recipe=nano"),
        ("train", ["trainer.step"], "trainer.steps"),
        ("eval", ["recrod", "system=folder"], "did you mean record"),
        ("eval", ["calibrat"], "there are: calibrate"),
        ("eval", ["dia_nona"], "did you mean dia_open, dia_nano"),
        ("eval", ["dia_nano", "runs/nano"], "takes one ckpt"),
        ("bench", ["prepar"], "did you mean prepare"),
        ("weights", ["docter"], "did you mean doctor"),
        ("generate", ["[S1] Hello.", "--sed=3"], "did you mean seed"),
        ("generate", ["[S1] Hello.", "seed=1,x"], "x is no whole number"),
        ("generate", ["text=@nowhere.txt"], "nowhere.txt cannot be read"),
        ("train", ["--completion", "fish"], "choose bash or zsh"),
    ],
)
def test_what_is_wrong_in_arguments_is_named_with_what_may_be_meant(
    door, arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert message in leave(door, arguments, capsys)


def test_an_unknown_topic_of_the_help_raises():
    with pytest.raises(UserError, match="no group or key 'nothing'"):
        help_text(COMMANDS[0], "nothing")
