"""Time the prefill and the decoder steps of Dia's engine and of transformers' `generate`."""

from itertools import pairwise
from typing import Any

import torch

from dia.benchmark.timing import now
from dia.codecs.delay import delay
from dia.inference import Request, Sampling
from dia.inference.batch import DecodingBatch
from dia.inference.request import encode_texts
from dia.network import DiaNetwork

TEXT = (
    "[S1] We walked along the river until the light was gone, and nobody said a word. (sighs) "
    "[S2] It was a good day, all the same. "
    "[S1] It was. (laughs) Let us go back tomorrow, and take the others with us."
)
EARLY, LATE = 100, 2_000  # steps


@torch.inference_mode()
def time_dia_steps(network: DiaNetwork, steps: int, compiled: bool) -> tuple[float, list[float]]:
    """Return the seconds of the prefill, and of each step of a new generation."""
    device = next(network.parameters()).device
    start = now(device)
    batch = DecodingBatch(
        network, [Request(TEXT)], Sampling(), network.config.decoder.max_positions, compiled
    )
    times = [now(device)]
    for _ in range(steps):
        batch.decode(1)
        times.append(now(device))
    return times[0] - start, [after - before for before, after in pairwise(times)]


@torch.inference_mode()
def time_dia_steps_at(
    network: DiaNetwork, positions: tuple[int, ...], steps: int, compiled: bool
) -> dict[int, list[float]]:
    """Return the seconds of steps from each position on; the cache before it is filled without decoding."""
    device = next(network.parameters()).device
    batch = DecodingBatch(
        network, [Request(TEXT)], Sampling(), network.config.decoder.max_positions, compiled
    )
    measured = {}
    for position in sorted(positions):
        batch.state.canvas_BTC[:, position] = 5
        batch.items[0].row = position
        batch.cache.position_B.fill_(position)
        batch.cache.reserve(position + 1)
        times = []
        for step in range(steps + 3):  # the first steps of a new shape may compile
            start = now(device)
            batch.decode(1)
            if step >= 3:
                times.append(now(device) - start)
        measured[position] = times
    return measured


class TokenTimer:
    """A stopping criterion of transformers that never stops and records the time of each token."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.times = device, list[float]()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **extra: Any) -> torch.Tensor:
        """Record the time; mark no row as finished."""
        self.times.append(now(self.device))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@torch.inference_mode()
def generate_with_transformers(
    model: Any, config: Any, steps: int, compiled: bool, timer: TokenTimer | None = None
) -> torch.Tensor:
    """Generate ``steps`` steps with transformers, guided and sampled; return delayed codes (1, T, C)."""
    text, mask = (tensor.to(model.device) for tensor in encode_texts([TEXT]))
    bos = torch.full((1, 1, config.channels), config.decoder.bos)
    ids = delay(bos, config.delays, config.decoder.bos, config.decoder.pad).to(model.device)
    extra: dict[str, Any] = {"cache_implementation": "static"} if compiled else {}
    sequences: torch.Tensor = model.generate(
        input_ids=text,
        attention_mask=mask.long(),
        decoder_input_ids=ids,
        decoder_attention_mask=torch.ones(1, 1, dtype=torch.long, device=model.device),
        do_sample=True,
        guidance_scale=3.0,
        temperature=1.2,
        top_p=0.95,
        top_k=min(45, config.decoder.vocab_size),
        min_new_tokens=steps,
        max_new_tokens=steps,
        stopping_criteria=[timer] if timer else None,
        **extra,
    )
    return sequences


def time_transformers_steps(model: Any, config: Any, steps: int, compiled: bool) -> tuple[float, list[float]]:
    """Return the seconds until the first token, and between consecutive tokens."""
    timer = TokenTimer(model.device)
    start = now(model.device)
    generate_with_transformers(model, config, steps + 1, compiled, timer)
    return timer.times[0] - start, [after - before for before, after in pairwise(timer.times)]
