"""What the judges hear in scripts that a model in training has just spoken: the figures of a validation.

Each script is that of a row of the data set, and is set against the row's own recording: its words, its voices, its sounds,
its length. A judge is loaded when it is first needed. One that cannot be used here gives a reason instead of a figure.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dia.dialogue import Script
from dia.evaluation.truth import ground_truth
from dia.evaluation.turns import find_turns
from dia.judges.events import Calibration, EventDetector, calibrate
from dia.judges.missing import JudgeMissing
from dia.judges.recording import Recording
from dia.judges.speakers import SpeakerEncoder, TurnSimilarity
from dia.judges.transcription import HeardWord, Whisper, transcript
from dia.judges.words import word_errors

Row = dict[str, Any]
MODEL = "model"
NO_SOUND = "the data set keeps no sound to compare with; prepare it with data.keep_audio=true"


class Spoken(Protocol):
    """What is needed of a spoken text: its wave, float32 (samples,), its sample rate in hertz, and whether it came to an end."""

    @property
    def wave(self) -> NDArray[np.float32]:
        """The samples."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hertz."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the model ended by itself."""
        ...


class Listener:
    """Judges the scripts of ``rows``, in their order. ``labelled`` are rows that the detector of sounds is calibrated on.

    Called with what was spoken it returns figures by name, and why others are missing. Words: ``wer``, errors per reference word.
    Voices: ``similarity``, cosine to the row's own voice turn by turn, and ``similarity_margin`` over the row's other voice.
    Sounds: ``tag_recall``, how often an asked tag is heard, and ``tag_insertion``, how often one that was not asked for is, both
    of tags that the detector can tell. ``missed_eos``, the share that did not end by itself; ``duration_ratio``, seconds spoken
    per second of the recordings.
    """

    def __init__(self, rows: Sequence[Row], labelled: Iterable[Row]) -> None:
        self.rows, self.labelled = rows, labelled
        self.whisper, self.speakers = Whisper(), SpeakerEncoder()
        self.missing: dict[str, str] = {}
        self._sounds: tuple[EventDetector, dict[str, Calibration]] | None = None

    def __call__(self, spoken: Sequence[Spoken]) -> tuple[dict[str, float], dict[str, str]]:
        """Return the figures, and the reasons of those that are missing."""
        recordings = [_recording(row, speech) for row, speech in zip(self.rows, spoken, strict=True)]
        self.missing = {}
        figures = {
            "missed_eos": float(np.mean([not speech.ended for speech in spoken])),
            "duration_ratio": sum(found.seconds for found in recordings) / sum(float(row["seconds"]) for row in self.rows),
        }
        with self._or_reason("wer", "similarity"):
            heard = [self.whisper.words(recording) for recording in recordings]
            figures["wer"] = _error_rate(recordings, heard)
            with self._or_reason("similarity"):
                figures |= self._voices(recordings, heard)
        with self._or_reason("tag_recall"):
            figures |= self._tags(recordings)
        return figures, self.missing

    def _voices(self, recordings: list[Recording], heard: list[list[HeardWord]]) -> dict[str, float]:
        found: list[TurnSimilarity] = []
        for row, recording, words in zip(self.rows, recordings, heard, strict=True):
            if _has_sound(row):
                voices = self.speakers.enroll([ground_truth(row)])
                compared = self.speakers.compare(recording, find_turns(recording.script, words), voices)
                found += [similarity for similarity in compared if similarity is not None]
        if not found:
            self.missing["similarity"] = "no turn could be found" if any(map(_has_sound, self.rows)) else NO_SOUND
            return {}
        margins = [item.right - item.wrong for item in found if np.isfinite(item.wrong)]
        figures = {"similarity": float(np.mean([item.right for item in found]))}
        return figures | ({"similarity_margin": float(np.mean(margins))} if margins else {})

    def _tags(self, recordings: list[Recording]) -> dict[str, float]:
        detector, calibration = self._calibrated()
        measurable = {tag: found for tag, found in calibration.items() if found.measurable}
        asked: list[bool] = []
        unasked: list[bool] = []
        for recording in recordings:
            scores = detector.scores(recording)
            for tag, found in measurable.items():
                (asked if tag in _tags_of(recording) else unasked).append(scores[tag] >= found.threshold)
        if not asked:
            tags = ", ".join(sorted(set().union(*map(_tags_of, recordings)))) or "none"
            heard = ", ".join(sorted(measurable)) or "none"
            self.missing["tag_recall"] = f"the scripts ask for {tags}; the detector can tell from speech here: {heard}"
        rates = {"tag_recall": asked, "tag_insertion": unasked}
        return {name: float(np.mean(found)) for name, found in rates.items() if found}

    def _calibrated(self) -> tuple[EventDetector, dict[str, Calibration]]:
        """The detector, with a threshold for each tag of the labelled clips whose sound was kept."""
        if self._sounds is None:
            detector, truth = EventDetector(), [ground_truth(row) for row in self.labelled if _has_sound(row)]
            scores = [detector.scores(recording) for recording in truth]
            self._sounds = detector, calibrate(scores, [_tags_of(recording) for recording in truth])
        return self._sounds

    @contextmanager
    def _or_reason(self, *names: str) -> Iterator[None]:
        """Give ``names`` a reason when a judge is not installed or its model is not there."""
        try:
            yield
        except ModuleNotFoundError as error:
            reason = f"{error.name} is not installed; install the extra `evaluation`"
            self.missing |= dict.fromkeys(names, reason)
        except JudgeMissing as error:
            self.missing |= dict.fromkeys(names, str(error))


def _recording(row: Row, speech: Spoken) -> Recording:
    script = Script.parse(str(row["script"]))
    return Recording(str(row["id"]), MODEL, script, speech.wave, speech.sample_rate, ended=speech.ended)


def _error_rate(recordings: list[Recording], heard: list[list[HeardWord]]) -> float:
    pairs = zip(recordings, heard, strict=True)
    counted = [word_errors(recording.script, transcript(words)) for recording, words in pairs]
    return sum(found.errors for found in counted) / max(1, sum(found.words for found in counted))


def _tags_of(recording: Recording) -> set[str]:
    return {nonverbal.tag for turn in recording.script.turns for nonverbal in turn.nonverbals}


def _has_sound(row: Row) -> bool:
    return row["audio"]["bytes"] is not None
