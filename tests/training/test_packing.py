"""Packed batches: clips one after another train as padded clips do."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dia.data.batching import Dropout, Span, TrainingBatches, plan_epoch
from dia.data.collation import collate
from dia.training.callbacks.throughput import lengths
from dia.training.loss import channel_weights
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips

CLIPS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 12), st.booleans(), st.booleans()), min_size=1, max_size=6
)


def collated(clips, *, packed):
    examples = [
        replace(clip, prompt_frames=min(prompt, len(clip.codes_TC) - 1), ended=ended)
        for clip, (_, prompt, ended, _) in zip(
            RandomClips([clip[0] for clip in clips]).clips, clips, strict=True
        )
    ]
    return collate(examples, [clip[3] for clip in clips], TINY, packed=packed)


def loss_and_gradients(network, batch):
    network.zero_grad()
    sums = CrossEntropy(2.0, piece=16)(network, batch)
    loss = sums.total(channel_weights(TINY.channels, 2.0)) / sums.count
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in network.named_parameters()}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clips=CLIPS)
def test_packed_clips_have_the_gradient_of_padded_clips(tiny, clips):
    wanted_loss, wanted = loss_and_gradients(tiny, collated(clips, packed=False))
    loss, gradients = loss_and_gradients(tiny, collated(clips, packed=True))
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    for name, gradient in wanted.items():
        assert (gradients[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-7, name


@given(CLIPS)
def test_a_packed_batch_has_the_steps_and_texts_of_its_clips_and_no_padding(clips):
    padded, packed = (collated(clips, packed=packed) for packed in (False, True))
    steps = [frames + max(TINY.delays) + (1 if ended else 0) for frames, _, ended, _ in clips]
    assert packed.packing.steps == steps and packed.text_mask_BS.all()
    assert packed.inputs_BTC.shape == packed.targets_BTC.shape == (1, sum(steps), TINY.channels)
    assert all(
        torch.equal(of_packed.cpu(), of_padded)
        for of_packed, of_padded in zip(
            lengths(packed, TINY.decoder.eos), lengths(padded, TINY.decoder.eos), strict=True
        )
    )


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 120), st.integers(0, 3))
def test_packed_batches_hold_every_clip_once_within_the_budget(clip_lengths, budget, epoch):
    batches = plan_epoch(clip_lengths, budget, 0, epoch, packed=True)
    assert sorted(index for batch in batches for index in batch) == list(range(len(clip_lengths)))
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        total = sum(clip_lengths[index] for index in batch)
        assert total <= budget or len(batch) == 1
        if following:
            assert total + clip_lengths[following[0]] > budget


def test_code_dropout_keeps_the_first_step_of_every_packed_clip():
    clips = RandomClips([random.Random(number).randint(3, 9) for number in range(12)])
    (batch,) = TrainingBatches(clips, TINY, 400, Dropout(0.0, 0.9), 0, Span(0, 1), packed=True)
    starts = torch.tensor([0, *batch.packing.steps[:-1]]).cumsum(0)
    is_bos = (batch.inputs_BTC[0] == TINY.decoder.bos).all(1)
    assert len(starts) == 12 and is_bos[starts].all()
    assert (batch.inputs_BTC[0] == TINY.decoder.pad).all(1).float().mean() > 0.5
