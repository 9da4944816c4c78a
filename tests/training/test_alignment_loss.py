"""The alignment loss: all monotonic paths of the audio through the text, in cross-attention."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.config.alignment import AlignmentConfig
from dia.data.collation import collate
from dia.network import DiaNetwork
from dia.training.activation_checkpointing import checkpoint_activations, compile_layers
from dia.training.alignment_loss import BLANK, UNIT, alignment_loss
from dia.training.loss import channel_weights
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips

ALIGNED = AlignmentConfig(0.3, layers=[0, 1], heads=1)
CLIPS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 40), st.booleans(), st.booleans()), min_size=1, max_size=5
)


def clips_of(shapes, *, packed=False):
    """Collate clips of (frames, bytes, has its end, has its text)."""
    texts = [torch.randint(1, 200, (size,)) for _, size, _, _ in shapes]
    clips = RandomClips([shape[0] for shape in shapes], texts=texts).clips
    examples = [replace(clip, ended=shape[2]) for clip, shape in zip(clips, shapes, strict=True)]
    return collate(examples, [not shape[3] for shape in shapes], TINY, packed=packed)


def recorded(network, batch, layers=(0, 1)):
    with network.decoder.record_cross_attention(layers) as pairs:
        network.features(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC, batch.packing)
    return pairs


def likelihood_of_all_paths(queries_TH, keys_SH):
    """Return the likelihood by enumeration: labels of every step, joined as CTC does, give all units."""
    scores = (queries_TH @ keys_SH.T).double().tolist()
    units = math.ceil(len(keys_SH) / UNIT)
    steps = []
    for row in scores:
        masses = [math.exp(BLANK)] + [
            sum(map(math.exp, row[unit * UNIT : (unit + 1) * UNIT])) for unit in range(units)
        ]
        steps.append([mass / sum(masses) for mass in masses])
    total = 0.0
    for path in itertools.product(range(units + 1), repeat=len(scores)):
        if [label for label, _ in itertools.groupby(path) if label] == list(range(1, units + 1)):
            total += math.prod(step[label] for step, label in zip(steps, path, strict=True))
    return total


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 5), st.integers(1, 6))
def test_the_loss_is_the_likelihood_of_all_paths(frames, text_bytes):
    torch.manual_seed(frames)
    network, batch = DiaNetwork(TINY), clips_of([(frames + 1, text_bytes, True, True)])
    pairs = recorded(network, batch)
    wanted = 0.0
    for queries, keys in pairs:
        likelihood = likelihood_of_all_paths(queries[0, 0, : frames + 2], keys[0, 0])
        wanted -= math.log(likelihood) / len(pairs) if likelihood else 0.0
    assert alignment_loss(pairs, batch, 1, TINY.decoder.eos).item() == pytest.approx(wanted, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(CLIPS)
def test_a_batch_has_the_loss_of_its_clips_padded_or_packed(shapes):
    torch.manual_seed(0)
    network = DiaNetwork(TINY)
    torch.manual_seed(1)
    padded = clips_of(shapes)
    torch.manual_seed(1)
    packed = clips_of(shapes, packed=True)
    loss, loss_packed = (
        alignment_loss(recorded(network, batch), batch, 1, TINY.decoder.eos) for batch in (padded, packed)
    )
    alone = 0.0
    for row, (_, size, _, _) in enumerate(shapes):
        clip = replace(
            padded,
            text_BS=padded.text_BS[row : row + 1, :size],
            text_mask_BS=padded.text_mask_BS[row : row + 1, :size],
            inputs_BTC=padded.inputs_BTC[row : row + 1],
            targets_BTC=padded.targets_BTC[row : row + 1],
        )
        alone += alignment_loss(recorded(network, clip), clip, 1, TINY.decoder.eos).item()
    assert loss.item() == pytest.approx(alone, rel=1e-4, abs=1e-4)
    assert loss_packed.item() == pytest.approx(alone, rel=1e-4, abs=1e-4)


def test_clips_without_text_or_without_their_end_have_no_loss():
    network, batch = DiaNetwork(TINY), clips_of([(9, 4, True, False), (9, 4, False, True)])
    loss = alignment_loss(recorded(network, batch), batch, 1, TINY.decoder.eos)
    loss.backward()
    assert loss.item() == 0.0


def gradients(change=lambda network: None, alignment=ALIGNED):
    torch.manual_seed(0)
    network = DiaNetwork(TINY)
    change(network)
    sums = CrossEntropy(1.0, alignment=alignment)(network, RandomClips([19, 22, 30]).batch(0, 1, 2))
    sums.total(channel_weights(TINY.channels, 1.0)).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}, sums


def test_the_loss_changes_the_gradient_but_not_the_cross_entropy():
    plain, sums = gradients(alignment=None)
    aligned, aligned_sums = gradients()
    weights_C = channel_weights(TINY.channels, 1.0)
    names = [name for name in plain if not torch.allclose(plain[name], aligned[name], rtol=1e-4)]
    assert any("cross_attention.q_proj" in name for name in names)
    assert any("cross_attention.k_proj" in name for name in names)
    metrics, aligned_metrics = (each.detach().metrics(weights_C) for each in (sums, aligned_sums))
    assert aligned_metrics.pop("alignment") > 0
    assert aligned_metrics == pytest.approx(metrics)


@pytest.mark.parametrize(
    "change",
    [
        lambda network: checkpoint_activations(network, "layers"),
        lambda network: checkpoint_activations(network, "mlp"),
        lambda network: compile_layers(network, "eager"),
    ],
)
def test_recomputed_and_compiled_layers_give_the_same_gradients(change):
    reference, changed = gradients()[0], gradients(change)[0]
    for name, gradient in reference.items():
        torch.testing.assert_close(changed[name], gradient, rtol=1e-4, atol=1e-6)


def test_training_on_the_loss_alone_aligns_text_and_audio():
    torch.manual_seed(0)
    network = DiaNetwork(TINY)
    batch = clips_of([(24, 16, True, True), (30, 18, True, True)])
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = alignment_loss(recorded(network, batch), batch, 1, TINY.decoder.eos)
        loss.backward()
        optimizer.step()
    for queries, keys in recorded(network, batch):
        for row, (frames, size, _, _) in enumerate([(24, 16, 1, 1), (30, 18, 1, 1)]):
            unit_T = (queries[row, 0, : frames + 1] @ keys[row, 0, :size].T).argmax(-1) // UNIT
            assert (unit_T.diff() >= 0).float().mean() > 0.9 and unit_T[-1] - unit_T[0] >= size // UNIT - 2


def test_impossible_values_are_problems():
    problems = AlignmentConfig(0.1, layers=[0, TINY.decoder.layers], heads=99).problems(TINY)
    assert len(problems) == 2 and "alignment.layers" in problems[0] and "alignment.heads" in problems[1]
    assert AlignmentConfig(-1.0).problems(TINY) and not AlignmentConfig(0.0, heads=99).problems(TINY)
