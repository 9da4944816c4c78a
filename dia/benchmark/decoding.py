"""Prefill and decoder steps, of ours and of transformers, each by its own way of generating."""

from itertools import pairwise
from typing import Any

import torch

from dia.benchmark.timing import now
from dia.codecs.delay import delay
from dia.inference import Request, Sampling
from dia.inference.engine import DecodingBatch, encode_texts
from dia.network import DiaNetwork

TEXT = (
    "[S1] We walked along the river until the light was gone, and nobody said a word. (sighs) [S2] It was a good day, "
    "all the same. [S1] It was. (laughs) Let us go back tomorrow, and take the others with us."
)
EARLY, LATE = 100, 2_000  # steps


@torch.inference_mode()
def time_ours(network: DiaNetwork, steps: int, compiled: bool) -> tuple[float, list[float]]:
    """Return the seconds until the first step's beginning, and of each step of a new generation."""
    device = next(network.parameters()).device
    begun = now(device)
    run = DecodingBatch(network, [Request(TEXT)], Sampling(), network.config.decoder.max_positions, compiled)
    times = [now(device)]
    for _ in range(steps):
        run.decode(1)
        times.append(now(device))
    return times[0] - begun, [after - before for before, after in pairwise(times)]


@torch.inference_mode()
def time_ours_at(
    network: DiaNetwork, places: tuple[int, ...], steps: int, compiled: bool
) -> dict[int, list[float]]:
    """Return the seconds of steps from each place on; what lies before it is made up, as its values cost
    nothing.
    """
    device = next(network.parameters()).device
    run = DecodingBatch(network, [Request(TEXT)], Sampling(), network.config.decoder.max_positions, compiled)
    measured = {}
    for place in sorted(places):
        run.state.canvas_BTC[:, place] = 5
        run.row = place
        run.cache.position.fill_(place)
        run.cache.reserve(place + 1)
        times = []
        for step in range(steps + 3):  # the first ones of a new shape may compile
            begun = now(device)
            run.decode(1)
            if step >= 3:
                times.append(now(device) - begun)
        measured[place] = times
    return measured


class Ticks:
    """A stopping criterion of transformers that never stops: it writes down when each token was there."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.times = device, list[float]()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **more: Any) -> torch.Tensor:
        """Take the time; say of no row that it has ended."""
        self.times.append(now(self.device))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@torch.inference_mode()
def generate_theirs(
    model: Any, config: Any, steps: int, compiled: bool, ticks: Ticks | None = None
) -> torch.Tensor:
    """Let transformers generate ``steps`` steps as its users do: guided, sampled. Returns its sequences (1,
    T, C), delayed.
    """
    text, mask = (tensor.to(model.device) for tensor in encode_texts([TEXT]))
    begin = torch.full((1, 1, config.channels), config.decoder.bos)
    ids = delay(begin, config.delays, config.decoder.bos, config.decoder.pad).to(model.device)
    more: dict[str, Any] = {"cache_implementation": "static"} if compiled else {}
    made: torch.Tensor = model.generate(
        input_ids=text, attention_mask=mask.long(), decoder_input_ids=ids,
        decoder_attention_mask=torch.ones(1, 1, dtype=torch.long, device=model.device),
        do_sample=True, guidance_scale=3.0, temperature=1.2, top_p=0.95, top_k=min(45, config.decoder.vocab_size),
        min_new_tokens=steps, max_new_tokens=steps, stopping_criteria=[ticks] if ticks else None, **more,
    )  # fmt: skip
    return made


def time_theirs(model: Any, config: Any, steps: int, compiled: bool) -> tuple[float, list[float]]:
    """Return the seconds until the first token, and between each two tokens."""
    ticks = Ticks(model.device)
    begun = now(model.device)
    generate_theirs(model, config, steps + 1, compiled, ticks)
    return ticks.times[0] - begun, [after - before for before, after in pairwise(ticks.times)]
