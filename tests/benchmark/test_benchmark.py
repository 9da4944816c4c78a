"""The variants of the generation benchmark are comparable: same weights, same number of steps."""

import json
import resource

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dia.benchmark.decoding import time_dia_steps, time_dia_steps_at, time_transformers_steps
from dia.benchmark.measure import Measurements, bandwidth_share, slowdown
from dia.benchmark.memory import peak_memory
from dia.benchmark.networks import (
    base_network,
    cache_bytes_per_step,
    make_models,
    random_network,
    transformers_model,
    variant_network,
    weight_bytes_per_step,
)
from dia.benchmark.timing import READ, read_bandwidth
from dia.benchmark.variants import Variant
from dia.checkpoint import save_checkpoint
from dia.network import DiaConfig
from tests.conftest import TINY
from tests.network.test_network import inputs
from tests.processes import run_door

CPU = torch.device("cpu")


@given(st.sampled_from(["dia", "transformers"]), st.sampled_from(["fp32", "bf16", "fp16"]), st.booleans())
def test_a_variant_is_parsed_from_its_name(implementation, weights, compiled):
    variant = Variant(implementation, weights, compiled)
    assert Variant.parse(str(variant)) == variant


@pytest.mark.parametrize(
    "name", ["", "dia", "nari-fp32", "transformers-int8", "dia-int3", "dia-fp32-fast", "dia-fp32-compiled-x"]
)
def test_unknown_variants_are_rejected(name):
    with pytest.raises(ValueError, match="is unknown; use dia-WEIGHTS"):
        Variant.parse(name)


def test_a_step_of_dia_reads_the_bytes_of_the_reference():
    """1.265 G parameters, 2.53 GB in 16 bits; .53 GB of keys and values in 16 bits after all 3,072 steps,
    text included.
    """
    config = DiaConfig()
    assert weight_bytes_per_step(config, "bf16") == pytest.approx(2.53e9, rel=0.01)
    assert (
        weight_bytes_per_step(config, "fp32")
        == 4 * weight_bytes_per_step(config, "int8")
        == 2 * weight_bytes_per_step(config, "bf16")
    )
    text = 2 * 2 * 18 * 2 * 1_024 * 16 * 128
    assert cache_bytes_per_step(config, "bf16", 3_072) + text == pytest.approx(0.53e9, rel=0.02)


@torch.no_grad()
def test_variants_share_their_weights_and_agree(tiny):
    text, mask, tokens = inputs()
    expected = tiny(text, mask, tokens)
    assert variant_network(tiny, "fp32") is tiny
    for weights, error in (("bf16", 0.05), ("int8", 0.05), ("int4", 0.4)):
        network = variant_network(tiny, weights)
        difference = (network(text, mask, tokens) - expected).norm() / expected.norm()
        assert 0 < difference < error
        assert network.decoder.norm.weight.dtype == torch.float32
    model = transformers_model(tiny)
    assert model.logits_dense.weight.data_ptr() == tiny.logits_dense.weight.data_ptr()
    logits = model(input_ids=text, attention_mask=mask.long(), decoder_input_ids=tokens).logits
    torch.testing.assert_close(logits.view(2, 4, 7, 36).transpose(1, 2), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("weights", ["fp32", "bf16", "int8", "int4"])
def test_random_networks_decode(weights):
    network = random_network(TINY, weights, CPU)
    prefill, steps = time_dia_steps(network, 20, False)
    assert prefill > 0 and len(steps) == 20 and min(steps) > 0


def test_a_random_network_does_not_end_during_the_measurement():
    network = base_network(TINY, "random", CPU)
    assert len(time_dia_steps(network, 60, False)[1]) == 60
    assert not network.logits_dense.weight[TINY.decoder.eos].any()


def test_transformers_takes_the_requested_steps(tiny):
    prefill, steps = time_transformers_steps(transformers_model(tiny), TINY, 12, False)
    assert prefill > 0 and len(steps) == 12 and min(steps) > 0


def test_steps_are_timed_at_the_requested_positions(tiny):
    lengths, step = [], tiny.decoder.next_features
    tiny.decoder.next_features = lambda tokens, cache: (
        lengths.append(int(cache.position_B.max())),
        step(tokens, cache),
    )[1]
    measured = time_dia_steps_at(tiny, (40, 10), 5, False)
    assert {position: len(times) for position, times in measured.items()} == {10: 5, 40: 5}
    assert lengths == [*range(10, 18), *range(40, 48)]


def test_bandwidth_share_and_slowdown_follow_their_definitions():
    measurements, variant, config = Measurements(bandwidth=1e9), Variant.parse("dia-fp32"), DiaConfig()
    measurements.step.add("dia-fp32", [2 * weight_bytes_per_step(config, "fp32") / 1e9] * 3)
    assert bandwidth_share(measurements, config, variant) == pytest.approx(0.5)
    assert slowdown(measurements, config, variant) is None
    explained = cache_bytes_per_step(config, "fp32", 1_900) / 1e9
    measurements.early.add("dia-fp32", [1.0])
    measurements.late.add("dia-fp32", [1.1 + explained])
    assert slowdown(measurements, config, variant) == pytest.approx(0.1)


def test_the_memory_bandwidth_is_plausible():
    assert 1e9 < read_bandwidth(CPU, 2) < 1e12 and READ >= 1 << 29


def test_peak_memory_excludes_this_process(tiny, tmp_path):
    ballast = np.ones(1 << 27)  # a gibibyte
    save_checkpoint(tiny, tmp_path / "model", None)
    for weights in ("random", str(tmp_path / "model")):
        size = peak_memory(Variant.parse("dia-int8"), TINY, weights, CPU)
        assert 1e8 < size < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert ballast.all()
    with pytest.raises(RuntimeError, match="measuring the memory of dia-int8 failed"):
        peak_memory(Variant.parse("dia-int8"), TINY, str(tmp_path / "nothing"), CPU)


def test_each_variant_has_a_model(tiny):
    names = ["dia-fp32", "dia-fp32-compiled", "transformers-fp32", "dia-int8"]
    models = make_models(tiny, [Variant.parse(name) for name in names])
    assert [str(variant) for variant in models] == names
    assert models[Variant.parse("dia-fp32")] is models[Variant.parse("dia-fp32-compiled")] is tiny


def bench(*arguments, cwd):
    return run_door("bench", *arguments, cwd=cwd)


def test_the_command_measures_and_writes_its_results(tmp_path):
    done = bench(
        "model=nano",
        "weights=random",
        "codec.name=codec_nano",
        "variants=[dia-int8,transformers-fp32]",
        "threads=1",
        "rounds=1",
        "steps=8",
        "seconds=1",
        "batch=2",
        "out=results.json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "times the fastest" in done.stdout and "a batch of 2" in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    assert (
        results["machine"]["torch"] == torch.__version__.split("+")[0]
        or results["machine"]["torch"] == torch.__version__
    )
    assert set(results["variants"]) == {"dia-int8", "transformers-fp32"}
    assert results["variants"]["transformers-fp32"]["speedup_over_fastest_transformers"] == 1.0
    measured = results["measured"]
    assert {len(measured[name]["dia-int8"]) for name in ("prefill", "speech", "first_audio", "memory")} == {1}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_all_invalid_settings_are_reported_at_once(tmp_path):
    done = run_door("bench", "device=tpu", cwd=tmp_path)
    assert done.returncode == 2 and "device=tpu" in done.stderr and "Traceback" not in done.stderr
    done = run_door(
        "bench", "variants=[dia-int3]", "rounds=0", "steps=1", "out=nowhere/results.json", cwd=tmp_path
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in ("dia-int3", "rounds=0", "steps=1", "nowhere"))
    missing = bench("weights=nothing", cwd=tmp_path)
    assert missing.returncode == 2 and "no checkpoint at nothing" in missing.stderr
    assert not list(tmp_path.iterdir())
