"""From recordings to scores: every judge once over every recording, then one summary per system.

One datum: Recording -> ClipScores (what each judge said of it) -> a system's row with intervals.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from rich.progress import track

from dia.evaluation.statistics import Estimate, difference_of_rates, estimate_mean, estimate_rate, estimate_ratio
from dia.evaluation.truth import REFERENCE
from dia.evaluation.turns import find_turns
from dia.judges.events import Calibration, DetectorMissing, EventDetector, calibrate
from dia.judges.quality import QualityPredictor
from dia.judges.recording import Recording, Times
from dia.judges.speakers import SpeakerEncoder, TurnSimilarity
from dia.judges.transcription import Whisper, transcript
from dia.judges.words import WordErrors, normalisation, word_errors

NOT_CALIBRATED = "not measured: the detector has no class for it, or no labelled clip has it"


@dataclass(frozen=True)
class ClipScores:
    """What the judges said of one recording; None where a judge could not measure."""

    recording: Recording
    transcript: str
    words: WordErrors
    similarity: list[TurnSimilarity | None]
    mos: float | None
    events: dict[str, float] | None


class Judges:
    """The models that judge; each is loaded when first used. ``events`` is None with the reason beside it."""

    def __init__(self) -> None:
        self.whisper, self.speakers, self.quality = Whisper(), SpeakerEncoder(), QualityPredictor()
        self.events: EventDetector | None = None
        self.events_missing = ""
        try:
            self.events = EventDetector()
        except DetectorMissing as missing:
            self.events_missing = f"not measured: {missing}"

    def score(self, recordings: list[Recording], enrolment: list[Recording]) -> list[ClipScores]:
        """Score every recording; the voices are enrolled from ``enrolment``, whose turn times are known."""
        voices = self.speakers.enroll(enrolment)
        return [self._score(recording, voices) for recording in track(recordings, "scoring")]

    def event_scores(self, recordings: Iterable[Recording]) -> list[dict[str, float]]:
        """Return the tag scores of recordings, for calibration; nothing when there is no detector."""
        return [self.events.scores(recording) for recording in recordings] if self.events else []

    def provenance(self) -> dict[str, Any]:
        """Return which model each metric comes from."""
        named = {"wer": self.whisper.provenance, "similarity": self.speakers.provenance, "mos": self.quality.provenance}
        described: dict[str, Any] = {metric: asdict(found) for metric, found in named.items()}
        described["wer"]["normalisation"] = normalisation()
        described["nonverbals"] = asdict(self.events.provenance) if self.events else self.events_missing
        return described

    def _score(self, recording: Recording, voices: dict[int, Any]) -> ClipScores:
        heard = self.whisper.words(recording)
        turns: list[Times | None] = list(recording.turn_times) if recording.turn_times else find_turns(recording.script, heard)
        text = transcript(heard)
        return ClipScores(
            recording,
            text,
            word_errors(recording.script, text),
            self.speakers.compare(recording, turns, voices),
            self.quality.predict(recording),
            self.events.scores(recording) if self.events else None,
        )


def summarise(clips: list[ClipScores], calibration: dict[str, Calibration] | str) -> dict[str, Any]:
    """Return one row per system, in the order of first appearance, as plain values. A calibration that is a text says why."""
    systems = dict.fromkeys(clip.recording.system for clip in clips)
    reference = {clip.recording.prompt_id: clip.recording.seconds for clip in clips if clip.recording.system == REFERENCE}
    return {
        system: _row([clip for clip in clips if clip.recording.system == system], reference, calibration) for system in systems
    }


def _row(clips: list[ClipScores], reference: dict[str, float], calibration: dict[str, Calibration] | str) -> dict[str, Any]:
    prompts = [clip.recording.prompt_id for clip in clips]
    turns = [(found, prompt) for clip, prompt in zip(clips, prompts, strict=True) for found in clip.similarity]
    measured = [(found, prompt) for found, prompt in turns if found is not None]
    rated = [(clip.mos, prompt) for clip, prompt in zip(clips, prompts, strict=True) if clip.mos is not None]
    return {
        "wer": _plain(estimate_ratio([c.words.errors for c in clips], [max(c.words.words, 1) for c in clips], prompts)),
        "wer_mean": sum(clip.words.rate for clip in clips) / len(clips),
        "spoken_tags": sum(clip.words.spoken_tags for clip in clips),
        "similarity": _mean([(found.right, prompt) for found, prompt in measured], "no turn could be found"),
        "similarity_margin": _mean(
            [(found.right - found.wrong, prompt) for found, prompt in measured if isfinite(found.wrong)],
            "no turn could be found, or there is no other voice",
        ),
        "turns_not_measured": len(turns) - len(measured),
        "mos": _mean(rated, "every recording is too short"),
        "mos_not_measured": len(clips) - len(rated),
        "missed_eos": sum(not clip.recording.ended for clip in clips) / len(clips),
        "duration_ratio": _mean(
            [(c.recording.seconds / reference[p], p) for c, p in zip(clips, prompts, strict=True) if p in reference],
            "no ground truth",
        ),
        "nonverbals": calibration if isinstance(calibration, str) else _nonverbals(clips, calibration),
    }


def _nonverbals(clips: list[ClipScores], calibration: dict[str, Calibration]) -> dict[str, Any]:
    """Per tag: how often it is heard where asked and where not, and the difference; or why it cannot be measured."""
    asked = set().union(*(asked_tags(clip.recording) for clip in clips))
    unknown = {tag: {"result": NOT_CALIBRATED} for tag in sorted(asked - calibration.keys())}
    return {tag: _tag_row(clips, tag, found) for tag, found in calibration.items()} | unknown


def _tag_row(clips: list[ClipScores], tag: str, found: Calibration) -> dict[str, Any]:
    row: dict[str, Any] = {"calibration": asdict(found)}
    if not found.measurable:
        return row | {"result": "not measurable with this detector"}
    recall, inserted = _rate(clips, tag, found, True), _rate(clips, tag, found, False)
    nothing = "not measured: no clip of that kind"
    return row | {
        "result": "measured",
        "recall": _plain(recall) if recall else nothing,
        "false_insertion": _plain(inserted) if inserted else nothing,
        "net_effect": _plain(difference_of_rates(recall, inserted)) if recall and inserted else nothing,
    }


def _rate(clips: list[ClipScores], tag: str, found: Calibration, asked: bool) -> Estimate | None:
    """Return how often a tag is heard in the clips that do, or do not, ask for it; None when there are none."""
    chosen = [clip for clip in clips if (tag in asked_tags(clip.recording)) == asked]
    heard = [float((clip.events or {})[tag] >= found.threshold) for clip in chosen]
    return estimate_rate(heard, [clip.recording.prompt_id for clip in chosen]) if chosen else None


def asked_tags(recording: Recording) -> set[str]:
    """Return the tags that a recording's script asks for."""
    return {nonverbal.tag for turn in recording.script.turns for nonverbal in turn.nonverbals}


def calibrate_events(judges: Judges, labelled: list[Recording]) -> dict[str, Calibration] | str:
    """Calibrate the detector on recordings that hold just what their scripts ask for; or say why it is not measured."""
    if judges.events is None:
        return judges.events_missing
    return calibrate(judges.event_scores(labelled), [asked_tags(recording) for recording in labelled])


def _mean(pairs: list[tuple[float, str]], nothing: str) -> dict[str, Any] | str:
    if not pairs:
        return f"not measured: {nothing}"
    return _plain(estimate_mean([value for value, _ in pairs], [prompt for _, prompt in pairs]))


def _plain(estimate: Estimate) -> dict[str, Any]:
    return asdict(estimate)
