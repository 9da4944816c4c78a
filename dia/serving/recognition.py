"""Speech recognition of the server: transcripts of recordings, and the times of a script's words.

Whisper runs on one thread and for one recording at a time, so that it slows the generation little.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dia.audio.files import waveform_from_bytes
from dia.dialogue.script import Script, normalize_text
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import ScriptWord, times_of_turns
from dia.judges.recording import ENGLISH, Recording, Times
from dia.judges.transcription import Recogniser, Whisper, transcript
from dia.judges.unavailable import JudgeUnavailable
from dia.serving.job import QueueFullError
from dia.serving.uploads import require_short

LONGEST = 600  # seconds of a recording
WAITING = 4  # recordings that may wait; more are answered with 429


@dataclass(frozen=True)
class AlignedScript:
    """Where a script is spoken; times are (start, end) in seconds, None where nothing was recognised.

    Attributes:
        words: Words with the number of their turn.
        speakers: Speaker of each turn.
        turns: Times of each turn.
    """

    words: Sequence[ScriptWord]
    speakers: Sequence[int]
    turns: Sequence[Times | None]


class SpeechRecognition:
    """Recognises speech for any thread. ``recogniser`` None is Whisper tiny.en."""

    def __init__(self, recogniser: Recogniser | None = None) -> None:
        self._models = SharedModels(recogniser or Whisper(threads=1))
        self._places = threading.BoundedSemaphore(1 + WAITING)
        self._lock = threading.Lock()

    @property
    def missing(self) -> str:
        """Why nothing can be recognised; empty where the model is installed."""
        try:
            _ = self._models.recogniser.provenance
        except JudgeUnavailable as error:
            return str(error)
        return ""

    def transcribe(self, content: bytes, language: str = ENGLISH) -> str:
        """Return the words of an audio file.

        Raises:
            UserError: For a file that is no audio or is too long, and for a language that the model lacks.
            JudgeUnavailable: When the model is not installed.
            QueueFullError: When too many recordings wait.
        """
        recording = _recording(content, "[S1] speech", language)
        with self._turn():
            return " ".join(transcript(self._models.words(recording)).split())

    def align(self, content: bytes, script: str) -> AlignedScript:
        """Return where the words and turns of a script are in an audio file; raises as :meth:`transcribe`."""
        recording = _recording(content, script, ENGLISH)
        with self._turn():
            words = self._models.script_words(recording)
        turns = recording.script.turns
        return AlignedScript(words, [turn.speaker for turn in turns], times_of_turns(words, len(turns)))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the recordings before this one."""
        if not self._places.acquire(blocking=False):
            raise QueueFullError
        try:
            with self._lock:
                yield
        finally:
            self._places.release()


def _recording(content: bytes, script: str, language: str) -> Recording:
    require_short(content, LONGEST)
    waveform, rate = waveform_from_bytes(content)
    read = Script.read(normalize_text(script))
    return Recording("upload", "server", read, waveform, rate, language=language)
