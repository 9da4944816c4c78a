"""Sound and its picture for Weights & Biases. (Tables would keep both outside the run folder until they are
uploaded.)
"""

from collections.abc import Sequence

import numpy as np
from lightning.pytorch.loggers import WandbLogger
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from dia.inference import Speech
from dia.types import Waveform

WINDOW, HOP = 512, 128  # samples
QUIETEST, LOUDEST = -80.0, 0.0  # decibels that are black and white, of the loudest place


def log_sound(logger: WandbLogger, scripts: Sequence[str], spoken: Sequence[Speech], step: int) -> None:
    """Log each script's sound and spectrogram, with the script below them; an empty waveform is written as
    one silent sample.
    """
    import wandb

    sounds, pictures = [], []
    for script, speech in zip(scripts, spoken, strict=True):
        waveform = speech.waveform if len(speech.waveform) else np.zeros(1, dtype=np.float32)
        seconds = len(speech.waveform) / speech.sample_rate
        caption = f"{script} (seed {speech.seed}, {seconds:.1f} s{'' if speech.ended else ', did not end'})"
        sounds.append(wandb.Audio(np.clip(waveform, -1, 1), sample_rate=speech.sample_rate, caption=caption))
        pictures.append(wandb.Image(spectrogram(waveform), mode="L", caption=caption))
    logged = {"validation/sound": sounds, "validation/spectrogram": pictures, "trainer/global_step": step}
    logger.experiment.log(logged)


def spectrogram(waveform: Waveform) -> NDArray[np.uint8]:
    """Return a grey picture (frequencies, frames) of a waveform: low frequencies at the bottom, 80 decibels
    from black to white.
    """
    padded = np.pad(waveform, (0, max(0, WINDOW - len(waveform))))
    transform = ShortTimeFFT(hann(WINDOW, sym=False), HOP, fs=1.0, scale_to="magnitude")
    magnitudes = np.abs(transform.stft(padded))
    decibels = 20 * np.log10(np.maximum(magnitudes / max(magnitudes.max(), 1e-9), 1e-9))
    shades = (decibels - QUIETEST) / (LOUDEST - QUIETEST)
    picture: NDArray[np.uint8] = (255 * np.clip(shades, 0, 1)).astype(np.uint8)[::-1]
    return picture
