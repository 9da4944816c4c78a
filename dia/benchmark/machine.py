"""Describe the machine and the package versions of a benchmark, which its results depend on."""

import importlib.metadata
import platform
from pathlib import Path

import torch

PACKAGES = ("torch", "lightning", "transformers", "accelerate", "torchao", "descript-audio-codec", "numpy")


def describe_machine(device: torch.device) -> dict[str, str]:
    """Return processor or GPU, threads, vector instructions and package versions."""
    described = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": str(torch.get_num_threads()),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            described[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            described[name] = "not installed"
    return described


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
