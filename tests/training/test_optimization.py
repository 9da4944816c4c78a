import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.training.groups import GROUPS, group_of
from dia.training.lora import LoraConfig, add_adapters
from dia.training.optimization import OptimConfig, build_optimizer
from dia.training.schedule import ScheduleConfig, build_schedule, share_at

SHARES = st.floats(0, 1)


def test_decay_reaches_matrices_only(tiny):
    decayed, rest = build_optimizer(tiny, OptimConfig()).param_groups
    assert decayed["weight_decay"] > 0 and rest["weight_decay"] == 0
    assert len(decayed["params"]) + len(rest["params"]) == len(list(tiny.parameters()))
    embeddings = {id(tiny.encoder.embedding.weight), id(tiny.decoder.embeddings.embed.weight)}
    assert {id(parameter) for parameter in rest["params"]} >= embeddings
    assert all(parameter.ndim == 2 for parameter in decayed["params"])


def test_a_kind_may_have_a_decay_of_its_own(tiny):
    changed = {"embeddings": 0.3, "head": 0.2}
    groups = build_optimizer(tiny, OptimConfig(weight_decay=0.1, group_decay=changed)).param_groups
    wanted = {"embeddings": 0.3, "head": 0.2, "matrices": 0.1, "norms": 0.0}
    names = {id(parameter): group_of(name, parameter) for name, parameter in tiny.named_parameters()}
    assert [group["weight_decay"] for group in groups] == [0.3, 0.2, 0.1, 0.0]
    assert all(wanted[names[id(weight)]] == group["weight_decay"] for group in groups for weight in group["params"])


def test_only_adapters_are_optimized_when_there_are_some(tiny):
    add_adapters(tiny, LoraConfig(2))
    (group,) = build_optimizer(tiny, OptimConfig(group_decay={"adapters": 0.5})).param_groups
    assert group["weight_decay"] == 0.5 and len(group["params"]) == sum(weight.requires_grad for weight in tiny.parameters())


def test_wrong_decays_are_named():
    found = " ".join(OptimConfig(learning_rate=0, weight_decay=-1, group_decay={"biases": 0.1, "norms": -2}).problems())
    for part in ("learning_rate=0", "weight_decay=-1", f"biases; its kinds are {', '.join(GROUPS)}", "norms=-2"):
        assert part in found, part


@pytest.mark.parametrize("kind", ["cosine", "wsd"])
def test_schedule_warms_up_and_falls(tiny, kind):
    optimizer = build_optimizer(tiny, OptimConfig(learning_rate=1.0))
    schedule, rates = build_schedule(optimizer, ScheduleConfig(10, 0.1, kind), 100), []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == 0.1 and max(rates) == rates[10] == 1.0 and abs(optimizer.param_groups[0]["lr"] - 0.1) < 1e-6
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_wsd_stays_on_its_plateau_whatever_the_length():
    config = ScheduleConfig(10, 0.0, "wsd", decay_fraction=0.25)
    short, long = ([share_at(step, steps, config) for step in range(steps)] for steps in (100, 200))
    assert short[:76] == long[:76] and set(short[10:76]) == {1.0}
    assert share_at(84, 100, config) == pytest.approx(1 - (9 / 25) ** 0.5) and share_at(100, 100, config) == 0.0


@given(st.integers(1, 500), st.sampled_from(["cosine", "wsd"]), SHARES, SHARES, SHARES)
def test_a_share_is_a_share_for_any_settings(steps, kind, warmup, decay, final):
    config = ScheduleConfig(None, final, kind, warmup, decay)
    shares = [share_at(step, steps, config) for step in range(steps + 5)]
    assert not config.problems() and all(0 <= share <= 1 for share in shares)
    assert shares[-1] == pytest.approx(final)


def test_warm_up_is_given_once(tiny, caplog):
    assert ScheduleConfig(None, warmup_fraction=0.1).warmup(50) == 5 and not ScheduleConfig(None, warmup_fraction=0.1).problems()
    for both in (ScheduleConfig(10, warmup_fraction=0.1), ScheduleConfig(None)):
        assert "give one of them" in both.problems()[0]
    found = " ".join(ScheduleConfig(0, 2.0, "step", decay_fraction=-1).problems())
    assert all(part in found for part in ("warmup_steps=0", "final_fraction=2.0", "kind=step", "decay_fraction=-1"))
    with caplog.at_level(logging.WARNING):
        build_schedule(build_optimizer(tiny, OptimConfig()), ScheduleConfig(10), 10)
    assert "does not reach its highest in 10 steps" in caplog.text
