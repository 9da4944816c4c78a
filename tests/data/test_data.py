import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from dia.config.data import DataConfig, DemoConfig
from dia.config.engine import EngineConfig
from dia.data.batching import (
    Dropout,
    ShortClipsFirst,
    Span,
    TrainingBatches,
    plan_epoch,
    unigram_cross_entropy,
)
from dia.data.collation import Example, collate
from dia.data.prepare import prepare
from dia.data.prepared import open_prepared, read_card
from dia.data.sources.demo_scripts import draw_sentences, plan_clips, split_of, stated_feeling
from dia.data.sources.nonverbal_sounds import SYNTHESIZERS, synthesize_nonverbal
from dia.data.sources.synthesis import emotions
from dia.data.sources.voices import STYLES, Strength
from dia.dialogue.lint import estimated_seconds
from dia.errors import UserError
from dia.resources import declaration
from tests.conftest import TINY


def examples(count=9):
    rng = torch.Generator().manual_seed(0)
    return [
        Example(
            str(number), torch.arange(1, 4 + number), torch.randint(0, 32, (5 + number, 4), generator=rng)
        )
        for number in range(count)
    ]


class Listed:
    """Clips in a list; `read` records the index of each clip that is read."""

    clips_per_sample = 1

    def __init__(self, listed, weights=None):
        self.listed, self.weights = listed, weights
        self.frames = [len(example.codes_TC) for example in listed]
        self.read = []

    def with_prompts(self, rng):
        return self

    def examples(self, index, rng):
        self.read.append(index)
        return [self.listed[index]]

    def all_codes(self):
        return (example.codes_TC for example in self.listed)


def padding_share(lengths, batches):
    """Return the share of decoder steps in these batches that are padding."""
    used = sum(lengths[index] for batch in batches for index in batch)
    total = sum(max(lengths[index] for index in batch) * len(batch) for batch in batches)
    return 1 - used / total


def test_every_channel_preserves_its_codes_and_ends_at_its_delay():
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
def test_an_epoch_contains_every_clip_once_within_the_budget(lengths, budget, epoch):
    batches = plan_epoch(lengths, budget, 0, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(max(lengths[index] for index in batch) * len(batch) <= budget for batch in batches)


def test_batches_do_not_depend_on_the_step_at_which_training_starts():
    whole = list(TrainingBatches(Listed(examples()), TINY, 40, Dropout(0.5, 0.3), 0, Span(0, 12)))
    later = list(TrainingBatches(Listed(examples()), TINY, 40, Dropout(0.5, 0.3), 0, Span(7, 12)))
    assert len(whole) == 12
    for first, second in zip(whole[7:], later, strict=True):
        assert first.ids == second.ids and torch.equal(first.text_BS, second.text_BS)
    ranks = [
        list(TrainingBatches(Listed(examples()), TINY, 40, Dropout(0.5, 0.3), 0, Span(0, 6, rank, 2)))
        for rank in (0, 1)
    ]
    assert [batch.ids for pair in zip(*ranks, strict=True) for batch in pair] == [
        batch.ids for batch in whole
    ]


@pytest.mark.parametrize("processes", [1, 3])
def test_loader_processes_return_the_same_batches_in_the_same_order(processes):
    batches = TrainingBatches(Listed(examples()), TINY, 40, Dropout(0.5, 0.3), 0, Span(2, 10, 1, 2))
    loaded = DataLoader(batches, batch_size=None, num_workers=processes)
    for here, there in zip(batches, loaded, strict=True):
        assert here.ids == there.ids and torch.equal(here.inputs_BTC, there.inputs_BTC)


def test_a_resumed_loader_does_not_read_clips_of_earlier_steps():
    clips = Listed(examples())
    later = list(TrainingBatches(clips, TINY, 40, Dropout(0.5, 0.3), 0, Span(30, 31)))
    assert len(later) == 1 and len(clips.read) == len(later[0].ids)


def test_codes_are_masked_in_the_inputs_only():
    batch = collate(examples(), [False] * len(examples()), TINY)
    assert Dropout(codes=0.0).drop_codes(batch, TINY.decoder.pad, 1) is batch
    hidden = Dropout(codes=0.4).drop_codes(batch, TINY.decoder.pad, 1)
    gone_BT = (hidden.inputs_BTC != batch.inputs_BTC).any(-1)
    assert (hidden.inputs_BTC[gone_BT] == TINY.decoder.pad).all() and not gone_BT[:, 0].any()
    assert 0.2 < gone_BT.float().mean() < 0.5 and torch.equal(hidden.targets_BTC, batch.targets_BTC)
    assert torch.equal(
        hidden.inputs_BTC, Dropout(codes=0.4).drop_codes(batch, TINY.decoder.pad, 1).inputs_BTC
    )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.floats(0.05, 1.0), st.booleans())
@settings(max_examples=40)
def test_the_curriculum_starts_with_short_clips_and_ends_with_all(frames, share, weighted):
    clips = Listed(
        [Example(str(number), torch.ones(1), torch.zeros(count, 4)) for number, count in enumerate(frames)]
    )
    clips.weights = np.full(len(frames), 1.0) if weighted else None
    batches = TrainingBatches(clips, TINY, 60, Dropout(0.0), 0, Span(0, 1), ShortClipsFirst(2, share))
    for epoch in (0, 1):
        came = sorted(frames[index] for batch in batches.epoch(epoch)[1] for index in batch)
        assert len(came) >= round(share * len(frames)) and came == sorted(frames)[: len(came)]
    assert sorted(index for batch in batches.epoch(2)[1] for index in batch) == list(range(len(frames)))


@pytest.mark.parametrize("name", ["demo", "log-normal"])
def test_padding_is_below_a_twentieth(name):
    rng = np.random.default_rng(0)
    if name == "log-normal":  # durations as in speech corpora, at most 35 s, at 86 frames a second
        lengths = (np.clip(rng.lognormal(1.8, 0.6, 20_000), 0.5, 35) * 86.13).astype(int).tolist()
        budget = 41_300
    else:  # the demo corpus: clips of one and two turns by rate of speech
        clips = plan_clips({"train": 2000}, [0.2, 0.8], ["laughs"], 0.4, 0.3, 0)
        lengths = [round(25 * estimated_seconds(clip.script)) + 8 for clip in clips]
        budget = 2000
    shares = [padding_share(lengths, plan_epoch(lengths, budget, 0, epoch)) for epoch in range(3)]
    assert max(shares) < 0.05


@given(st.lists(st.floats(0.05, 8.0), min_size=2, max_size=60), st.integers(0, 5))
@settings(max_examples=40)
def test_weights_determine_how_often_a_clip_is_drawn(weights, epoch):
    weights = np.array(weights) / np.mean(weights)
    drawn = [index for batch in plan_epoch([1] * len(weights), 10, 0, epoch, weights) for index in batch]
    counts = np.bincount(drawn, minlength=len(weights))
    assert len(drawn) == len(weights) and (np.abs(counts - weights) < 1 + 1e-9).all()


def test_marginal_loss_of_even_codes_is_their_entropy():
    codes = torch.arange(32).repeat(50)[:, None].expand(-1, 4)
    losses = unigram_cross_entropy(*(Listed([Example(name, torch.ones(1), codes)]) for name in "ab"), TINY)
    assert (losses - np.log(32)).abs().max() < 0.02


def test_splits_share_no_sentence():
    arguments = ({"train": 60, "validation": 10, "test": 10}, [1, 1, 0, 1], ["laughs"], 0.5, 0.5, 0)
    clips = plan_clips(*arguments)
    assert {len(clip.script.turns) for clip in clips} == {1, 2, 4}
    assert all(
        [turn.speaker for turn in clip.script.turns] == [1, 2, 1, 2][: len(clip.script.turns)]
        for clip in clips
    )
    texts_by_split = {
        split: {turn.text for clip in clips if clip.split == split for turn in clip.script.turns}
        for split in ("train", "validation", "test")
    }
    assert (
        not texts_by_split["train"] & texts_by_split["validation"]
        and not texts_by_split["train"] & texts_by_split["test"]
        and not texts_by_split["validation"] & texts_by_split["test"]
    )
    assert all(split_of(text) == split for split, texts in texts_by_split.items() for text in texts)
    assert clips == plan_clips(*arguments)
    larger = plan_clips({"train": 90, "validation": 10, "test": 10}, *arguments[1:])
    assert [clip for clip in larger if clip.split == "test"] == [
        clip for clip in clips if clip.split == "test"
    ]


def test_held_out_sentences_are_distinct_and_every_kind_of_sentence_is_in_training():
    test, train = draw_sentences("test", 400, 0), draw_sentences("train", 4000, 0)
    assert len(set(test)) == 400 and len(set(train)) < 4000
    templates = declaration("data/demo/grammar.yaml")["sentences"]
    of = [
        re.compile(re.sub(r"\\{\w+\\}", r"[\\w ]+", re.escape(template)), re.IGNORECASE)
        for template in templates
    ]
    learned = [sum(kind.fullmatch(sentence) is not None for sentence in train) for kind in of]
    # every kind is frequent in training, even if it has few sentences
    assert min(learned) > 4000 / len(templates) / 2
    with pytest.raises(UserError, match="choose fewer clips"):
        draw_sentences("validation", 100_000, 0)


@pytest.mark.parametrize("tag", sorted(SYNTHESIZERS))
def test_audio_differs_by_seed_only(tag):
    first, again, other = (synthesize_nonverbal(tag, 150.0, 24_000, seed) for seed in (1, 1, 2))
    assert (
        np.array_equal(first, again) and np.isfinite(first).all() and np.abs(first).max() == pytest.approx(1)
    )
    assert len(first) != len(other) or not np.array_equal(first, other)


def test_a_lower_strength_weakens_a_style_and_its_labels():
    style = STYLES["activated"]
    assert style.at(Strength(1, 1, 1)) == style and style.at(Strength(0, 0, 0)) == STYLES["plain"]
    half = Strength(pace=0.5, pitch=0.25, gain=0.75)
    assert 1 < style.at(half).pace < style.pace
    assert style.at(half).pitch == style.pitch / 4 and style.at(half).gain == style.gain * 0.75
    (style,) = emotions("activated", half, "Where is the dog?")
    assert (style.label, style.intensity, style.arousal, style.origin) == (
        "activated",
        0.5,
        pytest.approx(0.35),
        "synthesis",
    )


def test_words_that_state_a_feeling_get_their_own_emotion_labels():
    style, words = emotions("calm", Strength(1, 1, 1), "I feel very lonely on Monday.")
    assert style.valence is None and style.arousal < 0
    assert (words.origin, words.label, words.valence, words.dominance, words.arousal) == (
        "words",
        None,
        -0.7,
        -0.5,
        None,
    )
    for other in (
        "Are you happy, or just tired?",
        "I am never happy on Monday.",
        "My brother was so happy at night.",
    ):
        assert emotions("plain", Strength(1, 1, 1), other) == ()
    feelings = declaration("data/demo/grammar.yaml")
    assert set(feelings["feelings"]) == set(feelings["slots"]["feeling"])
    assert all(stated_feeling(f"I feel very {word}.") is not None for word in feelings["feelings"])


def test_the_corpus_is_prepared_once(tmp_path):
    pytest.importorskip("hibari"), pytest.importorskip("piper")
    demo = DemoConfig(clips={"train": 6, "validation": 1, "test": 1}, tag_rate=1.0, style_rate=1.0, seed=2)
    config = DataConfig(root=str(tmp_path), demo=demo)
    folder = prepare(config, None, EngineConfig(workers=0))
    stamp = folder.stat().st_mtime_ns
    assert prepare(config, None, EngineConfig(workers=0)) == folder and folder.stat().st_mtime_ns == stamp
    rows = open_prepared(folder)["train"]
    assert max(quality["peak"] for quality in rows["quality"]) < 0.97
    row = rows[0]
    assert row["nonverbals"][0]["origin"] == "synthesis" and row["turns"][0]["emotions"][0]["label"] in (
        "activated",
        "calm",
    )
    assert 0 < row["turns"][0]["start"] < row["turns"][0]["end"] <= row["seconds"]
    page = (folder / "page.html").read_text()
    stated = [
        emotion["valence"]
        for row in rows
        for turn in row["turns"]
        for emotion in turn["emotions"]
        if emotion["valence"]
    ]
    assert stated and f"valence {stated[0]:.2f}" in page and "(synthesis, confidence 1.00)" in page
    assert (
        page.count("<audio") == 8 + 4 + 1 + 1
    )  # all clips, and some clips of each shard a second time among those with nonverbals
    kinds = {
        f"{name} by synthesis" for name in ("category", "intensity", "arousal", "nonverbal", "nonverbal time")
    }
    assert read_card(folder)["figures"]["labels"].keys() == kinds | {"valence by words", "dominance by words"}
