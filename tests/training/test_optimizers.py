import logging
import textwrap

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.config.lora import LoraConfig
from dia.config.optimizer import PARAM_GROUPS, OptimConfig, ScheduleConfig
from dia.network import DiaNetwork
from dia.training.lora import add_adapters
from dia.training.loss import channel_weights
from dia.training.objectives.cross_entropy import CrossEntropy
from dia.training.optimizers import build_optimizer, param_group
from dia.training.schedule import build_schedule, share_at
from dia.training.shared_muon import split_by_cost
from tests.conftest import TINY
from tests.processes import run_ranks
from tests.training.clips import RandomClips

SHARES = st.floats(0, 1)


def test_decay_reaches_matrices_only(tiny):
    decayed, rest = build_optimizer(tiny, OptimConfig()).param_groups
    assert decayed["weight_decay"] > 0 and rest["weight_decay"] == 0
    assert len(decayed["params"]) + len(rest["params"]) == len(list(tiny.parameters()))
    embeddings = {id(tiny.encoder.embedding.weight), id(tiny.decoder.embeddings.embed.weight)}
    assert {id(parameter) for parameter in rest["params"]} >= embeddings
    assert all(parameter.ndim == 2 for parameter in decayed["params"])


def test_a_kind_of_parameter_can_have_its_own_weight_decay(tiny):
    changed = {"embeddings": 0.3, "head": 0.2}
    groups = build_optimizer(tiny, OptimConfig(weight_decay=0.1, weight_decay_by_group=changed)).param_groups
    wanted = {"embeddings": 0.3, "head": 0.2, "matrices": 0.1, "norms": 0.0}
    names = {id(parameter): param_group(name, parameter) for name, parameter in tiny.named_parameters()}
    assert [group["weight_decay"] for group in groups] == [0.3, 0.2, 0.1, 0.0]
    assert all(
        wanted[names[id(weight)]] == group["weight_decay"] for group in groups for weight in group["params"]
    )


def test_only_adapters_are_optimized_if_present(tiny):
    add_adapters(tiny, LoraConfig(2))
    (group,) = build_optimizer(tiny, OptimConfig(weight_decay_by_group={"adapters": 0.5})).param_groups
    assert group["weight_decay"] == 0.5 and len(group["params"]) == sum(
        weight.requires_grad for weight in tiny.parameters()
    )


def test_wrong_weight_decays_are_reported():
    messages = " ".join(
        OptimConfig(
            learning_rate=0, weight_decay=-1, weight_decay_by_group={"biases": 0.1, "norms": -2}
        ).problems()
    )
    for part in (
        "learning_rate=0",
        "weight_decay=-1",
        f"biases; its groups are {', '.join(PARAM_GROUPS)}",
        "norms=-2",
    ):
        assert part in messages, part


@pytest.mark.parametrize("kind", ["cosine", "wsd"])
def test_the_schedule_warms_up_and_decays(tiny, kind):
    optimizer = build_optimizer(tiny, OptimConfig(learning_rate=1.0))
    schedule, rates = build_schedule(optimizer, ScheduleConfig(10, 0.1, kind), 100), []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert (
        rates[0] == 0.1
        and max(rates) == rates[10] == 1.0
        and abs(optimizer.param_groups[0]["lr"] - 0.1) < 1e-6
    )
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_wsd_stays_on_its_plateau_whatever_the_length():
    config = ScheduleConfig(10, 0.0, "wsd", decay_fraction=0.25)
    short, long = ([share_at(step, steps, config) for step in range(steps)] for steps in (100, 200))
    assert short[:76] == long[:76] and set(short[10:76]) == {1.0}
    assert (
        share_at(84, 100, config) == pytest.approx(1 - (9 / 25) ** 0.5) and share_at(100, 100, config) == 0.0
    )


@given(st.integers(1, 500), st.sampled_from(["cosine", "wsd"]), SHARES, SHARES, SHARES)
def test_the_rate_is_a_fraction_of_its_maximum_for_any_settings(steps, kind, warmup, decay, final):
    config = ScheduleConfig(None, final, kind, warmup, decay)
    shares = [share_at(step, steps, config) for step in range(steps + 5)]
    assert not config.problems() and all(0 <= share <= 1 for share in shares)
    assert shares[-1] == pytest.approx(final)


def test_warm_up_is_configured_in_one_place(tiny, caplog):
    assert (
        ScheduleConfig(None, warmup_fraction=0.1).warmup(50) == 5
        and not ScheduleConfig(None, warmup_fraction=0.1).problems()
    )
    for both in (ScheduleConfig(10, warmup_fraction=0.1), ScheduleConfig(None)):
        assert "give one of them" in both.problems()[0]
    messages = " ".join(ScheduleConfig(0, 2.0, decay_fraction=-1).problems())
    assert all(part in messages for part in ("warmup_steps=0", "final_fraction=2.0", "decay_fraction=-1"))
    with caplog.at_level(logging.WARNING):
        build_schedule(build_optimizer(tiny, OptimConfig()), ScheduleConfig(10), 10)
    assert "does not reach its highest value in 10 steps" in caplog.text


KINDS = ("adamw", "adamw8bit", "muon")


@torch.compiler.set_stance("force_eager")  # torchao compiles its steps, which takes a minute on a CPU
def train_steps(kind, steps, state=None, sequence=RandomClips([12, 20, 7, 15])):
    """Train for these steps, optionally from a state; return the network, the optimizer and the loss."""
    torch.manual_seed(0)
    network = DiaNetwork(TINY)
    optimizer = build_optimizer(network, OptimConfig(learning_rate=0.01, kind=kind))
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    for number in steps:
        sums = CrossEntropy()(network, sequence.batch(number % 4))
        ((channel_weights(4, 4.0) * sums.cross_entropy_C).sum() / sums.count_C.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network, optimizer, float(sums.cross_entropy_C.sum() / sums.count_C.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_every_optimizer_trains_and_resumes_from_its_state(kind, tmp_path):
    _, _, first = train_steps(kind, range(1))
    network, optimizer, _ = train_steps(kind, range(7))
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state")
    whole, _, last = train_steps(kind, range(13))
    resumed, _, _ = train_steps(kind, range(7, 13), torch.load(tmp_path / "state", weights_only=True))
    assert last < first - 0.5
    assert all(
        torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters(), strict=True)
    )


def test_muon_optimizes_the_matrices_of_layers_and_the_schedule_sets_both_rates(tiny):
    optimizer = build_optimizer(tiny, OptimConfig(learning_rate=1.0, kind="muon"))
    kinds = {id(parameter): param_group(name, parameter) for name, parameter in tiny.named_parameters()}
    by = {0: set(), 1: set()}
    for group in optimizer.param_groups:
        by[group["by"]] |= {kinds[id(weight)] for weight in group["params"]}
    assert by == {0: {"matrices"}, 1: {"head", "embeddings", "norms"}}
    build_schedule(optimizer, ScheduleConfig(10), 100)
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}


SHARED = """
    import torch
    import torch.distributed as dist
    from tests.training.test_optimizers import train_steps

    torch.set_num_threads(1)
    alone, state, _ = train_steps("muon", range(5))
    dist.init_process_group("gloo")
    shared, shared_state, _ = train_steps("muon", range(5))
    pairs = list(zip(alone.parameters(), shared.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    for one, other in pairs:
        first, second = state.state[one], shared_state.state[other]
        assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    dist.destroy_process_group()
"""


def test_processes_share_the_work_of_muon_and_get_the_weights_and_state_of_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SHARED))
    for done in run_ranks(script, cwd=tmp_path):
        assert done.returncode == 0, done.stderr[-3000:]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=20), st.integers(1, 4))
def test_the_parts_of_the_work_have_similar_costs(shapes, count):
    weights = [torch.zeros(shape) for shape in shapes]
    parts = split_by_cost(weights, count)
    assert sorted(id(weight) for part in parts for weight in part) == sorted(map(id, weights))
    costs = {
        id(weight): min(weight.shape) ** 2 * (2 * max(weight.shape) + min(weight.shape)) for weight in weights
    }
    loads = [sum(costs[id(weight)] for weight in part) for part in parts]
    assert max(loads) - min(loads) <= max(costs.values(), default=0)


def test_8_bit_moments_take_a_quarter_of_the_memory():
    def size(kind):
        _, optimizer, _ = train_steps(kind, range(1))
        tensors = [
            part
            for state in optimizer.state.values()
            for part in state.values()
            if isinstance(part, torch.Tensor)
        ]
        flat = [
            getattr(tensor, name) for tensor in tensors for name in getattr(tensor, "tensor_attrs", ["data"])
        ]
        return sum(part.numel() * part.element_size() for part in flat)

    assert size("adamw8bit") < 0.5 * size("adamw")  # states of fewer than 4,096 numbers stay in fp32


def test_an_unknown_optimizer_is_reported():
    with pytest.raises(ValueError, match="kind=sgd is unknown; choose one of adamw, adamw8bit, muon"):
        OptimConfig(kind="sgd")
