"""Rounding of weights and activations to integers of 8 or 4 bits.

Legend: B rows, I input features, O output features, G groups of inputs.
"""

import torch
from torch import Tensor

LARGEST = 127
GROUP = 32  # weights that share a scale in int4
SMALLEST_SCALE = 1e-12  # the scale of a row of zeros
ROWS_PER_BLOCK = 1024


def to_int8(rows_BI: Tensor, largest: int = LARGEST) -> tuple[Tensor, Tensor]:
    """Return integers (B, I) in -largest..largest, in fp32, and the scale (B,) of each row.

    Rows are integers times scale, up to rounding.
    """
    scale_B1 = rows_BI.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST_SCALE * largest) / largest
    return (rows_BI / scale_B1).round_(), scale_B1.squeeze(-1)


def to_int4(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Return integers (O, I) in 0..15, int32, and scale and middle (G, O, 2), bfloat16, of weights (O, I).

    A weight is (integer - 8) * scale + middle. The number of inputs must be a multiple of ``GROUP``.
    """
    groups_OGI = weight_OI.unflatten(1, (-1, GROUP))
    low_OG, high_OG = groups_OGI.amin(-1), groups_OGI.amax(-1)
    scale_OG = ((high_OG - low_OG).clamp_min(SMALLEST_SCALE) / 15).bfloat16().float()
    middle_OG = (low_OG + 8 * scale_OG).bfloat16().float()
    codes_OGI = ((groups_OGI - middle_OG[..., None]) / scale_OG[..., None]).round().add(8).clamp(0, 15)
    scales_GO2 = torch.stack((scale_OG, middle_OG), -1).transpose(0, 1).contiguous().bfloat16()
    return codes_OGI.flatten(1).to(torch.int32), scales_GO2


def int8_weights(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Return integers (O, I) and scales (O,), a block of rows at a time to avoid a large fp32 copy."""
    codes_OI = torch.empty(weight_OI.shape, dtype=torch.int8)
    scale_O = torch.empty(len(weight_OI))
    for begin in range(0, len(weight_OI), ROWS_PER_BLOCK):
        rows = slice(begin, begin + ROWS_PER_BLOCK)
        codes, scale_O[rows] = to_int8(weight_OI[rows].float())
        codes_OI[rows] = codes.to(torch.int8)
    return codes_OI, scale_O
