"""Audio, spectrograms and attention over the text for Weights & Biases and TensorBoard.

W&B tables are not used: they store their media outside the run folder until they are uploaded.
"""

from collections.abc import Sequence

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from dia.inference import Speech
from dia.types import Waveform

WINDOW, HOP = 512, 128  # samples
DECIBELS = 80.0  # from black to white, below the loudest point


def log_audio(
    logger: Logger,
    scripts: Sequence[str],
    speech: Sequence[Speech],
    attention: Sequence[NDArray[np.uint8]],
    step: int,
) -> None:
    """Log the audio, spectrogram and attention (bytes, frames) of each script; other loggers take none.

    Empty audio becomes one silent sample.
    """
    waveforms = [take.waveform if len(take.waveform) else np.zeros(1, dtype=np.float32) for take in speech]
    waveforms = [np.clip(waveform, -1, 1) for waveform in waveforms]
    spectrograms = [spectrogram(waveform) for waveform in waveforms]
    if isinstance(logger, WandbLogger):
        captions = [_caption(script, take) for script, take in zip(scripts, speech, strict=True)]
        _log_to_wandb(logger, captions, speech, waveforms, spectrograms, attention, step)
    if isinstance(logger, TensorBoardLogger):
        _log_to_tensorboard(logger, scripts, speech, waveforms, spectrograms, attention, step)


def _log_to_wandb(
    logger: WandbLogger,
    captions: Sequence[str],
    speech: Sequence[Speech],
    waveforms: Sequence[Waveform],
    spectrograms: Sequence[NDArray[np.uint8]],
    attention: Sequence[NDArray[np.uint8]],
    step: int,
) -> None:
    import wandb

    sounds = [
        wandb.Audio(waveform, sample_rate=take.sample_rate, caption=caption)
        for waveform, take, caption in zip(waveforms, speech, captions, strict=True)
    ]
    pictures = {
        f"validation/{name}": [
            wandb.Image(picture, mode="L", caption=caption)
            for picture, caption in zip(_of_one_size(images), captions, strict=True)
        ]
        for name, images in (("spectrogram", spectrograms), ("attention", attention))
    }
    logger.experiment.log({"validation/sound": sounds, **pictures, "trainer/global_step": step})


def _log_to_tensorboard(
    logger: TensorBoardLogger,
    scripts: Sequence[str],
    speech: Sequence[Speech],
    waveforms: Sequence[Waveform],
    spectrograms: Sequence[NDArray[np.uint8]],
    attention: Sequence[NDArray[np.uint8]],
    step: int,
) -> None:
    writer = logger.experiment
    for number, (script, take) in enumerate(zip(scripts, speech, strict=True), start=1):
        name = f"validation/{number}"
        writer.add_text(f"{name}/script", script, step)
        writer.add_audio(f"{name}/sound", waveforms[number - 1][None], step, take.sample_rate)
        for kind, pictures in (("spectrogram", spectrograms), ("attention", attention)):
            writer.add_image(f"{name}/{kind}", pictures[number - 1][None], step)


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


def _of_one_size(pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Pad pictures with black at the bottom and the right: W&B warns about lists of different sizes."""
    height, width = (max((picture.shape[axis] for picture in pictures), default=0) for axis in (0, 1))
    return [
        np.pad(picture, ((0, height - picture.shape[0]), (0, width - picture.shape[1])))
        for picture in pictures
    ]
