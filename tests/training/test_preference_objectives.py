"""Preference objectives against independent implementations, written from the papers with plain loops."""

import copy
import math
from dataclasses import replace

import lightning as L
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from dia.config.choices import LossNormalization
from dia.config.lora import LoraConfig
from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.config.preference import GrpoConfig, PreferenceConfig
from dia.data.collation import Example, collate
from dia.data.rollout_scripts import GroupBatch
from dia.network import DiaNetwork
from dia.training.copies import copy_of
from dia.training.dia_module import DiaModule
from dia.training.lora import add_adapters
from dia.training.objectives.dpo import DirectPreferenceOptimization
from dia.training.objectives.grpo import GroupRelativePolicyOptimization, group_advantages
from dia.training.objectives.ipo import IdentityPreferenceOptimization
from dia.training.objectives.simpo import SimplePreferenceOptimization
from dia.training.reference_policy import ReferencePolicy
from dia.training.token_likelihood import token_log_probabilities
from tests.conftest import TINY
from tests.training.test_objectives import Seen

EOS = TINY.decoder.eos


def takes(count, seed=0, prompt=0):
    """Takes of random lengths; every third has reached its length limit."""
    rng = torch.Generator().manual_seed(seed)
    made = []
    for number in range(count):
        frames = prompt + int(torch.randint(2, 14, (), generator=rng))
        text = torch.randint(1, 200, (6 + number // 2,), generator=rng)
        codes = torch.randint(0, TINY.decoder.codebook_size, (frames, TINY.channels), generator=rng)
        made.append(Example(f"take-{number}", text, codes, prompt, number % 3 != 2))
    return made


def batch_of(examples):
    return collate(examples, [False] * len(examples), TINY)


def networks(seed=0):
    """Return a policy in double precision, and a reference with other weights."""
    torch.manual_seed(seed)
    reference = DiaNetwork(TINY).double()
    policy = copy.deepcopy(reference)
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return policy, reference


def log_likelihood(network, example):
    """Sum the log probabilities of one take alone, step by step and channel by channel.

    Channel c of frame f is drawn at step f + delay c; EOS is drawn in channel 0 only.
    """
    batch = batch_of([example])
    logits = network(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC).log_softmax(-1)
    total, tokens = 0.0, 0
    for frame in range(example.prompt_frames, len(example.codes_TC)):
        for channel, delay in enumerate(TINY.delays):
            total = total + logits[0, frame + delay, channel, int(example.codes_TC[frame, channel])]
            tokens += 1
    if example.ended:
        total, tokens = total + logits[0, len(example.codes_TC), 0, EOS], tokens + 1
    return total, tokens


def paper_loss(kind, margin, settings):
    if kind == "dpo":
        return torch.log1p(torch.exp(-settings.beta * margin))
    if kind == "simpo":
        return torch.log1p(torch.exp(-settings.beta * (margin - settings.simpo_margin)))
    return (margin - 1 / (2 * settings.beta)) ** 2


def expected_pair_loss(kind, policy, reference, examples, settings):
    """Return the summed loss of pairs by the formulas of the papers."""
    losses = []
    for chosen, rejected in zip(examples[0::2], examples[1::2], strict=True):
        values = []
        for example in (chosen, rejected):
            own, tokens = log_likelihood(policy, example)
            with torch.no_grad():
                other, _ = log_likelihood(reference, example)
            score = own if kind == "simpo" else own - other
            normalized = settings.length_normalized or kind != "dpo"
            values.append(score / tokens if normalized else score)
        losses.append(paper_loss(kind, values[0] - values[1], settings))
    return sum(losses)


PAIRWISE = {
    "dpo": DirectPreferenceOptimization,
    "ipo": IdentityPreferenceOptimization,
    "simpo": SimplePreferenceOptimization,
}


@pytest.mark.parametrize("kind", list(PAIRWISE))
@pytest.mark.parametrize("prompt", [0, 3])
@pytest.mark.parametrize("normalized", [False, True])
def test_pairwise_losses_and_gradients_equal_an_independent_implementation(kind, prompt, normalized):
    policy, reference = networks()
    again, examples = copy.deepcopy(policy), takes(6, prompt=prompt)
    chosen = PreferenceConfig(beta=0.3, length_normalized=normalized)
    objective = PAIRWISE[kind](ReferencePolicy(reference) if kind != "simpo" else None, chosen, piece=7)
    sums = objective(policy, batch_of(examples))
    wanted = expected_pair_loss(kind, again, reference, examples, chosen)
    torch.testing.assert_close(sums.total(torch.ones(4)), wanted, rtol=1e-9, atol=1e-9)
    assert float(sums.count) == 3
    sums.total(torch.ones(4)).backward()
    wanted.backward()
    for (name, one), other in zip(policy.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-9, msg=name)


@settings(max_examples=12)
@given(st.integers(1, 4), st.integers(0, 99), st.integers(0, 4), st.integers(1, 40))
def test_the_likelihood_of_a_take_is_that_of_its_sampling(pairs, seed, prompt, piece):
    policy, _ = networks(seed)
    examples = takes(2 * pairs, seed, prompt)
    with torch.no_grad():
        log_B = token_log_probabilities(policy, batch_of(examples), piece).sum((1, 2))
        wanted = torch.stack([log_likelihood(policy, example)[0] for example in examples])
    torch.testing.assert_close(log_B, wanted, rtol=1e-9, atol=1e-9)


def test_the_reference_of_adapters_is_the_network_below_them():
    torch.manual_seed(0)
    network = DiaNetwork(TINY).double()
    base, batch = copy_of(network), batch_of(takes(4))
    add_adapters(network, LoraConfig(rank=2))
    network.double()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("lora_B"):
                weight.normal_()
        below = ReferencePolicy(None).token_log_probabilities(network, batch, 512)
        copied = ReferencePolicy(base).token_log_probabilities(network, batch, 512)
        own = token_log_probabilities(network, batch)
    assert torch.equal(below, copied)
    assert not torch.allclose(own, below)
    with pytest.raises(ValueError, match="no adapters"):
        ReferencePolicy(None).token_log_probabilities(base, batch, 512)


def grouped(examples, advantages, old, **values):
    batch = batch_of(examples)
    return GroupBatch(
        batch.ids,
        [],
        0,
        0,
        batch.text_BS,
        batch.text_mask_BS,
        batch.inputs_BTC,
        batch.targets_BTC,
        torch.tensor(advantages, dtype=torch.float64),
        old,
        **values,
    )


def expected_group_loss(policy, reference, behaviour, examples, advantages, config):
    """Return equation 3 of DeepSeekMath with the estimator of equation 4, as sums over takes or tokens."""
    total, samples = 0.0, 0
    for example, advantage in zip(examples, advantages, strict=True):
        batch = batch_of([example])
        inputs = (batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
        now = policy(*inputs).log_softmax(-1)
        with torch.no_grad():
            before, first = (network(*inputs).log_softmax(-1) for network in (behaviour, reference))
        terms = []
        places = [
            (frame + delay, channel, int(example.codes_TC[frame, channel]))
            for frame in range(len(example.codes_TC))
            for channel, delay in enumerate(TINY.delays)
        ]
        places += [(len(example.codes_TC), 0, EOS)] if example.ended else []
        for place in places:
            new, old, fixed = (each[(0, *place)] for each in (now, before, first))
            ratio = torch.exp(new - old)
            clipped = torch.clamp(ratio, 1 - config.clip, 1 + config.clip)
            gain = torch.min(ratio * advantage, clipped * advantage)
            divergence = torch.exp(fixed - new) - (fixed - new) - 1
            terms.append(gain - config.kl_weight * divergence)
        by_take = config.normalization is LossNormalization.sequence
        total = total - (sum(terms) / len(terms) if by_take else sum(terms))
        samples += 1 if by_take else len(terms)
    return total, samples


@pytest.mark.parametrize("normalization", list(LossNormalization))
def test_grpo_and_its_gradient_equal_an_independent_implementation(normalization):
    policy, reference = networks()
    behaviour, _ = networks(1)
    with torch.no_grad():  # between both, so that some ratios are clipped and some are not
        for weight, own in zip(behaviour.parameters(), policy.parameters(), strict=True):
            weight.copy_(own + 0.03 * torch.randn_like(own))
    again, examples = copy.deepcopy(policy), takes(6)
    config = GrpoConfig(normalization=normalization, kl_weight=0.1)
    advantages = group_advantages(torch.tensor([[0.1, 0.5, 0.9], [2.0, 2.0, -1.0]]), normalize=True)
    old = token_log_probabilities(behaviour, batch_of(examples)).detach()
    sums = GroupRelativePolicyOptimization(ReferencePolicy(reference), config, piece=5)(
        policy, grouped(examples, advantages.flatten().tolist(), old)
    )
    wanted, samples = expected_group_loss(
        again, reference, behaviour, examples, advantages.flatten().double(), config
    )
    torch.testing.assert_close(sums.total(torch.ones(4)), wanted, rtol=1e-6, atol=1e-6)
    assert float(sums.count) == samples
    assert 0 < float(sums.clipped) < float(sums.tokens)
    sums.total(torch.ones(4)).backward()
    wanted.backward()
    for (name, one), other in zip(policy.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6, msg=name)


def test_equal_rewards_teach_nothing():
    assert not group_advantages(torch.full((2, 4), 0.7), normalize=True).any()
    advantages = group_advantages(torch.tensor([[0.0, 1.0]]), normalize=True)
    assert advantages.tolist() == [
        [pytest.approx(-math.sqrt(0.5), rel=1e-3), pytest.approx(math.sqrt(0.5), rel=1e-3)]
    ]


def trained(objective, batches, accumulate):
    """Train a copy of the tiny policy on these batches; return its parameters and the logged metrics."""
    policy, _ = networks()
    task = DiaModule(policy, objective, OptimConfig(max_grad_norm=0.5), ScheduleConfig(2), 10, 4.0)
    seen = Seen()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=1,
        accumulate_grad_batches=accumulate,
        logger=seen,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        precision="64-true",
        log_every_n_steps=1,
    )
    trainer.fit(task, DataLoader(batches, batch_size=None))
    return list(policy.parameters()), seen.metrics


@pytest.mark.parametrize("parts", [[[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 1], [2, 3], [4, 5, 6, 7]]])
def test_micro_batches_of_pairs_train_like_the_whole(parts):
    examples, (_, reference) = takes(8), networks()
    objective = DirectPreferenceOptimization(ReferencePolicy(reference), PreferenceConfig())
    whole, logged = trained(objective, [batch_of(examples)], 1)
    pieces, of_pieces = trained(
        objective, [batch_of([examples[place] for place in part]) for part in parts], len(parts)
    )
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    assert of_pieces == pytest.approx(logged, rel=1e-9)


@pytest.mark.parametrize("normalization", list(LossNormalization))
def test_micro_batches_of_groups_train_like_the_whole(normalization):
    examples, (policy, reference) = takes(8), networks()
    advantages = [0.5, -0.5, 1.0, -1.0, 0.2, 0.3, -0.1, -0.4]
    objective = GroupRelativePolicyOptimization(
        ReferencePolicy(reference), GrpoConfig(normalization=normalization)
    )

    def part(places):
        chosen = [examples[place] for place in places]
        old = token_log_probabilities(policy, batch_of(chosen)).detach()
        return grouped(chosen, [advantages[place] for place in places], old)

    whole, logged = trained(objective, [part(range(8))], 1)
    pieces, of_pieces = trained(objective, [part([0, 1, 2]), part([3]), part([4, 5, 6, 7])], 3)
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    assert of_pieces == pytest.approx(logged, rel=1e-9)


def test_padding_pairs_of_validation_are_not_counted():
    policy, reference = networks()
    objective = DirectPreferenceOptimization(ReferencePolicy(reference), PreferenceConfig())
    batch = batch_of(takes(4))
    masked = replace(batch, targets_BTC=torch.full_like(batch.targets_BTC, TINY.decoder.pad))
    sums = objective(policy, masked)
    assert float(sums.count) == 0
    assert float(sums.total(torch.ones(4))) == 0
    assert torch.isfinite(sums.total(torch.ones(4)))
