"""The training benchmark is a fair comparison: same clips, labels as in transformers, same losses."""

import random
from dataclasses import asdict, replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from dia.benchmark import training
from dia.benchmark.training import (
    DIA,
    TRANSFORMERS,
    TrainingCosts,
    TrainingPlan,
    measure_training,
    run_in_subprocess,
)
from dia.benchmark.training_data import LengthDistribution, SyntheticClips, budget_for
from dia.benchmark.training_job import (
    DIA_PACKED,
    TRANSFORMERS_BY_LENGTH,
    TrainingJob,
    TrainingMeasurement,
)
from dia.benchmark.training_report import print_training_report, training_results
from dia.benchmark.training_worker import train
from dia.data.batching import plan_epoch
from dia.data.collation import decoder_steps
from dia.network import DiaConfig
from tests.conftest import TINY
from tests.processes import run_door

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

LENGTHS = LengthDistribution(14.0, 0.5)
PLAN = TrainingPlan(TINY, "32-true", 1, 6, 2, 3, LENGTHS, 1, 8)


def test_synthetic_clips_are_log_normal_and_reproducible():
    clips, again = (SyntheticClips(4000, LengthDistribution(260.0, 0.6), DiaConfig(), 3) for _ in range(2))
    assert np.median(clips.frames) == pytest.approx(260, rel=0.05)
    assert np.log(clips.frames).std() == pytest.approx(0.6, rel=0.05)
    first, second = (costs.examples(7, random.Random())[0] for costs in (clips, again))
    assert torch.equal(first.codes_TC, second.codes_TC) and len(first.codes_TC) == clips.frames[7]
    assert len(first.text_S) == pytest.approx(0.174 * clips.frames[7], abs=1)


@pytest.mark.parametrize("per_batch", [1, 3, 8])
def test_the_budget_gives_the_requested_mean_of_clips(per_batch):
    clips = SyntheticClips(96, LENGTHS, TINY)
    lengths = [decoder_steps(frames, TINY) for frames in clips.frames]
    assert len(plan_epoch(lengths, budget_for(clips, per_batch), 0, 0)) == pytest.approx(
        96 / per_batch, rel=0.1
    )


def test_labels_equal_those_of_dia_processor():
    from dia.benchmark.training_transformers import DiaCollator

    codec = transformers.DacModel(
        transformers.DacConfig(
            encoder_hidden_size=4,
            downsampling_ratios=[2, 4],
            decoder_hidden_size=8,
            n_codebooks=4,
            codebook_size=32,
            codebook_dim=2,
            hidden_size=8,
            sampling_rate=1000,
        )
    )
    extractor = transformers.DiaFeatureExtractor(sampling_rate=1000, hop_length=8)
    processor = transformers.DiaProcessor(extractor, transformers.DiaTokenizer(), codec)
    texts, waveforms = (
        ["[S1] Hello.", "[S2] Hello my friend."],
        [np.random.default_rng(0).standard_normal(size) for size in (96, 160)],
    )
    ids = {
        "bos_token_id": TINY.decoder.bos,
        "eos_token_id": TINY.decoder.eos,
        "pad_token_id": TINY.decoder.pad,
    }
    expected = processor(
        text=texts,
        audio=waveforms,
        generation=False,
        output_labels=True,
        return_tensors="pt",
        padding=True,
        delay_pattern=TINY.delays,
        sampling_rate=1000,
        **ids,
    )
    with torch.no_grad():
        codes = [
            codec.encode(torch.tensor(waveform, dtype=torch.float32)[None, None]).audio_codes[0].T
            for waveform in waveforms
        ]
    tokens = processor.tokenizer(texts)["input_ids"]
    rows = [
        {"clips": [{"text": text, "codes": clip.tolist()}]} for text, clip in zip(tokens, codes, strict=True)
    ]
    measurement = TrainingMeasurement()
    batch = DiaCollator(TINY, measurement)(rows)
    assert batch.keys() == expected.keys() and measurement.frames == [12 + 20] and measurement.clips == [2]
    for name, tensor in batch.items():
        assert torch.equal(tensor, expected[name].long()), name


@pytest.mark.parametrize("implementation", [DIA, TRANSFORMERS, TRANSFORMERS_BY_LENGTH])
def test_each_implementation_uses_all_clips_once(implementation):
    job = PLAN.job(implementation)
    assert TrainingJob.from_dict(job.to_dict()) == job
    measurement = train(job)
    assert len(measurement.ends) == len(measurement.frames) == 6 and measurement.ends == sorted(
        measurement.ends
    )
    if implementation != DIA:
        assert sum(measurement.frames) == sum(job.clips.frames) and measurement.clips == [3] * 6
    else:
        assert sum(measurement.clips) == pytest.approx(18, abs=3)


def test_loss_curves_agree_with_an_equal_objective():
    costs = TrainingCosts(
        curves={
            implementation: train(replace(PLAN.job(implementation), steps=8, equal=True))
            for implementation in (DIA, TRANSFORMERS)
        }
    )
    ours, other = costs.curves[DIA], costs.curves[TRANSFORMERS]
    assert len(ours.losses) == 8 and ours.frames == other.frames
    assert costs.max_loss_difference() < 1e-4 < abs(ours.losses[0] - ours.losses[-1])


def test_a_run_in_a_subprocess_reports_its_peak_memory():
    measurement = run_in_subprocess(replace(PLAN.job(DIA), steps=2))
    assert len(measurement.ends) == 2 and 1e8 < measurement.peak < 1e10
    with pytest.raises(RuntimeError, match="training with nobody failed"):
        run_in_subprocess(replace(PLAN.job(TRANSFORMERS), implementation="nobody"))


def runs(speed, peak):
    """Return a run of 5 steps of 100 frames, at ``speed`` frames a second."""
    return TrainingMeasurement(
        [0.0, *(100 / speed * step for step in range(1, 5))],
        [100] * 5,
        [2] * 5,
        [3.0, 2.5, 2.0, 1.5, 1.0],
        peak,
    )


def test_results_are_medians_and_their_ratios(monkeypatch):
    runs_by_implementation = {
        DIA: iter([runs(90, 60), runs(30, 60), runs(60, 60), runs(60, 0)]),
        DIA_PACKED: iter([runs(70, 60)] * 3),
        TRANSFORMERS: iter([runs(20, 100), runs(20, 100), runs(20, 100), runs(20, 0)]),
        TRANSFORMERS_BY_LENGTH: iter([runs(30, 120)] * 3),
    }
    monkeypatch.setattr(
        training, "run_in_subprocess", lambda job: next(runs_by_implementation[job.implementation])
    )
    plan, lines = replace(PLAN, rounds=3, warm=1), []
    costs = measure_training(plan, lines.append)
    assert [len(measurement) for measurement in costs.runs.values()] == [3, 3, 3, 3] and len(lines) == 14
    results = training_results(plan, costs, {"device": "none"})
    ratios = results["ratios"]
    assert ratios[TRANSFORMERS_BY_LENGTH] == pytest.approx({"speedup": 2, "memory_share": 0.5})
    assert ratios[TRANSFORMERS] == pytest.approx({"speedup": 3, "memory_share": 0.6})
    assert results["max_loss_difference"] == 0
    assert results["plan"] == asdict(plan)
    console = Console(width=160, record=True, file=StringIO())
    print_training_report(plan, costs, {"device": "none"}, console)
    assert (
        "2.00 times the frames a second (target 1.5), 50% of the memory (target at most 65%)"
        in console.export_text()
    )


def test_all_invalid_settings_are_reported_at_once(tmp_path):
    done = run_door("bench", "train", "precision=8-bit", cwd=tmp_path)
    assert done.returncode == 2 and "precision=8-bit" in done.stderr and "Traceback" not in done.stderr
    command = ["train", "rounds=0", "warmup_steps=5", "steps=5", "out=no/x.json"]
    done = run_door("bench", *command, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in ("rounds=0", "steps=5 must be 6", "out=no/x.json"))
