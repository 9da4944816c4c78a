"""Floating-point operations of a training step, and peak throughput of GPUs, for MFU and the planner's hours.

Counted are matrix products, two operations for each weight and position, and attention over full squares of
steps (the masked half of causal attention counts, as in PaLM's and nanochat's MFU). A backward pass is two
forward passes. Padding and recomputation are no work of the model and do not count in MFU.

The table of peaks is our own: Lightning 2.6's (lightning.fabric.utilities.throughput) does not recognize the
names `NVIDIA H200` and `NVIDIA L40S`, and gives H100 NVL with sparsity and the RTX 4090 in half precision at
its fp32 rate.
"""

import re
from collections.abc import Iterable

from dia.network import DiaConfig

BACKWARD = 2  # cost of a backward pass in forward passes

# Dense operations per second by device name and product type, without sparsity, from NVIDIA's data sheets
# (H200, H100, A100, L40S, L4, RTX 4090); SXM values where the name does not distinguish the card.
PEAK_FLOPS: dict[str, dict[str, float]] = {
    "H200": {"half": 989.4e12, "tf32": 494.7e12, "fp32": 66.9e12},
    "H100 PCIe": {"half": 756e12, "tf32": 378e12, "fp32": 51e12},
    "H100": {"half": 989.4e12, "tf32": 494.7e12, "fp32": 66.9e12},
    "A100": {"half": 312e12, "tf32": 156e12, "fp32": 19.5e12},
    "L40S": {"half": 362e12, "tf32": 183e12, "fp32": 91.6e12},
    "L4": {"half": 121e12, "tf32": 60e12, "fp32": 30.3e12},
    "RTX 4090": {"half": 165.2e12, "tf32": 82.6e12, "fp32": 82.6e12},
}


def peak_flops(device_name: str, kind: str) -> float | None:
    """Return a device's dense operations per second in `half`, `tf32` or `fp32`; None if unknown."""
    words = set(re.split(r"[\s-]+", device_name))
    peaks = next((peaks for name, peaks in PEAK_FLOPS.items() if words.issuperset(name.split())), {})
    return peaks.get(kind)


def forward_flops(config: DiaConfig, clips: Iterable[tuple[int, int]]) -> float:
    """Return the operations of a forward pass over clips of (decoder steps, text bytes)."""
    per_step, per_byte = _product_weights(config)
    decoder, encoder = config.decoder, config.encoder
    self_attention = 2 * decoder.layers * decoder.heads * decoder.head_dim
    cross_attention = 2 * decoder.layers * decoder.cross_heads * decoder.cross_head_dim
    text_attention = 2 * encoder.layers * encoder.heads * encoder.head_dim
    return 2.0 * sum(
        per_step * steps
        + per_byte * size
        + self_attention * steps * steps
        + cross_attention * steps * size
        + text_attention * size * size
        for steps, size in clips
    )


def training_flops(config: DiaConfig, clips: Iterable[tuple[int, int]], *, frozen: bool = False) -> float:
    """Return the operations of a forward and a backward pass over clips of (decoder steps, text bytes).

    ``frozen`` weights (with LoRA) have no weight gradient, half of their backward pass. The adapters, a few
    hundredths of the total, are not counted.
    """
    clips = list(clips)
    per_step, per_byte = _product_weights(config)
    omitted = 2.0 * sum(per_step * steps + per_byte * size for steps, size in clips) if frozen else 0.0
    return (1 + BACKWARD) * forward_flops(config, clips) - omitted


def recomputed_flops(config: DiaConfig, clips: Iterable[tuple[int, int]], activations: str) -> float:
    """Return the operations that activation checkpointing repeats (dia/training/activation_checkpointing.py).

    Recomputation ends at the last tensor that is needed: the last product of a feed-forward is not repeated.
    """
    if activations == "off":
        return 0.0
    clips = list(clips)
    steps, size = (sum(lengths) for lengths in zip(*clips, strict=True))
    decoder, encoder = config.decoder, config.encoder
    down: int = steps * decoder.layers * decoder.hidden_size * decoder.intermediate_size
    down += size * encoder.layers * encoder.hidden_size * encoder.intermediate_size
    if activations == "mlp":
        return 2.0 * 2 * down
    head: int = decoder.hidden_size * config.channels * decoder.vocab_size
    flops: float = forward_flops(config, clips) - 2.0 * (down + head * steps)
    return flops


def _product_weights(config: DiaConfig) -> tuple[int, int]:
    """Return the weights multiplied per decoder step and per text byte; embeddings are look-ups."""
    decoder, encoder = config.decoder, config.encoder
    self_attention = (
        decoder.hidden_size * decoder.head_dim * (2 * decoder.heads + 2 * decoder.key_value_heads)
    )
    cross_query = 2 * decoder.hidden_size * decoder.cross_heads * decoder.cross_head_dim
    cross_key_value = 2 * encoder.hidden_size * decoder.cross_heads * decoder.cross_head_dim
    per_step = decoder.layers * (
        self_attention + cross_query + 3 * decoder.hidden_size * decoder.intermediate_size
    )
    per_step += decoder.hidden_size * config.channels * decoder.vocab_size
    text = (
        4 * encoder.hidden_size * encoder.heads * encoder.head_dim
        + 3 * encoder.hidden_size * encoder.intermediate_size
    )
    return per_step, encoder.layers * text + decoder.layers * cross_key_value
