"""The delay pattern of codec channels: channel c of frame t lies at step ``t + delays[c]``.

Training and inference both use these functions. Delaying lengthens the sequence by the largest delay, so that
no code is lost; implementations that keep the length drop the last frames of every channel but the first.

Legend: B batch, T step or frame, C codec channel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def delay(codes_BTC: Tensor, delays: Sequence[int], bos: int, pad: int) -> Tensor:
    """Return delayed codes (B, T + max(delays), C): ``out[t, c] = codes[t - delays[c], c]``.

    Cells before a channel's first code are ``bos``, cells after its last code are ``pad``.

    Raises:
        ValueError: When there is no frame, or not one delay of 0 or more for each channel.
    """
    frames = codes_BTC.shape[1]
    if frames == 0:
        raise ValueError("there is no frame to delay; give codes of one frame or more")
    delays_C = _checked(delays, codes_BTC)
    steps_T = torch.arange(frames + max(delays), device=codes_BTC.device)
    source_TC = frame_at(steps_T[:, None], delays_C)
    delayed = codes_BTC.gather(1, source_TC.clamp(0, frames - 1).expand(len(codes_BTC), -1, -1))
    return delayed.masked_fill(source_TC < 0, bos).masked_fill(source_TC >= frames, pad)


def undelay(delayed_BTC: Tensor, delays: Sequence[int]) -> Tensor:
    """Return codes (B, T - max(delays), C): ``out[t, c] = delayed[t + delays[c], c]``; inverts :func:`delay`.

    Raises:
        ValueError: When no whole frame is left, or there is not one delay of 0 or more for each channel.
    """
    delays_C = _checked(delays, delayed_BTC)
    frames = delayed_BTC.shape[1] - max(delays)
    if frames < 1:
        raise ValueError(
            f"{delayed_BTC.shape[1]} steps hold no whole frame under a delay of {max(delays)}; give more "
            "steps"
        )
    source_TC = torch.arange(frames, device=delayed_BTC.device)[:, None] + delays_C
    return delayed_BTC.gather(1, source_TC.expand(len(delayed_BTC), -1, -1))


def frame_at(step: Tensor, delays_C: Tensor) -> Tensor:
    """Return the frame that each channel holds at a step: ``step - delays``, negative before its first frame.

    ``step`` has the shape (..., 1) or (), the result (..., C).
    """
    return step - delays_C


def _checked(delays: Sequence[int], like_BTC: Tensor) -> Tensor:
    """Return the delays as a tensor (C,) on the device of ``like_BTC``."""
    if len(delays) != like_BTC.shape[2] or min(delays) < 0:
        raise ValueError(
            f"delays {list(delays)} for {like_BTC.shape[2]} channels; give one delay of 0 or more for each"
        )
    return torch.tensor(list(delays), device=like_BTC.device)
