"""Measure peak memory, each variant in a separate process (``python -m dia.benchmark.memory``).

On a CPU this is the largest resident size, including the interpreter and all libraries; on a GPU it is
torch's allocated memory.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import torch

from dia.benchmark.decoding import time_dia_steps, time_transformers_steps
from dia.benchmark.networks import random_network, transformers_model
from dia.benchmark.processes import largest_resident_size
from dia.benchmark.variants import DIA, DTYPES, Variant
from dia.checkpoint import load_checkpoint
from dia.inference.quantization import KINDS, LAYERS, quantize
from dia.network import DecoderConfig, DiaConfig, DiaNetwork, EncoderConfig

STEPS = 8


def peak_memory(variant: Variant, config: DiaConfig, weights: str, device: torch.device) -> float:
    """Return the peak bytes of a new process that loads the model, encodes a text and decodes some steps.

    Raises ``RuntimeError`` with the output of the process when it fails.
    """
    request = {"variant": str(variant), "config": asdict(config), "weights": weights, "device": str(device)}
    command = [sys.executable, "-m", "dia.benchmark.memory", json.dumps(request)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"measuring the memory of {variant} failed: {process.stderr[-500:]}")
    return float(process.stdout.split()[-1])


def _measure(request: dict[str, Any]) -> float:
    variant, device = Variant.parse(request["variant"]), torch.device(request["device"])
    parts = request["config"]
    config = DiaConfig(
        **parts | {"encoder": EncoderConfig(**parts["encoder"]), "decoder": DecoderConfig(**parts["decoder"])}
    )
    network = _open(variant, config, request["weights"], device)
    if variant.implementation == DIA:
        time_dia_steps(network, STEPS, variant.compiled)
    else:
        model, config = transformers_model(network), network.config
        del network
        time_transformers_steps(model, config, STEPS, False)
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return largest_resident_size()


def _open(variant: Variant, config: DiaConfig, weights: str, device: torch.device) -> DiaNetwork:
    if weights == "random":
        return random_network(config, variant.weights, device)
    on_cpu = variant.weights in LAYERS and device.type == "cpu"
    quantization = (lambda network: quantize(network, variant.weights)) if on_cpu else None
    dtype = DTYPES.get(variant.weights, torch.float32)
    network = load_checkpoint(weights, device, dtype, before_placing=quantization).network
    if variant.weights in KINDS and not on_cpu:
        quantize(network, variant.weights)
    return network


if __name__ == "__main__":
    print(_measure(json.loads(sys.argv[1])))
