"""Audio and spectrograms for Weights & Biases.

W&B tables are not used: they store their media outside the run folder until they are uploaded.
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
DECIBELS = 80.0  # from black to white, below the loudest point


def log_audio(logger: WandbLogger, scripts: Sequence[str], speech: Sequence[Speech], step: int) -> None:
    """Log the audio and spectrogram of each script with a caption; empty audio becomes one silent sample."""
    import wandb

    captions = [_caption(script, take) for script, take in zip(scripts, speech, strict=True)]
    waveforms = [take.waveform if len(take.waveform) else np.zeros(1, dtype=np.float32) for take in speech]
    sounds = [
        wandb.Audio(np.clip(waveform, -1, 1), sample_rate=take.sample_rate, caption=caption)
        for waveform, take, caption in zip(waveforms, speech, captions, strict=True)
    ]
    pictures = [
        wandb.Image(picture, mode="L", caption=caption)
        for picture, caption in zip(
            _of_one_width([spectrogram(each) for each in waveforms]), captions, strict=True
        )
    ]
    media = {"validation/sound": sounds, "validation/spectrogram": pictures, "trainer/global_step": step}
    logger.experiment.log(media)


def spectrogram(waveform: Waveform) -> NDArray[np.uint8]:
    """Return a grey picture (frequencies, frames) of 80 dB, with low frequencies at the bottom."""
    padded = np.pad(waveform, (0, max(0, WINDOW - len(waveform))))
    transform = ShortTimeFFT(hann(WINDOW, sym=False), HOP, fs=1.0, scale_to="magnitude")
    magnitudes = np.abs(transform.stft(padded))
    decibels = 20 * np.log10(np.maximum(magnitudes / max(magnitudes.max(), 1e-9), 1e-9))
    picture: NDArray[np.uint8] = (255 * np.clip(1 + decibels / DECIBELS, 0, 1)).astype(np.uint8)[::-1]
    return picture


def _caption(script: str, speech: Speech) -> str:
    seconds = len(speech.waveform) / speech.sample_rate
    ending = "" if speech.ended else ", no end of speech"
    return f"{script} (seed {speech.seed}, {seconds:.1f} s{ending})"


def _of_one_width(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Pad pictures with silence on the right: W&B warns about lists of different sizes."""
    width = max((picture.shape[1] for picture in pictures), default=0)
    return [np.pad(picture, ((0, 0), (0, width - picture.shape[1]))) for picture in pictures]
