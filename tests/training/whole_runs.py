"""Runs of `python -m dia.train` on a tiny corpus of noise, for tests of resuming and of several processes.

Under torchrun: ``whole_runs.py FOLDER name key=value ... + name key=value ...`` trains one run after the
other.
"""

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numpy as np

from dia.audio.files import write_audio
from tests.processes import PRELOADED, rank_environments

RATE = 16_000
# two layers of 32 features, generating with codec_nano: eight channels of 512 codes
TINY_RUN = (
    "model.encoder={layers: 1, hidden_size: 16, intermediate_size: 32, heads: 2, head_dim: 8}",
    "model.decoder={layers: 2, hidden_size: 32, intermediate_size: 64, heads: 2, key_value_heads: 1, "
    "head_dim: 16, cross_heads: 2, cross_head_dim: 16, codebook_size: 512, max_positions: 128}",
    "data.corpus=local",
    "data.name=noise",
    "data.path=noise",
    "data.keep_audio=false",
    "engine.workers=0",
    "batch.max_frames=120",
    "validation.generate_every=0",
    "logger.wandb=disabled",
    "trainer.validate_every=6",
    "trainer.checkpoint_every=3",
    "trainer.steps=20",
    "schedule.warmup_steps=4",
)


# a run that learns from pairs, and one from groups, after those of TINY_RUN
PAIRS = (
    "init_from=runs/base",
    "data.corpus=preferences",
    "data.path=",
    "data.keep_audio=true",
    "data.name=pairs",
    "data.preferences.origin=table",
    "data.preferences.table=noise/pairs.jsonl",
    "batch.text_dropout=0",
    "batch.max_frames=240",
    "trainer.steps=6",
    "trainer.validate_every=3",
    "trainer.checkpoint_every=2",
)
GROUPS = (
    "init_from=runs/base",
    "objective=grpo",
    "grpo.prompts=2",
    "grpo.takes=2",
    "grpo.updates_per_rollout=2",
    "grpo.max_seconds=0.6",
    "rewards.weights={mos: 1.0, energy_spread: 0.1}",
    "rewards.vetoes=[]",
    "trainer.steps=6",
    "trainer.validate_every=3",
    "trainer.checkpoint_every=1",
)


def make_noise(folder: Path) -> None:
    """Write a corpus of noise to ``folder/noise``."""
    (folder / "noise").mkdir()
    rng, lines = np.random.default_rng(0), []
    for number in range(16):
        waveform = 0.2 * rng.standard_normal(int(RATE * rng.uniform(0.3, 1.2))).astype(np.float32)
        write_audio(folder / "noise" / f"{number:03d}.wav", waveform, RATE)
        split = "validation" if number % 8 == 7 else "train"
        lines.append(
            json.dumps({"audio": f"{number:03d}.wav", "text": f"[S1] Clip {number} of all.", "split": split})
        )
    (folder / "noise" / "rows.jsonl").write_text("\n".join(lines) + "\n")


def make_pairs(folder: Path) -> None:
    """Write a table of pairs of noise to ``folder/noise``, after :func:`make_noise`."""
    lines = [
        {
            "id": f"pair-{number}",
            "script": f"[S1] Clip {number} of all.",
            "chosen": f"{number:03d}.wav",
            "rejected": f"{(number + 5) % 16:03d}.wav",
            "split": "validation" if number > 9 else "train",
        }
        | ({"voice": "003.wav", "voice_script": "[S1] Clip 3 of all."} if number % 3 == 0 else {})
        for number in range(12)
    ]
    (folder / "noise" / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def train(folder: Path, environment: dict[str, str], name: str, *overrides: str) -> None:
    """Train as the command line does, with the output in ``folder/name.log``."""
    os.environ.update(environment)
    from dia.train import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    os.chdir(folder)
    with open(f"{name}.log", "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    main([*TINY_RUN, f"run_name={name}", *overrides])


def train_here(folder: Path, monkeypatch, *overrides: str) -> None:
    """Train a tiny run in this process, with ``folder`` as working directory."""
    from omegaconf import OmegaConf

    from dia.config.compose import compose
    from dia.train import train as train_run

    monkeypatch.chdir(folder)
    train_run(OmegaConf.to_object(compose("train", [*TINY_RUN, *overrides])))


def start(
    folder: Path, name: str, *overrides: str, environment: dict[str, str] | None = None
) -> multiprocessing.Process:
    """Start a run in a forked copy of a process that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=train, args=(folder, environment or {}, name, *overrides))
    process.start()
    return process


def start_two(folder: Path, name: str, *overrides: str) -> list[multiprocessing.Process]:
    """Start a run of two processes with the environment variables of torchrun."""
    return [start(folder, name, *overrides, environment=rank) for rank in rank_environments(2)]


if __name__ == "__main__":
    runs: list[list[str]] = [[]]
    for argument in sys.argv[2:]:
        runs.append([]) if argument == "+" else runs[-1].append(argument)
    for run in runs:
        train(Path(sys.argv[1]), {}, *run)
