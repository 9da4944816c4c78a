"""Speech to text by PocketSphinx: hidden Markov models and an n-gram, a recogniser of another family than
Whisper.

Its wheel carries an English model, so it runs with no network. It is far weaker than Whisper and shares none
of its habits: it writes no punctuation and ends no sentence that was cut off. An order of systems that both
give is not Whisper's taste alone.
"""

from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.transcription import SHORTEST, SILENT, RecognisedWord
from dia.judges.unavailable import loading_judge

SAMPLE_RATE = 16_000
BEAM = {
    "maxhmmpf": 3000,
    "maxwpf": 10,
}  # states and words that are followed: sound that is no speech would take all of them
FRAMES = 100  # of the decoder in a second
FULL_SCALE = 32_000  # the highest sample is brought to .3 of it, for the features depend on the level


class PocketSphinx:
    """PocketSphinx with the English model of its wheel. Raises :class:`dia.judges.unavailable.JudgeUnavailable`
    when first used.
    """

    @cached_property
    def _decoder(self) -> Any:
        with loading_judge("PocketSphinx"):
            from pocketsphinx import Decoder

            return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", **BEAM)

    @property
    def provenance(self) -> Provenance:
        """Which model this is. Raises as using it does."""
        with loading_judge("PocketSphinx"):
            import pocketsphinx  # noqa: F401
        return Provenance(
            "PocketSphinx en-us",
            f"pocketsphinx {version('pocketsphinx')}",
            SAMPLE_RATE,
            "BSD-2-Clause",
            True,
            str(BEAM),
        )

    def words(self, recording: Recording) -> list[RecognisedWord]:
        """Return the words of a recording with their times; nothing for silence or less than a tenth of a
        second.
        """
        if recording.seconds < SHORTEST or np.abs(recording.waveform).max() < SILENT:
            return []
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        level = 0.3 * FULL_SCALE / np.abs(waveform).max()
        self._decoder.reinit_feat()  # else the mean of the features is that of the recording before
        self._decoder.start_utt()
        self._decoder.process_raw((waveform * level).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        return [_heard(piece) for piece in self._decoder.seg() or [] if piece.word[0] not in "<["]


def _heard(piece: Any) -> RecognisedWord:
    """A decoded word without the number of its pronunciation ("the(2)")."""
    return RecognisedWord(
        f" {piece.word.partition('(')[0]}", piece.start_frame / FRAMES, (piece.end_frame + 1) / FRAMES
    )
