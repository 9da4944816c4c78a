"""Time stretching: change the pace of a waveform without its pitch (Signalsmith Stretch)."""

import numpy as np

from dia.errors import UserError
from dia.types import Waveform

SLOWEST, FASTEST = 0.5, 2.0


def require_speed(speed: float) -> None:
    """Raise :class:`UserError` for a speed outside of the range in which speech sounds natural."""
    if not SLOWEST <= speed <= FASTEST:
        raise UserError(
            f"speed={speed} is out of range; choose {SLOWEST} (slow) to {FASTEST} (fast), 1 changes nothing"
        )


def stretch(waveform: Waveform, sample_rate: int, speed: float) -> Waveform:
    """Return the waveform at ``speed`` times its pace and the same pitch: ``round(len / speed)`` samples.

    Raises :class:`UserError` as :func:`require_speed` does.
    """
    require_speed(speed)
    length = round(len(waveform) / speed)
    if speed == 1.0 or length == 0:
        return waveform[:length]
    from python_stretch import Signalsmith

    stretcher = Signalsmith.Stretch()
    stretcher.preset(1, sample_rate)
    stretcher.setTimeFactor(speed)
    processed = stretcher.process(np.ascontiguousarray(waveform, dtype=np.float32)[None])
    stretched = np.asarray(processed, dtype=np.float32).reshape(-1)
    return np.pad(stretched, (0, max(0, length - len(stretched))))[:length]
