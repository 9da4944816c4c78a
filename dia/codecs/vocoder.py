"""The second stage of a codec's decoding, which turns features of consecutive frames into audio.

A codec decodes codes to features of each frame, which depend on a few frames on either side, and features to
audio, by a vocoder whose state depends on all frames before. Most codecs decode codes to samples at once:
their features are the samples (:class:`SamplesAsFeatures`).

Legend: B batch, L samples, T codec frames, X features of a frame.
"""

from typing import Protocol

import torch
from torch import Tensor


class Vocoder(Protocol):
    """Turns the features of consecutive frames of one waveform into audio.

    Attributes:
        first_frames: Frames from whose features the first audio follows.
    """

    first_frames: int

    def add(self, features_TX: Tensor, ended: bool) -> Tensor:
        """Return the samples (L,) that further frames make final; ``ended`` makes all of them final."""
        ...

    def preview(self) -> Tensor:
        """Return the samples (L,) after those returned, as if the waveform ended here; the state stays."""
        ...


class SamplesVocoder:
    """The vocoder of features that are samples."""

    first_frames = 1

    def add(self, features_TX: Tensor, ended: bool) -> Tensor:
        """Return the samples (L,)."""
        return features_TX.flatten()

    def preview(self) -> Tensor:
        """Return no samples."""
        return torch.zeros(0)


class Decodes(Protocol):
    """What :class:`SamplesAsFeatures` needs of a codec."""

    hop: int

    def decode(self, codes_BTC: Tensor) -> Tensor:
        """As :meth:`dia.codecs.protocol.Codec.decode`."""
        ...


class SamplesAsFeatures:
    """The two stages of a codec that decodes codes to samples at once."""

    def decode_features(self: Decodes, codes_BTC: Tensor) -> Tensor:
        """Return the samples (B, T, hop) of codes (B, T, C)."""
        waveform_BL = self.decode(codes_BTC)
        return waveform_BL.reshape(len(waveform_BL), -1, self.hop)

    def vocoder(self) -> Vocoder:
        """Return a new vocoder."""
        return SamplesVocoder()
