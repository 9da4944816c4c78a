"""The commands as a user types them, in processes of their own: good runs, resume, and bad input with exit
code 2.
"""

import csv
import json
import re
import signal
import time

import numpy as np
import pytest
import soundfile
import torch
from datasets import load_dataset
from safetensors.torch import load_file

from dia.evaluation.prompts import suite_prompts
from dia.model import Dia
from tests.processes import run_door, start_door

SMALL = (
    "data.open_english.clips={train: 6, validation: 2, test: 2}",
    "data.open_english.voices=[heart]",
    "data.keep_audio=true",
    "engine.workers=0",
    "trainer.validate_every=4",
    "validation.scripts=1",
    "validation.max_seconds=1",
    "validation.generate_every=2",
    "batch.max_frames=300",
    "logger.wandb=disabled",
    "trainer.checkpoint_every=2",
)


def dia(door, *arguments, cwd):
    return run_door(door, *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with one small run of eight steps."""
    folder = tmp_path_factory.mktemp("work")
    done = dia("train", "+recipe=demo", "run_name=whole", "trainer.steps=12", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_a_run_leaves_what_it_promises(work):
    run = work / "runs" / "whole"
    assert {path.name for path in run.iterdir()} >= {
        "config.yaml",
        "checkpoints",
        "metrics.csv",
        "marginal.json",
        "model",
    }
    columns = next(csv.reader((run / "metrics.csv").open()))
    assert {"train/learning_rate", "validation/loss", "validation/wer", "validation/missed_eos"} <= set(
        columns
    )


def test_a_killed_run_goes_on_to_the_same_weights(work):
    command = ["+recipe=demo", "run_name=killed", "trainer.steps=12", *SMALL]
    running = start_door("train", *command, cwd=work).process
    checkpoint = work / "runs" / "killed" / "checkpoints" / "step-00000002.json"
    while not checkpoint.is_file():
        assert running.exitcode is None, "the run ended before its first checkpoint"
        time.sleep(0.02)
    running.kill()
    running.join()
    assert running.exitcode == -signal.SIGKILL
    done = dia("train", *command, cwd=work)
    assert done.returncode == 0, done.stderr[-3000:]
    whole, resumed = (
        load_file(work / "runs" / name / "model" / "model.safetensors") for name in ("whole", "killed")
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_folder_is_not_overwritten(work):
    before = (work / "runs" / "whole" / "config.yaml").stat().st_mtime_ns
    done = dia("train", "+recipe=demo", "run_name=whole", *SMALL, cwd=work)
    assert done.returncode == 2 and "exists" in done.stderr and "Traceback" not in done.stderr
    assert (work / "runs" / "whole" / "config.yaml").stat().st_mtime_ns == before


def test_the_run_speaks(work):
    done = dia(
        "generate",
        "text=[S1] Hello my friend.",
        "ckpt=runs/whole",
        "out=hello.wav",
        "max_seconds=1",
        cwd=work,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (work / "hello.wav").stat().st_size > 1000


def test_an_evaluation_measures_or_says_why_and_the_second_finds_everything(work):
    command = ["ckpt=runs/whole", "baseline=dia_open", "suite=quick", "prompts=1", "seeds=1", "timing=false"]
    done = [dia("eval", *command, cwd=work) for _ in range(2)]
    assert [run.returncode for run in done] == [0, 0], done[0].stderr[-3000:] + done[1].stderr[-1000:]
    folder = work / "runs" / "whole" / "eval-quick"
    scores = json.loads((folder / "scores.json").read_text())
    again = re.search(r"(\d+) of (\d+) takes and scores", done[1].stdout)
    assert again and again.group(1) == again.group(2) and int(again.group(1)) > 20
    for suite in scores["suites"].values():
        for rows in suite["systems"].values():
            assert all("value" in row or row["result"].startswith("not measured: ") for row in rows.values())
    assert "value" in scores["suites"]["quick"]["systems"]["ground truth"]["wer"]
    assert len(load_dataset("parquet", data_files=str(folder / "clips.parquet"), split="train")) == 4
    assert set(scores["suites"]["quick"]["systems"]) == {
        "ground truth",
        "codec round trip",
        "baseline",
        "model",
    }
    page = (folder / "report.html").read_text()
    assert "What was not measured" in page and "data:audio/flac" in page and 'src="http' not in page
    first = (folder / "scores.json").read_bytes()
    in_one_process = ["engine.workers=0", "cache=elsewhere", "out=elsewhere/report"]
    other = dia("eval", *command, *in_one_process, cwd=work)
    assert other.returncode == 0 and (work / "elsewhere" / "report" / "scores.json").read_bytes() == first


def test_recordings_of_others_are_scored_alone(work):
    rng = np.random.default_rng(0)
    (work / "theirs").mkdir()
    rows = []
    for number in range(2):
        soundfile.write(work / "theirs" / f"{number}.wav", 0.1 * rng.standard_normal(24_000), 24_000)
        rows.append(
            {
                "id": f"voices-{number:03d}",
                "file": f"{number}.wav",
                "script": suite_prompts("voices")[number].script,
            }
        )
    (work / "theirs" / "recordings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = dia("eval", "record", "system=folder", "system.path=theirs", "run_id=one", cwd=work)
    assert made.returncode == 0, made.stderr[-2000:]
    done = dia("eval", "systems=[outputs/folder/one]", "suite=voices", "prompts=2", cwd=work)
    assert done.returncode == 0, done.stderr[-2000:]
    (waveform,) = sorted((work / "outputs" / "folder" / "one" / "wav").rglob("*.wav"))[:1]
    waveform.write_bytes(waveform.read_bytes()[:-100])
    lied = dia("eval", "systems=[outputs/folder/one]", "suite=voices", cwd=work)
    assert lied.returncode == 3 and "1 takes failed" in lied.stderr


def test_the_run_speaks_a_long_script_in_a_voice(work):
    """A noise is no voice, but what is made of it is a voice file; the script is longer than one pass of the
    model.
    """
    noise = (0.1 * np.random.default_rng(0).standard_normal(5 * 16_000)).astype(np.float32)
    transcript = "[S1] We walked along the river until it was dark. [S2] So we did."
    Dia.from_pretrained(str(work / "runs" / "whole")).make_voice(noise, transcript).save(work / "anna.voice")
    text = " ".join(
        f"[S{1 + place % 2}] And this is what was said in turn {place} of the evening." for place in range(6)
    )
    done = dia(
        "generate",
        f"text={text}",
        "ckpt=runs/whole",
        "voice=anna.voice",
        "speed=1.5",
        "quantization=int8",
        "out=long.wav",
        cwd=work,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    waveform, rate = soundfile.read(work / "long.wav")
    assert rate == 16_000 and len(waveform) > 0 and np.isfinite(waveform).all()
    refused = dia(
        "generate", f"text={text} [S3] No.", "ckpt=runs/whole", "voice=anna.voice", "out=bad.wav", cwd=work
    )
    assert refused.returncode == 2 and "[S3] speaks" in refused.stderr and not (work / "bad.wav").exists()


@pytest.mark.parametrize(
    ("door", "arguments", "said"),
    [
        ("train", ["+recipe=nope"], "there are: base"),
        ("train", ["+recipe=demo", "trainer.stepz=1"], "stepz"),
        ("train", ["+recipe=demo", "trainer.steps=-1", "run_name=bad"], "trainer.steps=-1"),
        ("train", ["+recipe=demo", "run_name=gone", "resume=true"], "nothing to resume"),
        ("train", ["+recipe=demo", "codec.name=nope", "run_name=bad"], "no codec 'nope'"),
        ("eval", ["ckpt=missing"], "no checkpoint at missing"),
        ("eval", ["ckpt=runs/whole", "suite=nope"], "known suites: cloning, dialogue"),
        ("eval", ["systems=[nowhere]"], "nowhere"),
        ("eval", ["suite=voices"], "give ckpt="),
        (
            "eval",
            ["ckpt=runs/whole", "suite=voices", "calibration=no.json"],
            "calibration=no.json is not a calibration",
        ),
        ("eval", ["calibrate"], "give folder=FOLDER"),
        ("eval", ["calibrate", "folder=nowhere"], "there is no folder nowhere"),
        ("eval", ["calibrat"], "there are: calibrate"),
        ("generate", ["ckpt=missing", "text=[S1] Hello there."], "no checkpoint"),
        ("generate", ["ckpt=runs/whole", "text=[S1] Hello (foo).", "lint=error"], "(foo) is not a tag"),
        ("generate", ["ckpt=runs/whole", "text=[S1] Hello there. [S3] No."], "[S3] is not a speaker"),
        ("generate", ["ckpt=runs/whole", "text=[S1] Hello there.", "audio_prompt=cut.wav"], "truncated"),
    ],
)
def test_bad_input_gives_one_message_and_exit_code_2(work, door, arguments, said):
    soundfile.write(work / "cut.wav", np.zeros(16_000), 16_000)
    (work / "cut.wav").write_bytes((work / "cut.wav").read_bytes()[:999])
    before = sorted(work.rglob("*"))
    done = dia(door, *arguments, cwd=work)
    assert done.returncode == 2, done.stderr[-2000:]
    assert said in done.stderr and "Traceback" not in done.stderr
    assert sorted(work.rglob("*")) == before
