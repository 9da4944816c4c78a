"""Faster or slower at the same pitch, by Signalsmith Stretch (the library `python-stretch`)."""

import numpy as np

from dia.errors import UserError
from dia.types import Waveform

SLOWEST, FASTEST = 0.5, 2.0


def require_speed(speed: float) -> None:
    """Raise :class:`UserError` for a speed that would not sound like speech any more."""
    if not SLOWEST <= speed <= FASTEST:
        raise UserError(
            f"speed={speed} is out of range; choose {SLOWEST} (slow) to {FASTEST} (fast), 1 changes nothing"
        )


def stretch(waveform: Waveform, sample_rate: int, speed: float) -> Waveform:
    """Return the waveform (samples,) at ``speed`` times its pace: ``round(len(waveform) / speed)`` samples,
    every pitch as it was.

    Raises :class:`UserError` as :func:`require_speed` does.
    """
    require_speed(speed)
    wanted = round(len(waveform) / speed)
    if speed == 1.0 or wanted == 0:
        return waveform[:wanted]
    from python_stretch import Signalsmith

    stretcher = Signalsmith.Stretch()
    stretcher.preset(1, sample_rate)
    stretcher.setTimeFactor(speed)
    made = np.asarray(
        stretcher.process(np.ascontiguousarray(waveform, dtype=np.float32)[None]), dtype=np.float32
    ).reshape(-1)
    return np.pad(made, (0, max(0, wanted - len(made))))[:wanted]
