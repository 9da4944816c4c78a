"""The command ``python -m dia.bench`` (``dia-bench``): measure speed and memory.

It measures generation, data preparation, training or the server. Variants take turns in one run. Medians and
their ratios are compared, never times of different runs.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dia.cli.run import run

if TYPE_CHECKING:
    from dia.config.bench import BenchConfig, BenchPrepareConfig, BenchServeConfig, BenchTrainConfig
    from dia.config.bench_suite import BenchCompareConfig, BenchSuiteConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    commands: dict[str, Callable[..., None]] = {
        "": generation,
        "prepare": preparation,
        "train": training,
        "serve": serving,
        "suite": suite,
        "compare": compare,
    }
    run("bench", commands, arguments)


def generation(config: "BenchConfig") -> None:
    """Measure generation. Raises ``UserError`` for impossible settings."""
    from dia.benchmark.commands import bench_generation

    bench_generation(config)


def preparation(config: "BenchPrepareConfig") -> None:
    """Measure data preparation. Raises ``UserError`` for impossible settings."""
    from dia.benchmark.commands import bench_preparation

    bench_preparation(config)


def training(config: "BenchTrainConfig") -> None:
    """Measure training. Raises ``UserError`` for impossible settings."""
    from dia.benchmark.commands import bench_training

    bench_training(config)


def serving(config: "BenchServeConfig") -> None:
    """Measure the server. Raises ``UserError`` for impossible settings."""
    from dia.benchmark.commands import bench_serving

    bench_serving(config)


def suite(config: "BenchSuiteConfig") -> None:
    """Measure a model part by part. Raises ``UserError`` for impossible settings."""
    from dia.benchmark.commands import bench_suite

    bench_suite(config)


def compare(config: "BenchCompareConfig") -> None:
    """Compare two files of measurements. Raises ``UserError`` for files that cannot be read."""
    from rich.console import Console

    from dia.benchmark.compare_files import compare_files

    compare_files(config, Console(width=160))


if __name__ == "__main__":
    main()
