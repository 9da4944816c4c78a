"""Nonverbal sounds of a clip: raw detector scores over time, and the times of the script's words.

No threshold is applied here. Events, slots and rates follow in `adherence.py` when clips are summarised, so
that another calibration does not run the detector again.
"""

from collections.abc import Mapping, Sequence

from dia.audio.files import resample
from dia.dialogue import Script
from dia.dialogue.lint import estimated_seconds
from dia.dialogue.tags import canonical_tag, tag_spellings
from dia.evaluation.metrics.adherence import summarise_adherence
from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import ClipScore, Context, Metric, Models, Values, provenance_of
from dia.evaluation.metrics.result import MetricResult
from dia.evaluation.metrics.superbench import summarise_superbench
from dia.evaluation.metrics.words import NORMALISER
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.shared_models import SharedModels
from dia.evaluation.turn_alignment import script_words
from dia.judges.events import SAMPLE_RATE, Calibration
from dia.judges.normalisation import normalisation_version
from dia.judges.prosody import pauses_of
from dia.judges.recording import Recording
from dia.judges.sound_detectors import SoundDetector, open_detector
from dia.judges.transcription import transcript
from dia.judges.unavailable import JudgeUnavailable
from dia.judges.words import count_spoken_names, word_errors


class NonverbalAdherence:
    """Whether the tags of a script are audible, where, and from whom.

    ``calibration`` gives the score above which a tag counts as detected. ``folder`` is that of a trained
    detector, empty for YAMNet. Without a file of the detector the metric is not measured. Protocol: tag,
    plain, swapped and sentinel versions of one text (`Prompt`).
    """

    name, reads = "nonverbals", ()

    def __init__(
        self,
        models: SharedModels,
        calibration: Mapping[str, Calibration],
        detector: SoundDetector | None = None,
        folder: str = "",
    ) -> None:
        self.models, self.calibration = models, calibration
        self.version = f"3, {normalisation_version()}"
        self.missing: NotMeasured | None = None
        self.detector: SoundDetector | None = None
        try:
            self.detector = detector or open_detector(folder)
        except JudgeUnavailable as missing:
            self.missing = NotMeasured(str(missing))

    def provenance(self) -> Models:
        """Return the detector, the ASR model and the aligner."""
        judges = self.detector, self.models.recogniser, self.models.alignment
        return self.missing or provenance_of(*judges, needs=(NORMALISER,))

    def measure(self, recording: Recording, context: Context) -> Values | NotMeasured:
        """Return scores by tag and window, times of words and pauses, the script's tags, tags read aloud."""
        if self.detector is None:
            assert self.missing is not None
            return self.missing
        waveform = resample(recording.waveform, recording.sample_rate, SAMPLE_RATE)
        starts, scores = self.detector.windows(waveform)
        text = transcript(self.models.usable_words(recording))
        words = self.models.script_words(recording)
        errors = word_errors(recording.script, text, recording.language)
        tags = [nonverbal.tag for turn in recording.script.turns for nonverbal in turn.nonverbals]
        # the keys are those of cached values and of clips.parquet: another name needs another version
        return {
            "hop": self.detector.hop_seconds,
            "first": float(starts[0]) + self.detector.window_seconds / 2,
            "scores": {tag: [round(float(score), 4) for score in row] for tag, row in scores.items()},
            "words": [None if word.times is None else list(word.times) for word in words],
            "word_turns": [word.turn for word in words],
            "pauses": pauses_of(waveform),
            "speakers": [turn.speaker for turn in recording.script.turns],
            "asked": tag_slots(recording.script),
            "seconds": recording.seconds,
            "errors": errors.errors,
            "word_count": max(errors.words, 1),
            "read_aloud": count_spoken_names([*tags, *_spellings(tags)], recording.script, text),
        }

    def worst_values(self, prompt: Prompt, reason: str = "") -> Values | None:
        """Return a clip without the sounds of its script, and with all others, at no known place."""
        script = Script.parse(prompt.script)
        tags = tag_slots(script)
        own = {tag["tag"] for tag in tags}
        words = max(word_errors(script, "", prompt.language).words, 1)
        places = len(script_words(script))
        return {
            "hop": 1.0,
            "first": 0.0,
            "scores": {tag: [0.0 if tag in own else 1.0] for tag in self.calibration},
            "words": [None] * places,
            "word_turns": [0] * places,
            "pauses": [],
            "speakers": [turn.speaker for turn in script.turns],
            "asked": tags,
            "seconds": estimated_seconds(script),
            "errors": words,
            "word_count": words,
            "read_aloud": int(bool(tags)),
        }

    def summarise(self, clips: Sequence[ClipScore]) -> list[MetricResult]:
        """Return the results of `adherence.py` and those of NVV-SuperBench."""
        measured = [clip for clip in clips if clip.measured]
        return [
            *summarise_adherence(measured, self.calibration),
            *summarise_superbench(measured, self.calibration),
        ]


def tag_slots(script: Script) -> list[dict[str, int | str]]:
    """Return each tag of a script, its slot (the number of words before it), and the speaker of its turn."""
    words = script_words(script)
    slots: list[dict[str, int | str]] = []
    for number, turn in enumerate(script.turns):
        for nonverbal in turn.nonverbals:
            before = sum((word.turn, word.char) < (number, nonverbal.char) for word in words)
            slots.append({"tag": nonverbal.tag, "slot": before, "speaker": turn.speaker})
    return slots


def build(inputs: MetricInputs) -> Metric:
    """Return nonverbal adherence with the calibration of the detector."""
    return NonverbalAdherence(inputs.models, inputs.calibration, folder=inputs.config.events)


def _spellings(tags: Sequence[str]) -> list[str]:
    """Return all spellings of the known ones among the tags."""
    known = {canonical_tag(tag) for tag in tags} - {None}
    return [spelling for spelling in tag_spellings() if canonical_tag(spelling) in known]
