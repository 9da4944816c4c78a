"""Nonverbal sounds as YAMNet hears them, with a threshold calibrated per tag on recordings whose sounds are
known.

The model file is not part of the package: it is looked for in `$DIA_MODELS`, else in `~/.cache/dia/models`,
and checked against its sha256. A missing detector is a result ("not measured: ..."), never a silent zero. A
detector that cannot tell a tag's sounds from speech (sensitivity + specificity - 1 below .5) says so instead
of giving a score.
"""

import csv
import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.audio.files import resample
from dia.home import models_folder
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from dia.resources import declaration
from dia.types import Waveform

SAMPLE_RATE, WINDOW, HOP = 16_000, 15_600, 3_200
FEWEST = 3  # clips with a tag, and without, below which a threshold would be a guess
FOLDS = 5  # of the clips, when sensitivity and specificity are measured
INFORMED = 0.5  # sensitivity + specificity - 1 that makes a tag measurable


class DetectorUnavailable(JudgeUnavailable):
    """The detector cannot be used here; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Calibration:
    """Threshold on a tag's score; sensitivity and specificity of thresholds chosen so, on clips held out from
    the choice.
    """

    threshold: float
    sensitivity: float
    specificity: float
    with_tag: int
    without_tag: int

    @property
    def measurable(self) -> bool:
        """Whether the detector tells this tag's sounds apart."""
        return (
            min(self.with_tag, self.without_tag) >= FEWEST
            and self.sensitivity + self.specificity - 1 >= INFORMED
        )


class EventDetector:
    """YAMNet in TensorFlow Lite, one window of .975 s every .2 s. Raises :class:`DetectorUnavailable`."""

    def __init__(self) -> None:
        self.declared = declaration("eval/detectors/yamnet.yaml")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise DetectorUnavailable(
                "ai-edge-litert is not installed; install the extra `evaluation`"
            ) from error
        model, classes = (_checked_file(self.declared[key]) for key in ("model", "classes"))
        self._interpreter = Interpreter(str(model), num_threads=1)
        self._interpreter.allocate_tensors()
        with classes.open(encoding="utf-8") as file:
            names = [row["display_name"] for row in csv.DictReader(file)]
        self._rows = {
            tag: [names.index(name) for name in found] for tag, found in self.declared["tags"].items()
        }

    @property
    def provenance(self) -> Provenance:
        """Which model this is."""
        sha256 = self.declared["model"]["sha256"]
        return Provenance(
            f"YAMNet (sha256 {sha256[:12]})", f"ai-edge-litert {_version()}", SAMPLE_RATE, "Apache-2.0", True
        )

    def scores(self, recording: Recording) -> dict[str, float]:
        """Return each tag's score, 0..1: the best of its classes in the best window. Tags without classes are
        left out.
        """
        _, scores = self.windows(resample(recording.waveform, recording.sample_rate, SAMPLE_RATE))
        return {tag: float(found.max()) for tag, found in scores.items()}

    def windows(self, waveform: Waveform) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Return where each window of a waveform at 16 kHz begins, in seconds, and by tag the best of its
        classes in each.
        """
        classes = self._class_scores(np.pad(waveform, (WINDOW // 4, WINDOW)))
        starts = ((np.arange(len(classes)) * HOP - WINDOW // 4) / SAMPLE_RATE).astype(np.float32)
        return starts, {tag: classes[:, rows].max(axis=1) for tag, rows in self._rows.items() if rows}

    def _class_scores(self, waveform: Waveform) -> NDArray[np.float32]:
        """The score of every class in every window (windows, classes)."""
        source, target = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        found: list[Any] = []
        for start in range(0, len(waveform) - WINDOW + 1, HOP):
            window = waveform[start : start + WINDOW].astype(np.float32)
            self._interpreter.set_tensor(source["index"], window.reshape(source["shape"]))
            self._interpreter.invoke()
            found.append(self._interpreter.get_tensor(target["index"])[0].copy())
        return np.stack(found)


def calibrate(scores: list[dict[str, float]], asked: list[set[str]]) -> dict[str, Calibration]:
    """Choose each tag's threshold by Youden's J on clips whose tags are known; tags that never occur are left
    out.
    """
    tags = sorted(set().union(*asked) & set(scores[0])) if scores else []
    return {
        tag: _calibrate_tag([row[tag] for row in scores], [tag in tags_of for tags_of in asked])
        for tag in tags
    }


def _calibrate_tag(values: list[float], present: list[bool]) -> Calibration:
    score, is_present = np.array(values), np.array(present)
    counts = int(is_present.sum()), int((~is_present).sum())
    if min(counts) < FEWEST:
        return Calibration(_best_threshold(score, is_present), 0.0, 0.0, *counts)
    heard = _heard_when_held_out(score, is_present)
    sensitivity, specificity = heard[is_present].mean(), 1 - heard[~is_present].mean()
    return Calibration(_best_threshold(score, is_present), float(sensitivity), float(specificity), *counts)


def _best_threshold(score: NDArray[np.float64], is_present: NDArray[np.bool_]) -> float:
    """Return the threshold of the highest sensitivity + specificity (Youden's J) on these clips."""
    candidates = np.unique(score)
    sensitivity = np.array([(score[is_present] >= limit).mean() for limit in candidates])
    specificity = np.array(
        [(score[~is_present] < limit).mean() if (~is_present).any() else 0.0 for limit in candidates]
    )
    return float(candidates[int((sensitivity + specificity).argmax())])


def _heard_when_held_out(score: NDArray[np.float64], is_present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each clip whether the tag is heard with the threshold that the other folds choose."""
    fold = np.empty(len(score), dtype=int)
    for group in (is_present, ~is_present):
        fold[group] = np.arange(group.sum()) % FOLDS
    heard = np.empty(len(score), dtype=bool)
    for number in np.unique(fold):
        kept = fold != number
        heard[~kept] = score[~kept] >= _best_threshold(score[kept], is_present[kept])
    return heard


def _checked_file(declared: dict[str, str]) -> Path:
    folder = models_folder()
    path = folder / declared["file"]
    if not path.is_file():
        raise DetectorUnavailable(
            f"{declared['file']} is not in {folder}; put it there, or set DIA_MODELS to the folder that holds it "
            f"(from {declared['source']}, sha256 {declared['sha256']})"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != declared["sha256"]:
        raise DetectorUnavailable(
            f"{path} is another file than the one with sha256 {declared['sha256']}; download it again"
        )
    return path


def _version() -> str:
    try:
        return version("ai-edge-litert")
    except PackageNotFoundError:
        return "unknown"
