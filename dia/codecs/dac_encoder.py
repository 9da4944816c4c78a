"""DAC's encoder in chunks that fit a CPU's cache: the same values in half the time.

The package runs each layer over the whole waveform. One second is 11 MB of activations in the first layers:
they leave the cache between two layers, and the kernel maps every new tensor page by page (4 s of audio on
one core of an EPYC take 5.3 s, of which 2.3 s are the arithmetic of the convolutions). This module runs each
block of the encoder over chunks of its input, overlapping by the block's receptive field, with Snake
activations in place: 2.8 s.

Legend: B batch, D width, L steps of a layer's input.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:  # importing the package takes seconds
    from dac.model.dac import Encoder, EncoderBlock, ResidualUnit

# steps: 2 MB of the first block's activations, 8 MB of the third's, whose convolutions do more with each
CHUNK = 8192
UNITS_REACH = 3 * (1 + 3 + 9)  # steps on either side that reach through three residual units of width 7


def encode_in_chunks(encoder: "Encoder", waveform_BDL: Tensor, size: int = CHUNK) -> Tensor:
    """Return what ``encoder(waveform_BDL)`` returns: latents (B, D, L / hop). L is a multiple of the hop."""
    first, *blocks, snake, last = encoder.block
    hidden = waveform_BDL
    for number, block in enumerate(blocks):
        rate = int(block.block[-1].stride[0])
        reach = UNITS_REACH + math.ceil(rate / 2) + (0 if number else first.padding[0])
        layers = partial(_block, block) if number else partial(_first_block, block, first)
        hidden = _in_chunks(layers, hidden, rate, reach, size)
    latents: Tensor = last(_snake(hidden, snake.alpha, hidden))
    return latents


def _in_chunks(
    layers: Callable[[Tensor], Tensor], hidden_BDL: Tensor, rate: int, reach: int, size: int
) -> Tensor:
    """Return the layers' output, computed chunk by chunk; the ends of the sequence are zero-padded."""
    steps, halo = hidden_BDL.shape[-1], rate * math.ceil(reach / rate)
    size = max(rate, size // rate * rate)
    outputs = []
    for begin in range(0, steps, size):
        end = min(begin + size, steps)
        low, high = max(0, begin - halo), min(steps, end + halo)
        output = layers(hidden_BDL[..., low:high])
        outputs.append(output[..., (begin - low) // rate : (end - low) // rate])
    return torch.cat(outputs, dim=-1)


def _first_block(block: "EncoderBlock", first: nn.Module, waveform_BDL: Tensor) -> Tensor:
    return _block(block, first(waveform_BDL))


def _block(block: "EncoderBlock", hidden_BDL: Tensor) -> Tensor:
    *units, snake, down = block.block
    for unit in units:
        hidden_BDL = _residual(unit, hidden_BDL)
    output: Tensor = down(_snake(hidden_BDL, snake.alpha, hidden_BDL))
    return output


def _residual(unit: "ResidualUnit", hidden_BDL: Tensor) -> Tensor:
    first_snake, wide, second_snake, narrow = unit.block
    inner = wide(_snake(hidden_BDL, first_snake.alpha))
    output: Tensor = narrow(_snake(inner, second_snake.alpha, inner))
    return output.add_(hidden_BDL)


def _snake(hidden_BDL: Tensor, alpha: Tensor, out: Tensor | None = None) -> Tensor:
    """Return x + sin(alpha x)^2 / alpha in the package's order of operations; ``out`` may be the input."""
    periodic = (hidden_BDL * alpha).sin_().square_().mul_((alpha + 1e-9).reciprocal())
    return periodic.add_(hidden_BDL) if out is None else torch.add(hidden_BDL, periodic, out=out)
