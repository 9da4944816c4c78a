import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.data.batches import Example, Span, TrainingBatches, collate, marginal_cross_entropy, plan_epoch
from dia.data.engine import EngineConfig
from dia.data.prepare import DataConfig, prepare
from dia.data.prepared import open_prepared
from dia.data.sources.demo import DemoConfig
from dia.data.sources.demo_scripts import plan_clips
from dia.data.sources.nonverbal_sounds import MAKERS, make_nonverbal
from tests.conftest import TINY


def examples(count=9):
    chance = torch.Generator().manual_seed(0)
    return [
        Example(str(number), torch.arange(1, 4 + number), torch.randint(0, 32, (5 + number, 4), generator=chance))
        for number in range(count)
    ]


def test_every_channel_keeps_its_codes_and_ends_at_its_delay():
    example = examples(1)[0]
    batch = collate([example], [False], TINY)
    ids, frames = TINY.decoder, len(example.codes_TC)
    for channel, delay in enumerate(TINY.delays):
        targets = batch.targets_BTC[0, :, channel]
        assert torch.equal(targets[delay : delay + frames], example.codes_TC[:, channel])
        assert (targets <= ids.eos).sum() == frames + 1 and targets[delay + frames] == ids.eos
        assert (batch.inputs_BTC[0, : delay + 1, channel] == ids.bos).all()


def test_labels_match_the_processor_of_transformers():
    processing = pytest.importorskip("transformers.models.dia.processing_dia")
    example = examples(1)[0]
    ids, frames = TINY.decoder, len(example.codes_TC)
    canvas = torch.full((1, frames + 2 + max(TINY.delays), 4), ids.pad)
    canvas[0, 0], canvas[0, 1 : frames + 1], canvas[0, frames + 1] = ids.bos, example.codes_TC, ids.eos
    build, apply = processing.DiaProcessor.build_indices, processing.DiaProcessor.apply_audio_delay
    indices = build(1, canvas.shape[1], 4, TINY.delays, revert=False)
    wanted = apply(canvas, ids.pad, ids.bos, indices)
    batch = collate([example], [False], TINY)
    assert torch.equal(batch.inputs_BTC, wanted[:, :-1]) and torch.equal(batch.targets_BTC, wanted[:, 1:])


def test_dropped_text_keeps_its_mask():
    batch = collate(examples(2), [True, False], TINY)
    assert not batch.text_BS[0].any() and batch.text_mask_BS[0].sum() == 3 and batch.text_BS[1].any()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(60, 300), st.integers(0, 3))
@settings(max_examples=30)
def test_an_epoch_holds_every_clip_once_within_the_budget(lengths, budget, epoch):
    batches = plan_epoch(lengths, budget, 0, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(max(lengths[index] for index in batch) * len(batch) <= budget for batch in batches)


def test_batches_are_the_same_wherever_training_begins():
    whole = list(TrainingBatches(examples(), TINY, 40, 0.5, 0, Span(0, 12)))
    later = list(TrainingBatches(examples(), TINY, 40, 0.5, 0, Span(7, 12)))
    assert len(whole) == 12
    for first, second in zip(whole[7:], later, strict=True):
        assert first.ids == second.ids and torch.equal(first.text_BS, second.text_BS)
    ranks = [list(TrainingBatches(examples(), TINY, 40, 0.5, 0, Span(0, 6, rank, 2))) for rank in (0, 1)]
    assert [batch.ids for pair in zip(*ranks, strict=True) for batch in pair] == [batch.ids for batch in whole]


def test_marginal_loss_of_even_codes_is_their_entropy():
    codes = torch.arange(32).repeat(50)[:, None].expand(-1, 4)
    losses = marginal_cross_entropy([Example("a", torch.ones(1), codes)], [Example("b", torch.ones(1), codes)], TINY)
    assert (losses - np.log(32)).abs().max() < 0.02


def test_splits_share_no_sentence():
    clips = plan_clips({"train": 60, "validation": 10, "test": 10}, ["laughs"], 0.5, 0.5, 0)
    said = {
        split: {turn.text for clip in clips if clip.split == split for turn in clip.script.turns}
        for split in ("train", "validation", "test")
    }
    assert not said["train"] & said["validation"] and not said["train"] & said["test"] and not said["validation"] & said["test"]
    assert clips == plan_clips({"train": 60, "validation": 10, "test": 10}, ["laughs"], 0.5, 0.5, 0)


@pytest.mark.parametrize("tag", sorted(MAKERS))
def test_sounds_differ_by_seed_only(tag):
    first, again, other = (make_nonverbal(tag, 150.0, 24_000, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and np.isfinite(first).all() and np.abs(first).max() == pytest.approx(1)
    assert len(first) != len(other) or not np.array_equal(first, other)


def test_the_corpus_is_prepared_once(tmp_path):
    pytest.importorskip("hibari"), pytest.importorskip("piper")
    demo = DemoConfig(clips={"train": 2, "validation": 1, "test": 1}, tag_rate=1.0, style_rate=1.0)
    config = DataConfig(root=str(tmp_path), demo=demo)
    folder = prepare(config, None, EngineConfig(workers=0))
    stamp = folder.stat().st_mtime_ns
    assert prepare(config, None, EngineConfig(workers=0)) == folder and folder.stat().st_mtime_ns == stamp
    row = open_prepared(folder)["train"][0]
    assert row["nonverbals"][0]["origin"] == "synthesis" and row["turns"][0]["emotions"][0]["label"] in ("activated", "calm")
    assert 0 < row["turns"][0]["start"] < row["turns"][0]["end"] <= row["seconds"]
