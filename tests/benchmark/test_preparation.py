"""The data preparation benchmark: costs of commands, scaling, and codes equal to those of dac's command."""

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

from dia.benchmark.preparation import (
    DAC_ENCODE,
    DIA_PREPARE,
    DacComparison,
    PreparationPlan,
    dac_command,
    measure_scaling,
)
from dia.benchmark.preparation_report import preparation_results, print_preparation_report
from dia.benchmark.processes import ProcessCost, descendants, run_measured
from dia.benchmark.synthetic_corpus import clip_lengths, synthesize_clip, write_corpus
from dia.config.bench import BenchCodec, BenchPrepareConfig
from tests.processes import run_door

BALLAST = "import subprocess, sys; data = bytearray({size} << 20); data[::4096] = b'x' * len(data[::4096])"


@given(st.floats(0.5, 500))
def test_lengths_add_up_and_none_is_tiny(seconds):
    lengths = clip_lengths(seconds)
    assert sum(lengths) == pytest.approx(seconds) and (min(lengths) >= 1 or seconds < 1)


def test_clips_differ_by_seed_only():
    assert np.array_equal(synthesize_clip(0.3, 1), synthesize_clip(0.3, 1)) and not np.array_equal(
        synthesize_clip(0.3, 1), synthesize_clip(0.3, 2)
    )


def test_a_command_and_its_children_are_measured_separately(tmp_path):
    child = BALLAST.format(size=300) + "; import time; time.sleep(.3)"
    parent = BALLAST.format(size=100) + f"; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    cost = run_measured([sys.executable, "-c", parent], tmp_path, 1)
    assert (
        100 < cost.parent_memory / (1 << 20) < 200
        and 300 < cost.worker_memory / (1 << 20) < 400
        and cost.seconds > 0.3
    )
    assert 0 < cost.cpu_seconds < 10
    assert descendants(2**22 + 1) == []
    with pytest.raises(RuntimeError, match="no such thing"):
        run_measured([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path, 1)


def plan_in(folder, **options):
    return PreparationPlan(
        folder, BenchPrepareConfig(BenchCodec("codec_nano"), seconds=4.0, scales=[4, 1], **options)
    )


def test_scaling_is_measured_without_the_startup(tmp_path, monkeypatch):
    seconds = iter([10.0, 12.0, 22.0])  # the startup, then scale 1 and 4
    commands = []

    def run(command, cwd, threads):
        commands.append(command)
        return ProcessCost(next(seconds), 5.0 + len(commands), 1e9, 2e9)

    monkeypatch.setattr("dia.benchmark.preparation.run_measured", run)
    scaling = measure_scaling(plan_in(tmp_path), "codec_nano", lambda line: None)
    assert scaling.audio_seconds == {1: pytest.approx(4.0), 4: pytest.approx(16.0)}
    assert scaling.relative_to_linear(1) == pytest.approx(1) and scaling.relative_to_linear(
        4
    ) == pytest.approx(1.5)
    assert scaling.relative_to_linear(4, "cpu_seconds") == pytest.approx(0.5)  # 6 s, then 7 and 8
    results = preparation_results(plan_in(tmp_path).config, scaling, None, {})["scaling"]["scales"]["4"]
    assert (
        results["seconds_per_audio_hour"] == pytest.approx(3600 * 12 / 16) and results["worker_memory"] == 2e9
    )
    console = Console(width=160, record=True, file=io.StringIO())
    print_preparation_report(plan_in(tmp_path).config, scaling, None, {}, console)
    row = next(line for line in console.export_text().splitlines() if "4 times" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:7] == ["4 times", "16 s", "22.0 s", "2700 s", "1.50", "450 s", "0.50"] and len(cells) == 9
    assert all("data.sample_rate=16000" in command for command in commands)


def test_throughput_is_a_median_with_and_without_the_startup():
    comparison = DacComparison(
        60.0, {DIA_PREPARE: ProcessCost(10.0, 0, 0, 0), DAC_ENCODE: ProcessCost(5.0, 0, 0, 0)}
    )
    comparison.costs[DIA_PREPARE] += [ProcessCost(seconds, 0, 0, 0) for seconds in (30.0, 40.0, 90.0)]
    comparison.costs[DAC_ENCODE] += [ProcessCost(65.0, 0, 0, 0)]
    assert comparison.throughput(DIA_PREPARE, without_startup=False) == pytest.approx(
        1.5
    ) and comparison.throughput(DIA_PREPARE, without_startup=True) == pytest.approx(2.0)
    assert comparison.relative_throughput(without_startup=True) == pytest.approx(
        2.0
    ) and comparison.relative_throughput(without_startup=False) == pytest.approx(65 / 40)


def test_windows_of_dac_are_longer_than_every_clip(tmp_path):
    _, seconds = write_corpus(tmp_path / "clips", 100)
    command = dac_command(plan_in(tmp_path), "weights.pth", "clips", tmp_path)
    assert seconds == pytest.approx(100) and float(command[-1]) > max(clip_lengths(100))
    assert dac_command(plan_in(tmp_path, dac_window=5.0), "weights.pth", "clips", tmp_path)[-1] == "5"


def bench(*arguments, cwd):
    return run_door("bench", "prepare", *arguments, cwd=cwd)


def test_the_command_encodes_like_dac_and_reports_the_throughput(tmp_path):
    torch.manual_seed(0)
    dac.DAC(encoder_dim=8, latent_dim=16, decoder_dim=32, n_codebooks=3, codebook_size=64).save(
        str(tmp_path / "tiny.pth"), package=False
    )
    done = bench(
        f"codec.name={tmp_path}/tiny.pth",
        "growth=false",
        "rounds=1",
        "dac_seconds=12",
        "workers=1",
        "out=results.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "of audio to codes" in done.stdout and "dac encode" in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())["dac"]
    assert (
        results["audio_seconds"] == pytest.approx(12)
        and results["equal"] > 0.999
        and results["codes"] > 3_000
    )
    assert results["different_codes_of_first_channel"] > 5
    assert results["rounds"][DIA_PREPARE][0]["worker_memory"] > 1e8 and results["relative_throughput"] > 0


def test_all_invalid_settings_are_reported_at_once(tmp_path):
    done = bench(
        "codec.name=codec_nano", "workers=0", "scales=[]", "seconds=0", "out=nowhere/x.json", cwd=tmp_path
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(
        part in done.stderr
        for part in ("no codec codec_nano", "workers=0", "scales=0", "seconds=0", "nowhere")
    )
