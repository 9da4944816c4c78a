"""What preparing costs is measured on commands as they are run, and dac's command gives the codes that ours
gives.
"""

import io
import json
import sys

import dac
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dia.benchmark.preparation import OURS, THEIRS, Comparison, PreparationPlan, dac_command, measure_growth
from dia.benchmark.preparation_report import preparation_results, show_preparation
from dia.benchmark.processes import Cost, descendants, run_watched
from dia.benchmark.sounds import lengths_of, voice_like, write_corpus
from dia.config.bench import BenchCodec, BenchPrepareConfig
from tests.processes import run_door

BALLAST = "import subprocess, sys; data = bytearray({size} << 20); data[::4096] = b'x' * len(data[::4096])"


@given(st.floats(0.5, 500))
def test_lengths_add_up_and_none_is_next_to_nothing(seconds):
    lengths = lengths_of(seconds)
    assert sum(lengths) == pytest.approx(seconds) and (min(lengths) >= 1 or seconds < 1)


def test_sounds_differ_by_seed_only():
    assert np.array_equal(voice_like(0.3, 1), voice_like(0.3, 1)) and not np.array_equal(
        voice_like(0.3, 1), voice_like(0.3, 2)
    )


def test_a_command_and_what_it_starts_are_weighed_apart(tmp_path):
    child = BALLAST.format(size=300) + "; import time; time.sleep(.3)"
    parent = BALLAST.format(size=100) + f"; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    cost = run_watched([sys.executable, "-c", parent], tmp_path, 1)
    assert 100 < cost.parent / (1 << 20) < 200 and 300 < cost.worker / (1 << 20) < 400 and cost.seconds > 0.3
    assert 0 < cost.processor < 10
    assert descendants(2**22 + 1) == []
    with pytest.raises(RuntimeError, match="no such thing"):
        run_watched([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path, 1)


def plan_in(folder, **options):
    return PreparationPlan(
        folder, BenchPrepareConfig(BenchCodec("codec_nano"), seconds=4.0, scales=[4, 1], **options)
    )


def test_growth_is_counted_without_the_start(tmp_path, monkeypatch):
    seconds = iter([10.0, 12.0, 22.0])  # the start, once, four times
    commands = []

    def run(command, cwd, threads):
        commands.append(command)
        return Cost(next(seconds), 5.0 + len(commands), 1e9, 2e9)

    monkeypatch.setattr("dia.benchmark.preparation.run_watched", run)
    growth = measure_growth(plan_in(tmp_path), "codec_nano", lambda line: None)
    assert growth.sound == {1: pytest.approx(4.0), 4: pytest.approx(16.0)}
    assert growth.against_linear(1) == pytest.approx(1) and growth.against_linear(4) == pytest.approx(1.5)
    assert growth.against_linear(4, "processor") == pytest.approx(0.5)  # 6 s, then 7 and 8
    found = preparation_results(plan_in(tmp_path).config, growth, None, {})["growth"]["scales"]["4"]
    assert found["seconds_per_hour_of_sound"] == pytest.approx(3600 * 12 / 16) and found["worker"] == 2e9
    console = Console(width=160, record=True, file=io.StringIO())
    show_preparation(plan_in(tmp_path).config, growth, None, {}, console)
    row = next(line for line in console.export_text().splitlines() if "4 times" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:7] == ["4 times", "16 s", "22.0 s", "2700 s", "1.50", "450 s", "0.50"] and len(cells) == 9
    assert all("data.sample_rate=16000" in command for command in commands)


def test_throughput_is_a_median_with_and_without_the_start():
    compared = Comparison(60.0, {OURS: Cost(10.0, 0, 0, 0), THEIRS: Cost(5.0, 0, 0, 0)})
    compared.costs[OURS] += [Cost(seconds, 0, 0, 0) for seconds in (30.0, 40.0, 90.0)]
    compared.costs[THEIRS] += [Cost(65.0, 0, 0, 0)]
    assert compared.throughput(OURS, False) == pytest.approx(1.5) and compared.throughput(
        OURS, True
    ) == pytest.approx(2.0)
    assert compared.times(True) == pytest.approx(2.0) and compared.times(False) == pytest.approx(65 / 40)


def test_windows_of_dac_cut_no_clip(tmp_path):
    _, seconds = write_corpus(tmp_path / "clips", 100)
    command = dac_command(plan_in(tmp_path), "weights.pth", "clips", tmp_path)
    assert seconds == pytest.approx(100) and float(command[-1]) > max(lengths_of(100))
    assert dac_command(plan_in(tmp_path, dac_window=5.0), "weights.pth", "clips", tmp_path)[-1] == "5"


def bench(*arguments, cwd):
    return run_door("bench", "prepare", *arguments, cwd=cwd)


def test_the_command_encodes_as_dac_does_and_says_how_fast(tmp_path):
    torch.manual_seed(0)
    dac.DAC(encoder_dim=8, latent_dim=16, decoder_dim=32, n_codebooks=3, codebook_size=64).save(
        str(tmp_path / "tiny.pth"), package=False
    )
    done = bench(
        f"codec.name={tmp_path}/tiny.pth", "growth=false", "rounds=1", "dac_seconds=12", "workers=1", "out=figures.json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "of sound to codes" in done.stdout and "dac encode" in done.stdout
    found = json.loads((tmp_path / "figures.json").read_text())["dac"]
    assert found["sound"] == pytest.approx(12) and found["equal"] > 0.999 and found["codes"] > 3_000
    assert found["different_codes_of_the_first_channel"] > 5
    assert found["rounds"][OURS][0]["worker"] > 1e8 and found["times"] > 0


def test_impossible_settings_are_all_named_at_once(tmp_path):
    done = bench(
        "codec.name=codec_nano", "workers=0", "scales=[]", "seconds=0", "out=nowhere/x.json", cwd=tmp_path
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(
        part in done.stderr
        for part in ("no codec codec_nano", "workers=0", "scales=0", "seconds=0", "nowhere")
    )
