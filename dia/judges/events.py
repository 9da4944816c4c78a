"""Detection of nonverbal sounds by YAMNet, with a calibrated threshold per tag.

The model file is not part of the package: it is searched for in `$DIA_MODELS`, or else in the cache folder,
and verified by its SHA-256. Without it metrics are not measured; they are never zero. Tags that the detector
does not certainly distinguish from speech (:attr:`Calibration.measurable`) have no scores.
"""

import csv
import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from dia.audio.files import resample
from dia.home import models_folder
from dia.judges.provenance import Provenance
from dia.judges.quiet import without_native_info
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from dia.resources import declaration
from dia.types import Waveform

SAMPLE_RATE, WINDOW, HOP = 16_000, 15_600, 3_200
MIN_CLIPS = 3  # with a tag, and without, for a meaningful threshold
MIN_RECORDINGS = 10  # with a measurable tag, and without
FOLDS = 5  # of the cross-validation that measures sensitivity and specificity
MIN_INFORMEDNESS = 0.3  # lower end of the interval of sensitivity + specificity - 1 of a measurable tag


class DetectorUnavailable(JudgeUnavailable):
    """The detector is not available; the message contains what is missing and how to get it."""


@dataclass(frozen=True)
class Calibration:
    """The threshold of a tag, with the sensitivity and specificity of such thresholds on held-out clips."""

    threshold: float
    sensitivity: float
    specificity: float
    with_tag: int
    without_tag: int

    @property
    def measurable(self) -> bool:
        """Return whether the detector certainly distinguishes this tag, on enough recordings."""
        return (
            min(self.with_tag, self.without_tag) >= MIN_RECORDINGS
            and self.least_informedness >= MIN_INFORMEDNESS
        )

    @property
    def least_informedness(self) -> float:
        """The lower end of the 95 % interval of sensitivity + specificity - 1, -1 without recordings.

        Newcombe's hybrid of two Wilson intervals, as it is the difference of two rates: of detections with
        the tag, and of false alarms without it (Newcombe 1998, Statistics in Medicine 17, method 10).
        """
        if not min(self.with_tag, self.without_tag):
            return -1.0
        hit, alarm = self.sensitivity, 1 - self.specificity
        least_hit, _ = _wilson(hit, self.with_tag)
        _, most_alarm = _wilson(alarm, self.without_tag)
        return hit - alarm - hypot(hit - least_hit, most_alarm - alarm)


class EventDetector:
    """YAMNet in TensorFlow Lite, one window of .975 s every .2 s. Raises :class:`DetectorUnavailable`."""

    hop_seconds, window_seconds = HOP / SAMPLE_RATE, WINDOW / SAMPLE_RATE

    def __init__(self) -> None:
        self.declared = declaration("eval/detectors/yamnet.yaml")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise DetectorUnavailable(
                "ai-edge-litert is not installed; install the extra `evaluation`"
            ) from error
        model, classes = (_checked_file(self.declared[key]) for key in ("model", "classes"))
        with without_native_info():  # "Created TensorFlow Lite XNNPACK delegate"
            self._interpreter = Interpreter(str(model), num_threads=1)
            self._interpreter.allocate_tensors()
        with classes.open(encoding="utf-8") as file:
            names = [row["display_name"] for row in csv.DictReader(file)]
        self._rows = {
            tag: [names.index(name) for name in classes_of_tag]
            for tag, classes_of_tag in self.declared["tags"].items()
        }

    @property
    def provenance(self) -> Provenance:
        """Name and version of the model."""
        sha256 = self.declared["model"]["sha256"]
        return Provenance(
            f"YAMNet (sha256 {sha256[:12]})", f"ai-edge-litert {_version()}", SAMPLE_RATE, "Apache-2.0", True
        )

    @property
    def definition(self) -> dict[str, list[str]]:
        """The classes of each tag."""
        classes: dict[str, list[str]] = self.declared["tags"]
        return classes

    def scores(self, recording: Recording) -> dict[str, float]:
        """Return the score of each tag in 0..1, the maximum over its classes and all windows.

        Tags without classes are omitted.
        """
        _, scores = self.windows(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
        return {tag: float(values.max()) for tag, values in scores.items()}

    def windows(self, waveform: Waveform) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Return the start of each window (windows,) of a waveform at 16 kHz, in seconds, and scores by tag.

        The score of a tag (windows,) is the maximum over its classes.
        """
        starts, classes = self.class_scores(waveform)
        return starts, self.of_tags(classes)

    def of_tags(self, classes: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the score of each tag (windows,) for the scores of all classes (windows, classes)."""
        return {tag: classes[:, rows].max(axis=1) for tag, rows in self._rows.items() if rows}

    def class_scores(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the start of each window (windows,) of a waveform at 16 kHz, in seconds, and the scores of
        all classes (windows, classes).
        """
        classes = self._class_scores(np.pad(waveform, (WINDOW // 4, WINDOW)))
        return ((np.arange(len(classes)) * HOP - WINDOW // 4) / SAMPLE_RATE).astype(np.float32), classes

    def _class_scores(self, waveform: Waveform) -> NDArray[np.float32]:
        source, target = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        scores: list[Any] = []
        for start in range(0, len(waveform) - WINDOW + 1, HOP):
            window = waveform[start : start + WINDOW].astype(np.float32)
            self._interpreter.set_tensor(source["index"], window.reshape(source["shape"]))
            self._interpreter.invoke()
            scores.append(self._interpreter.get_tensor(target["index"])[0].copy())
        return np.stack(scores)


def _wilson(rate: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate of ``count`` recordings."""
    interval = binomtest(round(rate * count), count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def calibrate(
    scores: list[dict[str, float]], labels: list[set[str]], folds: list[int] | None = None
) -> dict[str, Calibration]:
    """Return the calibration of each tag by Youden's J on clips with known tags ``labels``.

    ``folds`` are those of the cross-validation, such as folds of people; None deals the clips to five folds.
    Tags that do not occur are omitted.
    """
    tags = sorted(set().union(*labels) & set(scores[0])) if scores else []
    return {
        tag: _calibrate_tag([row[tag] for row in scores], [tag in tags_of for tags_of in labels], folds)
        for tag in tags
    }


def _calibrate_tag(values: list[float], present: list[bool], folds: list[int] | None) -> Calibration:
    score, is_present = np.array(values), np.array(present)
    counts = int(is_present.sum()), int((~is_present).sum())
    if min(counts) < MIN_CLIPS:
        return Calibration(_best_threshold(score, is_present), 0.0, 0.0, *counts)
    fold = _dealt(is_present) if folds is None else np.array(folds)
    detected = _held_out_detections(score, is_present, fold)
    sensitivity, specificity = detected[is_present].mean(), 1 - detected[~is_present].mean()
    return Calibration(_best_threshold(score, is_present), float(sensitivity), float(specificity), *counts)


def _best_threshold(score: NDArray[np.float64], is_present: NDArray[np.bool_]) -> float:
    """Return the threshold with the highest sensitivity + specificity (Youden's J) on these clips."""
    candidates = np.unique(score)
    sensitivity = np.array([(score[is_present] >= limit).mean() for limit in candidates])
    specificity = np.array(
        [(score[~is_present] < limit).mean() if (~is_present).any() else 0.0 for limit in candidates]
    )
    return float(candidates[int((sensitivity + specificity).argmax())])


def _dealt(is_present: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Return folds with equal shares of the clips with the tag and of those without."""
    fold = np.empty(len(is_present), dtype=int)
    for group in (is_present, ~is_present):
        fold[group] = np.arange(group.sum()) % FOLDS
    return fold


def _held_out_detections(
    score: NDArray[np.float64], is_present: NDArray[np.bool_], fold: NDArray[np.int_]
) -> NDArray[np.bool_]:
    """Return for each clip whether the tag is detected with the threshold of the other folds."""
    detected = np.empty(len(score), dtype=bool)
    for number in np.unique(fold):
        others = fold != number
        detected[~others] = score[~others] >= _best_threshold(score[others], is_present[others])
    return detected


def _checked_file(declared: dict[str, str]) -> Path:
    folder = models_folder()
    path = folder / declared["file"]
    if not path.is_file():
        raise DetectorUnavailable(
            f"{declared['file']} is not in {folder}; put it there, or set DIA_MODELS to the folder that "
            f"holds it (from {declared['source']}, sha256 {declared['sha256']})"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != declared["sha256"]:
        raise DetectorUnavailable(f"{path} does not have the SHA-256 {declared['sha256']}; download it again")
    return path


def _version() -> str:
    try:
        return version("ai-edge-litert")
    except PackageNotFoundError:
        return "unknown"
