"""The decoding engine: texts and voice prompts to codec codes, as a batch or as a stream.

Legend: T step, C codec channel.
"""

from collections.abc import Iterator

import torch

from dia.config.sampling import Sampling
from dia.inference.batch import DecodingBatch
from dia.inference.request import Generated, Request
from dia.network import DiaNetwork


@torch.inference_mode()
def generate_codes(
    network: DiaNetwork, requests: list[Request], sampling: Sampling, max_tokens: int, compiled: bool = False
) -> list[Generated]:
    """Generate the codes of a batch of requests.

    Args:
        network: The model, in eval mode.
        requests: The items; results come in the same order.
        sampling: Sampling values, the same for all items.
        max_tokens: Decoder steps, including the prompt and the delayed tail.
        compiled: Run the step through ``torch.compile``, and on a GPU as a CUDA graph; the first call takes
            about a minute.

    Raises:
        UserError: When sampling values are out of range, when a prompt leaves no room, and when the logits
        are not
            finite.
    """
    batch = DecodingBatch(network, requests, sampling, max_tokens, compiled)
    batch.decode(max_tokens)
    return [batch.results[item] for item in range(len(requests))]


@torch.inference_mode()
def stream_codes(
    network: DiaNetwork,
    request: Request,
    sampling: Sampling,
    max_tokens: int,
    frames: int,
    compiled: bool = False,
) -> Iterator[Generated]:
    """Yield the codes of one request as they become complete, ``frames`` at a time.

    A frame is complete when its last channel is drawn, so the first piece needs as many steps as the longest
    delay and ``frames``. Only the last piece may have ``ended``. Arguments and errors are those of
    :func:`generate_codes`.
    """
    batch = DecodingBatch(network, [request], sampling, max_tokens, compiled)
    yielded = 0
    batch.decode(max(network.config.delays))
    while not batch.results:
        batch.decode(frames)
        if not batch.results:
            codes_TC = batch.complete_codes(0, yielded)
            yielded += len(codes_TC)
            yield Generated(codes_TC, ended=False)
    last = batch.results[0]
    yield Generated(last.codes_TC[yielded:], last.ended)
