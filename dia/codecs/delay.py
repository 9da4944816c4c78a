"""The delay pattern as pure functions: channel c is moved ``delays[c]`` steps later, and back.

Channel c of frame t stands at step ``t + delays[c]``. Delaying makes the sequence longer by the largest
delay, so that nothing is cut off (trainers that keep the length lose the last frames of every channel but the
first).

Legend: B batch, T step or frame, C codec channel.
"""

import torch
from torch import Tensor


def delay(codes_BTC: Tensor, delays: list[int], bos: int, pad: int) -> Tensor:
    """Return (B, T + max(delays), C): ``out[t, c] = codes[t - delays[c], c]``, BOS before the first, PAD
    after the last.

    Raises ``ValueError`` when there is no frame, or there is not one delay of 0 or more for each channel.
    """
    frames = codes_BTC.shape[1]
    if frames == 0:
        raise ValueError("there is no frame to delay; give codes of one frame or more")
    source_TC = _steps(frames + max(delays), codes_BTC, delays, -1)
    delayed = codes_BTC.gather(1, source_TC.clamp(0, frames - 1).expand(len(codes_BTC), -1, -1))
    return delayed.masked_fill(source_TC < 0, bos).masked_fill(source_TC >= frames, pad)


def undelay(delayed_BTC: Tensor, delays: list[int]) -> Tensor:
    """Return (B, T - max(delays), C): ``out[t, c] = delayed[t + delays[c], c]``, the inverse of
    :func:`delay`.

    Raises ``ValueError`` when there is not one delay of 0 or more for each channel, or no frame would be
    left.
    """
    frames = delayed_BTC.shape[1] - max(delays)
    if frames < 1:
        raise ValueError(
            f"{delayed_BTC.shape[1]} steps hold no whole frame under a delay of {max(delays)}; give more steps"
        )
    source_TC = _steps(frames, delayed_BTC, delays, 1)
    return delayed_BTC.gather(1, source_TC.expand(len(delayed_BTC), -1, -1))


def _steps(count: int, like_BTC: Tensor, delays: list[int], sign: int) -> Tensor:
    """Where each cell (T, C) of the result comes from."""
    if len(delays) != like_BTC.shape[2] or min(delays) < 0:
        raise ValueError(
            f"delays {delays} for {like_BTC.shape[2]} channels; give one delay of 0 or more for each"
        )
    device = like_BTC.device
    return torch.arange(count, device=device)[:, None] + sign * torch.tensor(delays, device=device)
