"""Pairs of recorded takes, which the codec encodes: of a listening test, or of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dia.audio.files import resample
from dia.codecs.protocol import Codec
from dia.config.data import DataConfig
from dia.data.preferences.schema import Codes, Preference
from dia.data.tokenization import Tokenizer
from dia.pipelines.preferences.rows import PairAudio, PairSource, pair_row


class AudioPairs:
    """Makes rows of pairs of waveforms."""

    def __init__(self, config: DataConfig, codec: Codec) -> None:
        self.config, self.codec = config, codec
        self._tokenizer = Tokenizer(codec)

    def codes(self, audio: PairAudio) -> Sequence[Codes]:
        """Return the codes (T, C) of the preferred and of the rejected take."""
        own = audio.at(self.codec.sample_rate)
        return self._tokenizer.codes([own.chosen, own.rejected], self.codec.sample_rate)

    def voice_codes(self, waveform: np.ndarray, sample_rate: int) -> Codes:
        """Return the codes (T, C) of a voice prompt."""
        own = resample(waveform, sample_rate, self.codec.sample_rate)
        return self._tokenizer.codes([own], self.codec.sample_rate)[0]

    def row(self, source: PairSource, split: str, audio: PairAudio, **preference: Any) -> dict[str, Any]:
        """Return the row of a pair; ``preference`` are the other values of :class:`Preference`."""
        chosen_TC, rejected_TC = self.codes(audio)
        described = Preference(rejected_codes=rejected_TC, rejected_ended=True, **preference)
        return pair_row(
            source,
            split,
            chosen_TC,
            self.codec.name,
            audio.at(self.config.sample_rate),
            described,
            keep_audio=self.config.keep_audio,
        )
