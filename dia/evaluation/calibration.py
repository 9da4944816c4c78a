"""Measure the nonverbal detector's sensitivity and specificity per tag, on labelled recordings of people.

Laughs of synthesizers and demo corpora are unnatural, so a detector must be evaluated on people. Duplicate
files count once, thresholds are chosen on other recordings than those they are evaluated on, and unreadable
files are listed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from dia.audio.files import ENDINGS, read_audio_file
from dia.dialogue import Script
from dia.dialogue.tags import known_tags
from dia.errors import UserError, one_line
from dia.evaluation.statistics import estimate_rate
from dia.judges.events import Calibration, EventDetector, calibrate
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from dia.resources import resource

KEYS = {"source", "licence", "left_out", "tags", "speech"}


@dataclass(frozen=True)
class LabelledFile:
    """A sound file: its source, and its tags (none: speech)."""

    source: str
    path: Path
    tags: frozenset[str]


@dataclass
class DetectorScores:
    """The files that were read with their scores by tag, the number of duplicates, and unreadable files."""

    files: list[LabelledFile] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    copies: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def calibrate_on_real(folder: str | Path, labels: str = "eval/detectors/real.yaml") -> dict[str, Any]:
    """Return the calibration as plain JSON: detector, recordings by source, accuracy per tag with intervals.

    Raises :class:`UserError` when the folder, its sounds, the labels or the detector are missing or wrong.
    """
    declared = read_labels(labels)
    files, left_out = find_labelled(Path(folder), declared)
    try:
        detector = EventDetector()
    except JudgeUnavailable as missing:
        raise UserError(f"the detector cannot be calibrated: {missing}") from missing
    read = _score_files(detector, files)
    calibration = calibrate(read.scores, [set(item.tags) for item in read.files])
    return {
        "detector": asdict(detector.provenance),
        "labels_sha256": hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest(),
        "sources": {name: _describe_source(name, source, read) for name, source in declared.items()},
        "left_out": left_out,
        "copies": read.copies,
        "unreadable": read.unreadable,
        "tags": {tag: _describe_tag(tag, item, read) for tag, item in calibration.items()},
    }


def describe_calibration(result: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each tag of a result of :func:`calibrate_on_real`."""
    for tag, item in result["tags"].items():
        verdict = "measurable" if item["measurable"] else "not measurable"
        yield (
            f"{tag}: sensitivity {item['sensitivity']:.2f} ({item['with_tag']} recordings), "
            f"specificity {item['specificity']:.2f} ({item['without_tag']}), "
            f"threshold {item['threshold']:.3f}: {verdict}"
        )


def read_labels(labels: str) -> dict[str, Any]:
    """Read a declaration of labels. Raises :class:`UserError` with all problems at once."""
    path = Path(labels)
    try:
        content = yaml.safe_load((path if path.is_file() else resource(labels)).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"the labels {labels} cannot be read ({one_line(error)}); give a YAML file"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(source, dict) for source in content.values()):
        raise UserError(
            f"the labels {labels} have no sources; write NAME: {{source, licence, tags, speech, left_out}}"
        )
    problems = [problem for name, source in content.items() for problem in _problems(name, source)]
    if problems:
        raise UserError(
            f"the labels {labels} have problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return content


def find_labelled(folder: Path, declared: dict[str, Any]) -> tuple[list[LabelledFile], int]:
    """Return the labelled files below the sources' folders, and the number of other files.

    Raises :class:`UserError` when there is none.
    """
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}; give folder=FOLDER that contains {', '.join(declared)}"
        )
    files: list[LabelledFile] = []
    left_out = 0
    for name, source in declared.items():
        for path in sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in ENDINGS):
            tags = tags_of(path.relative_to(folder / name).as_posix(), source)
            if tags is None:
                left_out += 1
            else:
                files.append(LabelledFile(name, path, tags))
    if not any(item.tags for item in files):
        folders = ", ".join(str(folder / name) for name in declared)
        raise UserError(
            f"there is no labelled sound in {folders}; scripts/recordings/sounds.sh puts Debian's there"
        )
    return files, left_out


def tags_of(path: str, source: dict[str, Any]) -> frozenset[str] | None:
    """Return the tags of a path inside its source, none for speech; None for a file to leave out."""
    if any(fnmatch(path, pattern) for pattern in source.get("left_out", [])):
        return None
    tags = [
        tag
        for tag, patterns in source.get("tags", {}).items()
        if any(fnmatch(path, pattern) for pattern in patterns)
    ]
    if tags or any(fnmatch(path, pattern) for pattern in source.get("speech", [])):
        return frozenset(tags)
    return None


def calibration_of(result: dict[str, Any]) -> dict[str, Calibration]:
    """Return the calibration of each tag from a result of :func:`calibrate_on_real`, or its JSON."""
    names = [item.name for item in fields(Calibration)]
    return {tag: Calibration(**{name: item[name] for name in names}) for tag, item in result["tags"].items()}


def read_calibration(path: str | Path) -> dict[str, Any]:
    """Read a file of `python -m dia.eval calibrate`. Raises :class:`UserError` for any other file."""
    try:
        content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        calibration_of(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"calibration={path} is not a calibration ({one_line(error)}); write it with "
            "python -m dia.eval calibrate folder=SOUNDS"
        ) from error
    return content


def _score_files(detector: EventDetector, files: list[LabelledFile]) -> DetectorScores:
    read, seen = DetectorScores(), set()
    for item in files:
        content = hashlib.sha256(item.path.read_bytes()).hexdigest()
        if content in seen:
            read.copies += 1
            continue
        seen.add(content)
        try:
            waveform, rate = read_audio_file(item.path)
        except UserError as error:
            read.unreadable[str(item.path)] = str(error)
            continue
        recording = Recording(item.path.name, item.source, Script(()), waveform, rate)
        read.files.append(item)
        read.scores.append(detector.scores(recording))
    return read


def _describe_source(name: str, source: dict[str, Any], read: DetectorScores) -> dict[str, Any]:
    own = [item for item in read.files if item.source == name]
    counts = Counter(tag for item in own for tag in item.tags)
    return {
        "source": source["source"],
        "licence": source["licence"],
        "files": len(own),
        "tags": dict(sorted(counts.items())),
        "speech": sum(not item.tags for item in own),
    }


def _describe_tag(tag: str, calibration: Calibration, read: DetectorScores) -> dict[str, Any]:
    """Return a tag's calibration with 95 % intervals, and its false alarms in the speech of each source."""
    alarms: dict[str, dict[str, int]] = {}
    for item, scores in zip(read.files, read.scores, strict=True):
        if not item.tags:
            counts = alarms.setdefault(item.source, {"heard": 0, "recordings": 0})
            counts["heard"] += int(scores[tag] >= calibration.threshold)
            counts["recordings"] += 1
    return asdict(calibration) | {
        "measurable": calibration.measurable,
        "informedness": calibration.sensitivity + calibration.specificity - 1,
        "sensitivity_interval": _interval(calibration.sensitivity, calibration.with_tag),
        "specificity_interval": _interval(calibration.specificity, calibration.without_tag),
        "false_alarms_in_speech": dict(sorted(alarms.items())),
    }


def _interval(share: float, count: int) -> list[float]:
    """Return Wilson's interval of a share of ``count`` recordings."""
    hits = round(share * count)
    outcomes = [1.0] * hits + [0.0] * (count - hits)
    estimate = estimate_rate(outcomes, [str(number) for number in range(count)])
    return [estimate.low, estimate.high]


def _problems(name: str, source: dict[str, Any]) -> Iterator[str]:
    for key in sorted(map(str, source.keys() - KEYS)):
        yield f"{name} has the unknown key {key}"
    for key in ("source", "licence"):
        if not isinstance(source.get(key), str):
            yield f"{name} lacks {key}"
    for tag in source.get("tags", {}):
        if tag not in known_tags():
            yield f"{name}.tags.{tag} is not a tag; known tags: {', '.join(known_tags())}"
    lists = {key: source.get(key, []) for key in ("speech", "left_out")} | {
        f"tags.{tag}": patterns for tag, patterns in source.get("tags", {}).items()
    }
    for key, patterns in lists.items():
        if not (isinstance(patterns, list) and all(isinstance(pattern, str) for pattern in patterns)):
            yield f"{name}.{key} must be a list of patterns"
