"""Audio, spectrograms and attention over the text for Weights & Biases and TensorBoard.

W&B gets a table of the takes, and lists of sounds and pictures that can be followed from step to step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from dia.inference import Speech
from dia.types import Waveform

WINDOW, HOP = 512, 128  # samples
DECIBELS = 80.0  # from black to white, below the loudest point


@dataclass(frozen=True)
class SampleMedia:
    """What is logged of a take: its audio, never empty, and pictures by kind."""

    script: str
    speech: Speech
    waveform: Waveform
    pictures: dict[str, NDArray[np.uint8]]


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
    if isinstance(logger, WandbLogger):
        _log_to_wandb(logger, list(map(_media, scripts, speech, attention)), step)
    if isinstance(logger, TensorBoardLogger):
        _log_to_tensorboard(logger, list(map(_media, scripts, speech, attention)), step)


def _media(script: str, speech: Speech, attention: NDArray[np.uint8]) -> SampleMedia:
    waveform = speech.waveform if len(speech.waveform) else np.zeros(1, dtype=np.float32)
    waveform = np.clip(waveform, -1, 1)
    return SampleMedia(
        script, speech, waveform, {"spectrogram": spectrogram(waveform), "attention": attention}
    )


def _log_to_wandb(logger: WandbLogger, samples: Sequence[SampleMedia], step: int) -> None:
    import wandb

    captions = [_caption(sample.script, sample.speech) for sample in samples]
    sounds = [
        wandb.Audio(sample.waveform, sample_rate=sample.speech.sample_rate, caption=caption)
        for sample, caption in zip(samples, captions, strict=True)
    ]
    pictures = {
        kind: [
            wandb.Image(picture, mode="L", caption=caption)
            for picture, caption in zip(
                _of_one_size([sample.pictures[kind] for sample in samples]), captions, strict=True
            )
        ]
        for kind in ("spectrogram", "attention")
    }
    table = wandb.Table(columns=["step", "script", "seconds", "ended", "sound", *pictures])
    for number, sample in enumerate(samples):
        seconds = round(len(sample.speech.waveform) / sample.speech.sample_rate, 2)
        shown = [pictures[kind][number] for kind in pictures]
        table.add_data(step, sample.script, seconds, sample.speech.ended, sounds[number], *shown)
    media = {f"validation/{kind}": images for kind, images in pictures.items()}
    logger.experiment.log(
        {
            "validation/takes": table,
            "validation/sound": sounds,
            **media,
            "trainer/global_step": step,
        }
    )


def _log_to_tensorboard(logger: TensorBoardLogger, samples: Sequence[SampleMedia], step: int) -> None:
    writer = logger.experiment
    for number, sample in enumerate(samples, start=1):
        name = f"validation/{number}"
        writer.add_text(f"{name}/script", sample.script, step)
        writer.add_audio(f"{name}/sound", sample.waveform[None], step, sample.speech.sample_rate)
        for kind, picture in sample.pictures.items():
            writer.add_image(f"{name}/{kind}", picture[None], step)


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
