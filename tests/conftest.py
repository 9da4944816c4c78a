"""The order of the tests and their markers, tiny networks and codecs."""

from copy import deepcopy

import pytest
import torch
from hypothesis import settings

from dia.config.codec import SpectralCodecConfig
from dia.network import DecoderConfig, DiaConfig, DiaNetwork, EncoderConfig

# how long an example takes is no property of the code: the first one may import a library
settings.register_profile("dia", deadline=None)
settings.load_profile("dia")

# Files that take longest, longest first: they start first, so that no core waits for one of them at the end.
# All their tests carry the marker `slow`; other slow tests are decorated.
LONGEST = (
    "tests/test_recipes.py",
    "tests/end_to_end/test_front_doors.py",
    "tests/end_to_end/test_drop_in.py",
    "tests/end_to_end/test_programs.py",
    "tests/data/test_prepare_kills.py",
    "tests/data/test_prepare.py",
    "tests/training/test_resume.py",
    "tests/training/test_distributed.py",
    "tests/training/test_distributed_strategies.py",
    "tests/evaluation/test_evaluation.py",
    "tests/test_docs.py",
    "tests/test_sweep.py",
    "tests/test_interruptions.py",
    "tests/end_to_end/test_storage.py",
    "tests/benchmark/test_benchmark.py",
    "tests/benchmark/test_preparation.py",
    "tests/benchmark/test_training.py",
    "tests/evaluation/test_constructed.py",
    "tests/judges/test_more_judges.py",
    "tests/judges/test_judges.py",
    "tests/data/test_recordings.py",
    "tests/browser/test_listening_page.py",
    "tests/training/test_generate_samples.py",
    "tests/training/test_divergence.py",
    "tests/training/test_lora.py",
    "tests/training/test_codec_module.py",
    "tests/training/test_throughput.py",
    "tests/planning/test_planner.py",
    "tests/codecs/test_third_codec.py",
    "tests/systems/test_record_command.py",
    "tests/systems/test_local.py",
    "tests/evaluation/test_validation_metrics.py",
    "tests/pipelines/test_generate_takes.py",
    "tests/pipelines/test_evaluation_workers.py",
    "tests/gpu/test_gpu.py",
    "tests/end_to_end/test_notebook.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests and mark those of the slow files."""
    places = {name: place for place, name in enumerate(LONGEST)}
    files = {item: item.nodeid.partition("::")[0] for item in items}
    for item in items:
        if files[item] in places:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: places.get(files[item], len(places)))  # stable: within a file as written


TINY = DiaConfig(
    EncoderConfig(layers=2, hidden_size=32, intermediate_size=64, heads=2, head_dim=16),
    DecoderConfig(
        layers=2,
        hidden_size=64,
        intermediate_size=128,
        heads=4,
        key_value_heads=2,
        head_dim=16,
        cross_heads=2,
        cross_head_dim=16,
        codebook_size=32,
        max_positions=64,
    ),
    [0, 2, 3, 4],
)
TINY_CODEC = SpectralCodecConfig(
    encoder_layers=1,
    encoder_width=16,
    latent_width=8,
    codebooks=4,
    codebook_size=32,
    decoder_layers=1,
    decoder_width=16,
    detail_layers=1,
    detail_width=16,
    phase_iterations=2,
)


@pytest.fixture
def tiny() -> DiaNetwork:
    """A random network whose weights are large enough that its logits differ clearly."""
    torch.manual_seed(0)
    network = DiaNetwork(deepcopy(TINY)).eval()  # a test may change the config of its network
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3
    return network
