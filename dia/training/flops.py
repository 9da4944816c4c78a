"""How much a training step computes, and how much a device can: what MFU and the planner's hours are made of.

Counted are the products of matrices, two operations for each weight and place, and attention over whole
squares of steps (the masked half of causal attention counts, as in PaLM's and nanochat's MFU). A backward
pass is two forward passes. What only this implementation computes, padding and what checkpointing computes
again, is no work of the model: it counts in no MFU.
"""

import re
from collections.abc import Iterable

from dia.network import DiaConfig

BACKWARD = 2  # forward passes that a backward pass costs

# dense operations a second by the device's name and the type of the products; NVIDIA's data sheets (H200,
# H100, A100, L40S, L4, RTX 4090), without sparsity. SXM figures where a card has both and its name does not
# tell.
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
    """Return the dense operations a second of a device by its name, for `half` (bf16 or fp16), `tf32`
    or `fp32`; None when nobody wrote it down."""
    words = set(re.split(r"[\s-]+", device_name))
    found = next((peaks for name, peaks in PEAK_FLOPS.items() if words.issuperset(name.split())), {})
    return found.get(kind)


def forward_flops(config: DiaConfig, clips: Iterable[tuple[int, int]]) -> float:
    """Return the operations of a forward pass over clips of (decoder steps, text bytes)."""
    by_step, by_byte = _product_weights(config)
    decoder, encoder = config.decoder, config.encoder
    own = 2 * decoder.layers * decoder.heads * decoder.head_dim
    cross = 2 * decoder.layers * decoder.cross_heads * decoder.cross_head_dim
    text = 2 * encoder.layers * encoder.heads * encoder.head_dim
    return 2.0 * sum(
        by_step * steps + by_byte * size + own * steps * steps + cross * steps * size + text * size * size
        for steps, size in clips
    )


def training_flops(config: DiaConfig, clips: Iterable[tuple[int, int]], frozen: bool = False) -> float:
    """Return the operations of a forward and a backward pass over clips of (decoder steps, text bytes).

    ``frozen`` weights (of LoRA) have no gradient of their own, which is half of what their backward pass
    would take; their adapters, a few hundredths of it, are not counted.
    """
    whole = list(clips)
    by_step, by_byte = _product_weights(config)
    saved = 2.0 * sum(by_step * steps + by_byte * size for steps, size in whole) if frozen else 0.0
    return (1 + BACKWARD) * forward_flops(config, whole) - saved


def recomputed_flops(config: DiaConfig, clips: Iterable[tuple[int, int]], activations: str) -> float:
    """Return the operations that are done a second time for the gradient (``activations`` of
    dia/training/activation_checkpointing.py).

    Computing again stops at the last thing that is needed: the product that ends a feed-forward is not made
    again.
    """
    if activations == "off":
        return 0.0
    whole = list(clips)
    steps, size = (sum(lengths) for lengths in zip(*whole, strict=True))
    decoder, encoder = config.decoder, config.encoder
    down = steps * decoder.layers * decoder.hidden_size * decoder.intermediate_size
    down += size * encoder.layers * encoder.hidden_size * encoder.intermediate_size
    if activations == "mlp":
        return 2.0 * 2 * down
    head = decoder.hidden_size * config.channels * decoder.vocab_size
    return forward_flops(config, whole) - 2.0 * (down + head * steps)


def _product_weights(config: DiaConfig) -> tuple[int, int]:
    """How many weights a decoder step and a text byte are multiplied with; embeddings are looked up."""
    decoder, encoder = config.decoder, config.encoder
    own = decoder.hidden_size * decoder.head_dim * (2 * decoder.heads + 2 * decoder.key_value_heads)
    asking = 2 * decoder.hidden_size * decoder.cross_heads * decoder.cross_head_dim
    told = 2 * encoder.hidden_size * decoder.cross_heads * decoder.cross_head_dim
    by_step = decoder.layers * (own + asking + 3 * decoder.hidden_size * decoder.intermediate_size)
    by_step += decoder.hidden_size * config.channels * decoder.vocab_size
    text = (
        4 * encoder.hidden_size * encoder.heads * encoder.head_dim
        + 3 * encoder.hidden_size * encoder.intermediate_size
    )
    return by_step, encoder.layers * text + decoder.layers * told
