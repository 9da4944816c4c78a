"""`scripts/train_for_minutes.py` measures the speed and fits a run into the time."""

import re
import subprocess
import sys

import pytest

from dia.resources import resource
from tests.tiny_world import TinyWorld

SCRIPT = resource("configs").parent / "scripts" / "train_for_minutes.py"


@pytest.mark.slow
def test_a_run_fits_into_its_minutes(tmp_path):
    world = TinyWorld(tmp_path / "world")
    fixed = [item for item in world.overrides(tmp_path / "runs") if not item.startswith("trainer.steps=")]
    fixed = [item for item in fixed if not re.match(r"trainer\.(validate|checkpoint)_every=", item)]
    command = [sys.executable, str(SCRIPT), "1.0", *fixed, *world.shape(), "run_name=timed"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    match = re.search(r"steps/s: (\d+) steps in the \d+ seconds that are left", done.stdout)
    assert match is not None
    assert f"of {int(match[1]):,} steps (100%)" in done.stdout
    assert (tmp_path / "runs" / "timed" / "model" / "model.safetensors").is_file()


def test_too_few_minutes_are_refused(tmp_path):
    command = [sys.executable, str(SCRIPT), "0.1", "+recipe=nothing_like_it"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "there is no recipe" in done.stdout + done.stderr
