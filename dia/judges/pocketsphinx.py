"""Speech recognition by PocketSphinx (hidden Markov models and an n-gram), as a second opinion to Whisper.

Its wheel contains an English model, so it runs offline. It is much less accurate than Whisper but has
different biases: no punctuation, and no completion of truncated sentences. A ranking of systems on which both
agree does not depend on the biases of Whisper.
"""

from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from dia.audio.files import resample
from dia.judges.provenance import Provenance
from dia.judges.recording import ENGLISH, Recording
from dia.judges.transcription import SHORTEST, SILENT, RecognisedWord
from dia.judges.unavailable import JudgeUnavailable, loading_judge

SAMPLE_RATE = 16_000
# Active states and words; without a limit audio that is not speech activates all of them.
BEAM = {"maxhmmpf": 3000, "maxwpf": 10}
FRAMES = 100  # of the decoder per second
FULL_SCALE = 32_000  # the peak is scaled to .3 of it, because the features depend on the level


class PocketSphinx:
    """PocketSphinx with the English model of its wheel.

    Raises :class:`dia.judges.unavailable.JudgeUnavailable` on first use if it is not installed.
    """

    @cached_property
    def _decoder(self) -> Any:
        with loading_judge("PocketSphinx"):
            from pocketsphinx import Decoder

            return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", **BEAM)

    @property
    def provenance(self) -> Provenance:
        """Name and version of the model. Raises as loading does."""
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
        """Return the words of a recording with times; none for silence or less than a tenth of a second.

        Raises :class:`dia.judges.unavailable.JudgeUnavailable` for other languages than English.
        """
        if recording.seconds < SHORTEST or np.abs(recording.waveform).max() < SILENT:
            return []
        if recording.language != ENGLISH:
            raise JudgeUnavailable(
                f"PocketSphinx knows English and not {recording.language!r}; "
                "name a CTC model with judges.second_asr="
            )
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        level = 0.3 * FULL_SCALE / np.abs(waveform).max()
        self._decoder.reinit_feat()  # resets the feature mean of the previous recording
        self._decoder.start_utt()
        self._decoder.process_raw((waveform * level).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        return [_recognised_word(piece) for piece in self._decoder.seg() or [] if piece.word[0] not in "<["]


def _recognised_word(piece: Any) -> RecognisedWord:
    """A decoded word without its pronunciation number ("the(2)")."""
    return RecognisedWord(
        f" {piece.word.partition('(')[0]}", piece.start_frame / FRAMES, (piece.end_frame + 1) / FRAMES
    )
