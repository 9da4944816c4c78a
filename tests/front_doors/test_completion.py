"""Shell completion: candidates of a line in this process, and a real bash with the script."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dia.cli.completion import candidates, completion_script

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dia-train trainer.st", ["trainer.steps=", "trainer.strategy="]),
        ("dia-train tra", ["trainer.", "trainer="]),
        ("dia-train optim=", ["optim=adamw", "optim=adamw8bit", "optim=muon"]),
        ("dia-train +recipe=b", ["+recipe=base"]),
        ("dia-train +recipe=demo trainer.strategy=f", ["trainer.strategy=fsdp2"]),
        ("dia-train plan=", ["plan=false", "plan=true"]),
        ("dia-train --v", ["--version"]),
        ("dia-eval re", ["record"]),
        ("dia-eval record system=el", ["system=elevenlabs", "system=elevenlabs_turns"]),
        ("dia-eval record retry.a", ["retry.attempts="]),
        ("dia-eval suite=q", ["suite=quick"]),
        ("dia-eval dia", ["dia_nano", "dia_open"]),
        ("dia-bench tr", ["train"]),
        ("dia-weights convert runs/nano to=", ["to=nari", "to=transformers"]),
        ("dia-voice m", ["make"]),
        ("dia-voice make anna.wav co", ["codec="]),
        ("dia-sweep sweep.sa", ["sweep.sampler="]),
        ("dia-sweep optim.l", ["optim.learning_rate="]),
        ("dia-generate quantization=i", ["quantization=int4", "quantization=int8"]),
        ("dia-unknown x", []),
    ],
)
def test_the_last_word_of_a_line_is_continued(line, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert candidates(line) == wanted


def test_files_and_runs_are_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "nano").mkdir(parents=True)
    (tmp_path / "answers-1.json").touch()
    assert candidates("dia-eval runs/") == ["runs/nano/"]
    assert candidates("dia-generate ckpt=ru") == ["ckpt=runs/"]
    assert candidates("dia-eval votes ans") == ["answers-1.json"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder with the console scripts, as an installation writes them."""
    folder = tmp_path_factory.mktemp("bin")
    for door in ("train", "eval"):
        script = folder / f"dia-{door}"
        script.write_text(f"#!{sys.executable}\nfrom dia.{door} import main\nmain()\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dia-train trainer.ste", ["trainer.steps="]),
        ("dia-train optim=mu", ["muon"]),  # bash replaces what follows the equals sign
        ("dia-train +recipe=cfg", ["cfg_distill"]),
        ("dia-eval lis", ["listen"]),
    ],
)
def test_bash_completes_with_the_documented_line(programs, line, wanted, tmp_path):
    last = line.rsplit("=", 1)[-1] if "=" in line else line.split()[-1]
    program = line.split()[0]
    asked = f"""
eval "$({program} --completion bash)"
COMP_LINE={line!r} COMP_POINT={len(line)} COMP_CWORD=1 COMP_WORDS=({line.replace("=", " = ")})
complete -p {program} >/dev/null && _dia_complete {program} {last!r} x
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=60,
    )
    assert done.stdout.split() == wanted, done.stderr


def test_the_script_names_every_command():
    for shell in ("bash", "zsh"):
        assert "dia-train dia-prepare dia-generate" in completion_script(shell)
