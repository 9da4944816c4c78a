"""What training is compared with is comparable: the same clips, labels as transformers makes them, the same
losses.
"""

import random
from dataclasses import asdict, replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from dia.benchmark import training
from dia.benchmark.training import (
    OURS,
    THEIRS,
    THEIRS_BY_LENGTH,
    TrainingCosts,
    TrainingPlan,
    measure_training,
    run_apart,
)
from dia.benchmark.training_data import Lengths, MadeUpClips, budget_for
from dia.benchmark.training_job import Trained, TrainingJob
from dia.benchmark.training_report import show_training, training_results
from dia.benchmark.training_worker import train
from dia.data.batching import decoder_steps, plan_epoch
from dia.network import DiaConfig
from tests.conftest import TINY
from tests.processes import run_door

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

LENGTHS = Lengths(14.0, 0.5)
PLAN = TrainingPlan(TINY, "32-true", 1, 6, 2, 3, LENGTHS, 1, 8)


def test_made_up_clips_are_log_normal_and_the_same_again():
    clips, again = (MadeUpClips(4000, Lengths(260.0, 0.6), DiaConfig(), 3) for _ in range(2))
    assert np.median(clips.frames) == pytest.approx(260, rel=0.05)
    assert np.log(clips.frames).std() == pytest.approx(0.6, rel=0.05)
    first, second = (made.example(7, random.Random()) for made in (clips, again))
    assert torch.equal(first.codes_TC, second.codes_TC) and len(first.codes_TC) == clips.frames[7]
    assert len(first.text_S) == pytest.approx(0.174 * clips.frames[7], abs=1)


@pytest.mark.parametrize("per_batch", [1, 3, 8])
def test_the_budget_gives_as_many_clips_a_batch_as_theirs(per_batch):
    clips = MadeUpClips(96, LENGTHS, TINY)
    lengths = [decoder_steps(frames, TINY) for frames in clips.frames]
    assert len(plan_epoch(lengths, budget_for(clips, per_batch), 0, 0)) == pytest.approx(
        96 / per_batch, rel=0.1
    )


def test_labels_are_those_of_their_processor():
    from dia.benchmark.training_transformers import Collator

    codec = transformers.DacModel(transformers.DacConfig(
        encoder_hidden_size=4, downsampling_ratios=[2, 4], decoder_hidden_size=8, n_codebooks=4, codebook_size=32, codebook_dim=2,
        hidden_size=8, sampling_rate=1000,
    ))  # fmt: skip
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
    wanted = processor(
        text=texts, audio=waveforms, generation=False, output_labels=True, return_tensors="pt", padding=True,
        delay_pattern=TINY.delays, sampling_rate=1000, **ids,
    )  # fmt: skip
    with torch.no_grad():
        codes = [
            codec.encode(torch.tensor(waveform, dtype=torch.float32)[None, None]).audio_codes[0].T
            for waveform in waveforms
        ]
    tokens = processor.tokenizer(texts)["input_ids"]
    rows = [
        {"clips": [{"text": text, "codes": found.tolist()}]}
        for text, found in zip(tokens, codes, strict=True)
    ]
    found = Trained()
    made = Collator(TINY, found)(rows)
    assert made.keys() == wanted.keys() and found.frames == [12 + 20] and found.clips == [2]
    for name, tensor in made.items():
        assert torch.equal(tensor, wanted[name].long()), name


@pytest.mark.parametrize("who", [OURS, THEIRS, THEIRS_BY_LENGTH])
def test_each_takes_all_clips_once(who):
    job = PLAN.job(who)
    assert TrainingJob.of(job.as_plain()) == job
    found = train(job)
    assert len(found.ends) == len(found.frames) == 6 and found.ends == sorted(found.ends)
    if who != OURS:
        assert sum(found.frames) == sum(job.clips.frames) and found.clips == [3] * 6
    else:
        assert sum(found.clips) == pytest.approx(18, abs=3)


def test_the_curves_agree_when_the_objective_is_equal():
    made = TrainingCosts(
        curves={who: train(replace(PLAN.job(who), steps=8, equal=True)) for who in (OURS, THEIRS)}
    )
    ours, other = made.curves[OURS], made.curves[THEIRS]
    assert len(ours.losses) == 8 and ours.frames == other.frames
    assert made.largest_difference() < 1e-4 < abs(ours.losses[0] - ours.losses[-1])


def test_a_run_apart_tells_its_peak():
    found = run_apart(replace(PLAN.job(OURS), steps=2))
    assert len(found.ends) == 2 and 1e8 < found.peak < 1e10
    with pytest.raises(RuntimeError, match="training with nobody failed"):
        run_apart(replace(PLAN.job(THEIRS), who="nobody"))


def runs(speed, peak):
    """A run of 5 steps of 100 frames, so many frames a second."""
    return Trained(
        [0.0, *(100 / speed * step for step in range(1, 5))],
        [100] * 5,
        [2] * 5,
        [3.0, 2.5, 2.0, 1.5, 1.0],
        peak,
    )


def test_figures_are_medians_and_ratios_of_them(monkeypatch):
    told = {OURS: iter([runs(90, 60), runs(30, 60), runs(60, 60), runs(60, 0)]),
            THEIRS: iter([runs(20, 100), runs(20, 100), runs(20, 100), runs(20, 0)]),
            THEIRS_BY_LENGTH: iter([runs(30, 120)] * 3)}  # fmt: skip
    monkeypatch.setattr(training, "run_apart", lambda job: next(told[job.who]))
    plan, said = replace(PLAN, rounds=3, warm=1), []
    made = measure_training(plan, said.append)
    assert [len(found) for found in made.runs.values()] == [3, 3, 3] and len(said) == 11
    found = training_results(plan, made, {"device": "none"})
    beside = found["beside"]
    assert beside[THEIRS_BY_LENGTH] == pytest.approx({"times_the_frames": 2, "share_of_the_memory": 0.5})
    assert beside[THEIRS] == pytest.approx({"times_the_frames": 3, "share_of_the_memory": 0.6})
    assert found["largest_difference_of_losses"] == 0
    assert found["plan"] == asdict(plan)
    console = Console(width=160, record=True, file=StringIO())
    show_training(plan, made, {"device": "none"}, console)
    assert (
        "2.00 times the frames (wanted 1.5), 50% of the memory (wanted at most 70%)" in console.export_text()
    )


def test_impossible_settings_are_all_named_at_once(tmp_path):
    command = ["train", "rounds=0", "warm=5", "steps=5", "precision=8-bit", "out=no/x.json"]
    done = run_door("bench", *command, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(
        part in done.stderr for part in ("rounds=0", "steps=5 must be 6", "precision=8-bit", "out=no/x.json")
    )
