"""Peak memory, each variant in a process of its own: ``python -m dia.benchmark.memory`` is that process.

On a CPU it is the largest resident size, with the interpreter and all libraries; on a GPU what torch had
allocated.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import torch

from dia.benchmark.decoding import time_ours, time_theirs
from dia.benchmark.networks import random_network, theirs
from dia.benchmark.processes import largest_resident_size
from dia.benchmark.variants import DTYPES, OURS, Variant
from dia.checkpoint import load_checkpoint
from dia.inference.quantization import LAYERS, quantize
from dia.network import DecoderConfig, DiaConfig, DiaNetwork, EncoderConfig

STEPS = 8


def peak_memory(variant: Variant, config: DiaConfig, weights: str, device: torch.device) -> float:
    """Return the bytes that a new process needs at most to open the model, read a text and take some steps.

    Raises ``RuntimeError`` with what the process said when it fails.
    """
    asked = {"variant": str(variant), "config": asdict(config), "weights": weights, "device": str(device)}
    command = [sys.executable, "-m", "dia.benchmark.memory", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {variant} failed: {done.stderr[-500:]}")
    return float(done.stdout.split()[-1])


def _measure(asked: dict[str, Any]) -> float:
    variant, device = Variant.parse(asked["variant"]), torch.device(asked["device"])
    parts = asked["config"]
    config = DiaConfig(
        **parts | {"encoder": EncoderConfig(**parts["encoder"]), "decoder": DecoderConfig(**parts["decoder"])}
    )
    network = _open(variant, config, asked["weights"], device)
    if variant.who == OURS:
        time_ours(network, STEPS, variant.compiled)
    else:
        model, config = theirs(network), network.config
        del network
        time_theirs(model, config, STEPS, False)
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return largest_resident_size()


def _open(variant: Variant, config: DiaConfig, weights: str, device: torch.device) -> DiaNetwork:
    if weights == "random":
        return random_network(config, variant.weights, device)
    smaller = (lambda network: quantize(network, variant.weights)) if variant.weights in LAYERS else None
    return load_checkpoint(
        weights, device, DTYPES.get(variant.weights, torch.float32), before_placing=smaller
    ).network


if __name__ == "__main__":
    print(_measure(json.loads(sys.argv[1])))
