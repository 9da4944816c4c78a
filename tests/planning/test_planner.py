"""Compare plans with measurements: bytes of the allocator of torch, and operations that torch counts."""

from dataclasses import replace
from io import StringIO

import pytest
import torch
from omegaconf import OmegaConf
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from dia.config.choices import ActivationCheckpointing, Strategy
from dia.config.compose import compose
from dia.config.lora import LoraConfig
from dia.config.optimizer import OptimConfig
from dia.config.planning import PlanConfig
from dia.config.sampling import Sampling
from dia.errors import UserError
from dia.network import DecoderConfig, DiaConfig, DiaNetwork, EncoderConfig
from dia.pipelines.plan import gpus_of, job_of, plan
from dia.planning.memory_tracer import BatchShape, FakeBatch, LiveBytes, trace_all_layers, trace_step
from dia.planning.model_stats import STATE_BYTES, ModelStats
from dia.planning.planner import GIGABYTE, Job, Planner
from dia.planning.suggestions import max_frames_that_fit, suggest
from dia.training.copies import copy_of
from dia.training.objectives.guided_distillation import GuidedDistillation
from dia.training.optimizers import build_optimizer
from tests.processes import run_door

SMALL = DiaConfig(
    EncoderConfig(layers=3, hidden_size=64, intermediate_size=256, heads=4, head_dim=16),
    DecoderConfig(
        layers=4,
        hidden_size=96,
        intermediate_size=384,
        heads=4,
        key_value_heads=2,
        head_dim=24,
        cross_heads=4,
        cross_head_dim=24,
        codebook_size=256,
        max_positions=1024,
    ),
    [0, 2, 3, 4],
)
WIDE = replace(
    SMALL,
    encoder=replace(SMALL.encoder, hidden_size=128),
    decoder=replace(SMALL.decoder, hidden_size=256, intermediate_size=1024, layers=5),
)
JOB = Job(1, Strategy.single, "32-true", "off", "adamw", 2000, 1, 100)


def distilled(network):
    return GuidedDistillation(copy_of(network), Sampling())


def allocated_at_most(step):
    """Return the peak of the bytes allocated by torch on the CPU during ``step``."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def measured_peak(trained, shape, job):
    """Return the peak memory of the second optimizer step, including the network."""
    network, target = trained.build(job.activations)(trained.model)
    network.train()
    optimizer, batch = build_optimizer(network, OptimConfig()), FakeBatch.of(shape, trained.model.channels)

    def step():
        for _ in range(job.accumulation):
            with torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bf16-mixed"):
                loss = target.loss(network, batch)
            loss.backward()
            del loss
        optimizer.step()
        optimizer.zero_grad()

    step()
    states = sum(state.nbytes for held in optimizer.state.values() for state in held.values())
    weights = sum(
        parameter.nbytes for module in (network, *target.teachers) for parameter in module.parameters()
    )
    return weights + states + allocated_at_most(step)


@pytest.mark.parametrize(
    "config, frames, precision, accumulate, activations",
    [
        *((SMALL, 1000, "32-true", 1, activations) for activations in ActivationCheckpointing),
        *((SMALL, 400, "bf16-mixed", 2, activations) for activations in ActivationCheckpointing),
        (WIDE, 400, "bf16-mixed", 1, "off"),
        (WIDE, 400, "bf16-mixed", 1, "layers"),
    ],
)
def test_planned_memory_agrees_with_the_allocator(config, frames, precision, accumulate, activations):
    planner = Planner(ModelStats(config, LoraConfig()), PlanConfig(clip_seconds=8.0), 25.0)
    job = replace(JOB, precision=precision, activations=activations, frames=frames, accumulation=accumulate)
    measured = measured_peak(planner.stats, planner.shape(job), job)
    assert planner.memory(job).total == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(
    "trained",
    [
        ModelStats(WIDE, LoraConfig(rank=4, dropout=0.1)),
        ModelStats(SMALL, LoraConfig(), distilled),
        ModelStats(WIDE, LoraConfig(), dropout=0.2),
    ],
)
def test_adapters_teachers_and_dropout_are_planned(trained):
    planner = Planner(trained, PlanConfig(clip_seconds=8.0), 25.0)
    job = replace(JOB, precision="bf16-mixed", frames=400)
    measured = measured_peak(trained, planner.shape(job), job)
    assert planner.memory(job).total == pytest.approx(measured, rel=0.1)
    if trained.frozen:
        assert (
            planner.memory(job).parts["optimizer states"]
            == 8 * trained.trained_count
            < 8 * trained.count / 20
        )
        assert (
            planner.work(job).computed
            < 0.75 * Planner(ModelStats(WIDE, LoraConfig()), planner.settings, 25.0).work(job).computed
        )
    if trained.teacher_count:
        assert planner.memory(job).parts["teacher"] == planner.memory(job).parts["weights"]


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_planned_states_have_the_size_of_optimizer_states(kind):
    network = DiaNetwork(SMALL)
    optimizer = build_optimizer(network, OptimConfig(kind=kind))
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    measured = sum(
        tensor.nbytes
        for state in optimizer.state.values()
        for name, tensor in state.items()
        if name != "step"
    )
    assert ModelStats(SMALL, LoraConfig()).state_bytes(kind) == measured and kind in STATE_BYTES


def test_planned_8_bit_states_have_the_size_of_those_of_torchao():
    network = DiaNetwork(SMALL)
    optimizer = build_optimizer(
        network, OptimConfig(kind="adamw8bit")
    )  # a step would be compiled, which takes minutes
    buffers = [
        optimizer._new_buffer(parameter, signed)
        for parameter in network.parameters()
        for signed in (True, False)
    ]
    measured = sum(
        tensor.codes.nbytes + tensor.scale.nbytes if hasattr(tensor, "codes") else tensor.nbytes
        for tensor in buffers
    )
    assert ModelStats(SMALL, LoraConfig()).state_bytes("adamw8bit") == measured


def test_the_tracker_counts_live_tensors():
    before = torch.zeros(1000)
    with LiveBytes([before]) as live:
        view = before.view(10, 100)
        total = view + 1
        assert live.now == 4000
        part = total[0]
        del total
        assert live.now == 4000 and live.take_peak() == 4000
        del part
    assert live.now == 0 and live.peak == 4000


def test_the_large_model_is_planned_without_allocating_it():
    planner = Planner(ModelStats(DiaConfig(), LoraConfig()), PlanConfig(), 44_100 / 512)
    assert (
        planner.stats.count
        == planner.stats.trained_count
        == sum(planner.stats.by_part.values())
        == 1_611_160_576
    )
    assert planner.stats.by_part["text encoder"] == 251_945_984
    job = replace(
        JOB, gpus=8, strategy=Strategy.ddp, precision="bf16-mixed", activations="layers", frames=10_000
    )
    whole = {}
    assert allocated_at_most(lambda: whole.update(planner.memory(job).parts)) < 50e6
    assert (
        whole["weights"] == whole["gradients"] == 4 * 1_611_160_576
        and whole["optimizer states"] == 8 * 1_611_160_576
    )
    sharded = planner.memory(replace(job, strategy=Strategy.fsdp2)).parts
    assert (
        sharded["weights"] == whole["weights"] / 8
        and sharded["optimizer states"] == whole["optimizer states"] / 8
    )
    assert sharded["saved activations"] == whole["saved activations"]


def test_a_trace_of_few_layers_extrapolates_to_the_large_model():
    """A trace of the full depth and traces of three and two layers of each stack predict the same bytes."""
    shape = BatchShape(2, 300, 60)
    deeper = replace(DiaConfig(), encoder=EncoderConfig(layers=5), decoder=DecoderConfig(layers=6))
    build = ModelStats(deeper, LoraConfig()).build("mlp")
    extrapolated = trace_step(deeper, build, shape, "bf16-mixed", gradients_held=False)
    whole = trace_all_layers(deeper, build, shape, "bf16-mixed", gradients_held=False)
    assert extrapolated.peaks == pytest.approx(whole.peaks) and extrapolated.activations == whole.activations


def test_hours_and_frames_agree_with_their_definitions():
    planner = Planner(
        ModelStats(SMALL, LoraConfig()), PlanConfig(mfu=0.5, padding=0.1, clip_seconds=8.0), 25.0
    )
    job = replace(JOB, gpus=4, strategy=Strategy.ddp, precision="bf16-mixed", accumulation=3)
    work, clips = planner.work(job), planner.shape(job).clips
    assert clips == 2000 // 205 and work.frames == pytest.approx(clips * 200 * 0.9 * 12)
    assert work.flops == pytest.approx(0.9 * work.computed)
    assert planner.hours(job, "A100") == pytest.approx(100 * work.computed / (0.5 * 312e12 * 4) / 3600)
    again = planner.work(replace(job, activations="layers"))
    assert 1.2 < again.computed / work.computed < 4 / 3 and again.flops == work.flops


def test_changes_that_fit_are_suggested_for_a_job_that_does_not_fit():
    planner = Planner(
        ModelStats(SMALL, LoraConfig()), PlanConfig(memory_gb=0.085, reserve_gb=0.01, clip_seconds=8.0), 25.0
    )
    job = replace(JOB, gpus=4, strategy=Strategy.ddp, frames=8_000)
    assert not planner.fits(job)
    suggestions = {suggestion.keys: suggestion for suggestion in suggest(planner, job)}
    fewer = next(
        suggestion for keys, suggestion in suggestions.items() if keys[0].startswith("batch.max_frames=")
    )
    assert (
        fewer.fits
        and fewer.job.frames * fewer.job.accumulation == pytest.approx(8_000, rel=0.1)
        and fewer.slowdown == pytest.approx(1, abs=0.02)
    )
    assert ("trainer.activation_checkpointing=layers",) in suggestions and ("trainer=fsdp2",) in suggestions
    assert (
        suggestions[("trainer.activation_checkpointing=layers",)].slowdown
        > suggestions[("trainer.activation_checkpointing=mlp",)].slowdown
        > 1
    )
    most = max_frames_that_fit(planner, job)
    assert planner.fits(replace(job, frames=most)) and not planner.fits(
        replace(job, frames=round(1.3 * most))
    )


def test_changes_are_combined_when_no_single_one_is_enough():
    planner = Planner(ModelStats(DiaConfig(), LoraConfig()), PlanConfig(memory_gb=14.0), 44_100 / 512)
    job = replace(JOB, gpus=8, strategy=Strategy.ddp, precision="bf16-mixed", frames=6_000)
    suggestions = suggest(planner, job)
    assert not any(suggestion.fits for suggestion in suggestions if len(suggestion.keys) == 1)
    joint = [suggestion for suggestion in suggestions if suggestion.fits]
    assert joint and all(suggestion.memory.total + 4 * GIGABYTE <= 14 * GIGABYTE for suggestion in joint)
    assert [suggestion.slowdown for suggestion in joint] == sorted(
        suggestion.slowdown for suggestion in joint
    )


def typed(*overrides):
    return OmegaConf.to_object(compose("train", ["plan=true", *overrides]))


def test_the_plan_uses_the_configured_gpus():
    assert gpus_of(typed("+recipe=base")) == 8 and gpus_of(typed("+recipe=nano")) == 1
    assert gpus_of(typed("+recipe=base", "trainer.devices=4", "trainer.nodes=2")) == 8
    assert gpus_of(typed("+recipe=base", "planning.gpus=64")) == 64
    assert job_of(typed("+recipe=nano", "trainer.gradient_accumulation_steps=2")).accumulation == 2
    assert job_of(typed("+recipe=nano")).use_ema and not job_of(typed("+recipe=nano", "ema.decay=0")).use_ema


def test_a_job_that_cannot_be_planned_is_reported():
    with pytest.raises(UserError, match="not task=codec"):
        plan(typed("+recipe=codec_nano"))
    with pytest.raises(UserError, match=r"planning\.mfu=2"):
        plan(typed("+recipe=nano", "planning.mfu=2"))
    with pytest.raises(UserError, match=r"planning\.gpus=2, but trainer\.strategy=single"):
        plan(typed("+recipe=nano", "planning.gpus=2"))
    assert len(PlanConfig(memory_gb=0, padding=1, gpus=-1).problems()) == 3
    with pytest.raises(UserError, match="dollars_per_gpu_hour names B9000; the GPUs with known speed are"):
        plan(typed("+recipe=nano", "planning.dollars_per_gpu_hour={B9000: 1}"))


def test_the_command_prints_a_plan_and_writes_no_file(tmp_path):
    done = run_door("train", "+recipe=base", "plan=true", "batch.max_frames=6000", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for part in ("1,611,160,576 parameters", "optimizer states", "It fits", "8 x H100", "dollars"):
        assert part in done.stdout, part
    assert not list(tmp_path.iterdir())


def test_a_plan_that_does_not_fit_suggests_changes():
    console = Console(width=120, record=True, file=StringIO())
    plan(
        typed("+recipe=nano", "planning.memory_gb=0.4", "planning.reserve_gb=0.2", "batch.max_frames=10000"),
        console,
    )
    printed = console.export_text()
    assert "does not fit" in printed and "trainer.activation_checkpointing=layers" in printed
