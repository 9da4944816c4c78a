"""Nonverbal sounds of a clip: raw scores over time, and where the script's words lie; no threshold is applied
here.

What follows from them (events, slots, rates) is decided in `adherence.py` when clips are summed up, so that
another calibration needs no second hearing.
"""

from collections.abc import Mapping, Sequence

from dia.audio.files import resample
from dia.dialogue import Script
from dia.dialogue.tags import canonical_tag, tag_spellings
from dia.evaluation.metrics.adherence import adherence_rows
from dia.evaluation.metrics.protocol import Clip, Context, Origin, Row, Values, origin_of
from dia.evaluation.metrics.superbench import superbench_rows
from dia.evaluation.metrics.words import NORMALISER, normalisation_stamp
from dia.evaluation.shared_models import Hearing
from dia.evaluation.turn_alignment import script_words
from dia.judges.events import HOP, SAMPLE_RATE, WINDOW, Calibration, EventDetector
from dia.judges.prosody import pauses_of
from dia.judges.recording import Recording
from dia.judges.transcription import transcript
from dia.judges.unavailable import JudgeUnavailable
from dia.judges.words import count_spoken_names, word_errors


class NonverbalAdherence:
    """Whether the tags of a script are heard, where, and by whom; ``calibration`` says from which score on a
    tag is heard.

    Made without a detector's file it is not measured. Protocol: tag, plain, swapped and sentinel versions of
    one text (`Prompt`).
    """

    name, reads = "nonverbals", ()

    def __init__(
        self, hearing: Hearing, calibration: Mapping[str, Calibration], detector: EventDetector | None = None
    ) -> None:
        self.hearing, self.calibration, self.version = hearing, calibration, f"2, {normalisation_stamp()}"
        self.detector, self.missing = detector, ""
        try:
            self.detector = detector or EventDetector()
        except JudgeUnavailable as missing:
            self.missing = f"not measured: {missing}"

    def provenance(self) -> Origin:
        """Return the detector, the recogniser and the aligner."""
        judges = self.detector, self.hearing.recogniser, self.hearing.alignment
        return self.missing or origin_of(*judges, needs=(NORMALISER,))

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return scores by tag and window, the middles of the windows, the times of words and pauses, what is
        asked and what read aloud.
        """
        if self.detector is None:
            raise ValueError(f"the nonverbals of {recording.prompt_id} cannot be measured: {self.missing}")
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        starts, scores = self.detector.windows(waveform)
        heard = transcript(self.hearing.words(recording))
        errors = word_errors(recording.script, heard)
        names = [nonverbal.tag for turn in recording.script.turns for nonverbal in turn.nonverbals]
        return {
            "hop": HOP / SAMPLE_RATE, "first": float(starts[0]) + WINDOW / SAMPLE_RATE / 2,
            "scores": {tag: [round(float(score), 4) for score in found] for tag, found in scores.items()},
            "words": [None if word.times is None else list(word.times) for word in self.hearing.script_words(recording)],
            "word_turns": [word.turn for word in self.hearing.script_words(recording)],
            "pauses": pauses_of(waveform), "speakers": [turn.speaker for turn in recording.script.turns],
            "asked": asked_slots(recording.script), "seconds": recording.seconds,
            "errors": errors.errors, "word_count": max(errors.words, 1),
            "read_aloud": count_spoken_names([*names, *_spellings(names)], recording.script, heard),
        }  # fmt: skip

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return the rows of `adherence.py`, and NVV-SuperBench's figures."""
        measured = [clip for clip in clips if clip.measured]
        return [*adherence_rows(measured, self.calibration), *superbench_rows(measured, self.calibration)]


def asked_slots(script: Script) -> list[dict[str, int | str]]:
    """Return each tag of a script with its slot, the number of the script's words before it, and the speaker
    of its turn.
    """
    words = script_words(script)
    found: list[dict[str, int | str]] = []
    for number, turn in enumerate(script.turns):
        for nonverbal in turn.nonverbals:
            before = sum((word.turn, word.char) < (number, nonverbal.char) for word in words)
            found.append({"tag": nonverbal.tag, "slot": before, "speaker": turn.speaker})
    return found


def _spellings(names: Sequence[str]) -> list[str]:
    """All spellings of the known ones among the tags."""
    known = {canonical_tag(name) for name in names} - {None}
    return [spelling for spelling in tag_spellings() if canonical_tag(spelling) in known]
