"""Measure the nonverbal detector's sensitivity and specificity per tag, on labelled recordings of people.

Laughs of synthesizers and demo corpora are unnatural, so a detector must be evaluated on people. The sounds
are mixed into running speech (`calibration_clips.py`). Duplicate files count once, thresholds are chosen on
other people and sounds than those they are evaluated on, and unreadable files are listed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from dia.audio.files import read_audio_file, resample
from dia.audio.formats import READABLE, is_audio_name
from dia.dialogue import Script
from dia.dialogue.tags import known_tags
from dia.documents import read_json, read_yaml
from dia.errors import UserError, one_line
from dia.evaluation.calibration_clips import (
    SAMPLE_RATE,
    CalibrationClip,
    LabelledRecording,
    calibration_clips,
)
from dia.evaluation.statistics import wilson
from dia.files import is_plain_name
from dia.judges.events import Calibration, calibrate
from dia.judges.recording import Recording
from dia.judges.sound_detectors import SoundDetector, open_detector
from dia.judges.unavailable import JudgeUnavailable
from dia.progress import progress
from dia.resources import resource

KEYS = {"source", "licence", "person", "left_out", "tags", "speech"}
CLIP_SECONDS = 9.0  # of the clips that the sounds are mixed into: two turns of speech
PEOPLE: dict[str, Callable[[str], str]] = {
    "folder": lambda path: path.partition("/")[0],  # a folder for each person
    "prefix": lambda path: path.rpartition("/")[2].partition("_")[0],  # names such as PERSON_12.wav
    "one": lambda path: "",  # the source has one voice
}  # how the person of a recording is read from its path inside of the source


@dataclass(frozen=True)
class LabelledFile:
    """A sound file: its source, the person, and its tags (none: speech)."""

    source: str
    person: str
    path: Path
    tags: frozenset[str]


@dataclass(frozen=True)
class ScoredClip:
    """A clip's tags, its fold of people, the source of its speech, and the detector's score of each tag."""

    tags: frozenset[str]
    fold: int
    speech_source: str
    scores: dict[str, float]


@dataclass
class ReadFiles:
    """The recordings that were read, the numbers of duplicates and of files without a label, and the
    unreadable files with the reason.
    """

    recordings: list[LabelledRecording] = field(default_factory=list)
    copies: int = 0
    left_out: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def calibrate_on_real(
    folder: str | Path,
    labels: str = "eval/detectors/real.yaml",
    seconds: float = CLIP_SECONDS,
    detector: str = "",
) -> dict[str, Any]:
    """Return the calibration of a detector on recordings of people, as :func:`calibration_result` does.

    ``detector`` is the folder of a trained detector, empty for YAMNet. Raises :class:`UserError` when the
    folder, its sounds, the labels or the detector are missing or wrong, and when fewer than two people speak.
    """
    read = read_labelled(folder, labels)
    try:
        opened = open_detector(detector)
    except JudgeUnavailable as missing:
        raise UserError(f"the detector cannot be calibrated: {missing}") from missing
    return calibration_result(opened, read, labels, seconds)


def calibration_result(
    detector: SoundDetector, read: ReadFiles, labels: str, seconds: float = CLIP_SECONDS
) -> dict[str, Any]:
    """Return a calibration as plain JSON: detector, recordings by source, accuracy per tag with intervals.

    ``seconds`` is the length of the clips that the sounds are mixed into. Raises :class:`UserError` when
    fewer than two people speak.
    """
    declared = read_labels(labels)
    try:
        mixed = list(calibration_clips(read.recordings, seconds))
    except ValueError as error:
        raise UserError(f"the speech is not enough: {error}; add recordings of speech") from error
    clips = [_scored(detector, clip) for clip in progress(mixed, "Calibrating", unit="clips")]
    calibration = calibrate(
        [clip.scores for clip in clips], [set(clip.tags) for clip in clips], [clip.fold for clip in clips]
    )
    return {
        "detector": asdict(detector.provenance),
        "labels_sha256": hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest(),
        "clip_seconds": seconds,
        "sources": {name: _describe_source(name, source, read) for name, source in declared.items()},
        "left_out": read.left_out,
        "copies": read.copies,
        "unreadable": read.unreadable,
        "tags": {tag: _describe_tag(tag, item, clips) for tag, item in calibration.items()},
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
        content = read_yaml(path if path.is_file() else resource(labels))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the labels {labels} cannot be read ({one_line(error)}); give a YAML file"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(source, dict) for source in content.values()):
        raise UserError(
            f"the labels {labels} have no sources; write NAME: {{source, licence, tags, speech, left_out}}"
        )
    problems = [problem for name, source in content.items() for problem in _problems(name, source)]
    problems += [f"{name!r} must be a plain folder name" for name in content if not is_plain_name(name)]
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
        recordings = (path for path in (folder / name).rglob("*") if is_audio_name(path.name))
        for path in sorted(recordings):
            readable = path.suffix.lower() in READABLE
            tags = tags_of(path.relative_to(folder / name).as_posix(), source) if readable else None
            if tags is None:
                left_out += 1
            else:
                inside = path.relative_to(folder / name).as_posix()
                person = f"{name}/{PEOPLE[source.get('person', 'one')](inside)}"
                files.append(LabelledFile(name, person, path, tags))
    if not any(item.tags for item in files):
        folders = ", ".join(str(folder / name) for name in declared)
        raise UserError(
            f"there is no labelled sound in {folders}; scripts/recordings/sounds.sh puts Debian's there"
        )
    return files, left_out


def read_labelled(folder: str | Path, labels: str) -> ReadFiles:
    """Return the labelled recordings of a folder, each content once. Raises as :func:`find_labelled` does."""
    files, left_out = find_labelled(Path(folder), read_labels(labels))
    read, seen = ReadFiles(left_out=left_out), set()
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
        waveform = resample(waveform, rate, SAMPLE_RATE)
        read.recordings.append(LabelledRecording(item.source, item.person, item.tags, waveform))
    return read


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


def calibration_of(result: Mapping[str, Any]) -> dict[str, Calibration]:
    """Return the calibration of each tag from a result of :func:`calibrate_on_real`, or its JSON."""
    names = [item.name for item in fields(Calibration)]
    return {tag: Calibration(**{name: item[name] for name in names}) for tag, item in result["tags"].items()}


def read_calibration(path: str | Path) -> dict[str, Any]:
    """Read a file of `python -m dia.eval calibrate`. Raises :class:`UserError` for any other file."""
    try:
        content: dict[str, Any] = read_json(Path(path))
        calibration_of(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"calibration={path} is not a calibration ({one_line(error)}); write it with "
            "python -m dia.eval calibrate folder=SOUNDS"
        ) from error
    return content


def _scored(detector: SoundDetector, clip: CalibrationClip) -> ScoredClip:
    recording = Recording("calibration", clip.speech_source, Script(()), clip.waveform, SAMPLE_RATE)
    return ScoredClip(clip.tags, clip.fold, clip.speech_source, detector.scores(recording))


def _describe_source(name: str, source: dict[str, Any], read: ReadFiles) -> dict[str, Any]:
    own = [item for item in read.recordings if item.source == name]
    counts = Counter(tag for item in own for tag in item.tags)
    return {
        "source": source["source"],
        "licence": source["licence"],
        "files": len(own),
        "people": len({item.person for item in own}),
        "tags": dict(sorted(counts.items())),
        "speech": sum(not item.tags for item in own),
    }


def _describe_tag(tag: str, calibration: Calibration, clips: list[ScoredClip]) -> dict[str, Any]:
    """Return a tag's calibration with 95 % intervals, and its false alarms in the speech of each source."""
    alarms: dict[str, dict[str, int]] = {}
    for clip in clips:
        if not clip.tags:
            counts = alarms.setdefault(clip.speech_source, {"detected": 0, "clips": 0})
            counts["detected"] += int(clip.scores[tag] >= calibration.threshold)
            counts["clips"] += 1
    return asdict(calibration) | {
        "measurable": calibration.measurable,
        "informedness": calibration.sensitivity + calibration.specificity - 1,
        "sensitivity_interval": _interval(calibration.sensitivity, calibration.with_tag),
        "specificity_interval": _interval(calibration.specificity, calibration.without_tag),
        "false_alarms_in_speech": dict(sorted(alarms.items())),
    }


def _interval(share: float, count: int) -> list[float]:
    """Return Wilson's interval of a share of ``count`` recordings."""
    return list(wilson(round(share * count) / count, count))


def _problems(name: str, source: dict[str, Any]) -> Iterator[str]:
    for key in sorted(map(str, source.keys() - KEYS)):
        yield f"{name} has the unknown key {key}"
    for key in ("source", "licence"):
        if not isinstance(source.get(key), str):
            yield f"{name} lacks {key}"
    if source.get("person", "one") not in PEOPLE:
        yield f"{name}.person must be one of {', '.join(PEOPLE)}"
    for tag in source.get("tags", {}):
        if tag not in known_tags():
            yield f"{name}.tags.{tag} is not a tag; known tags: {', '.join(known_tags())}"
    lists = {key: source.get(key, []) for key in ("speech", "left_out")} | {
        f"tags.{tag}": patterns for tag, patterns in source.get("tags", {}).items()
    }
    for key, patterns in lists.items():
        if not (isinstance(patterns, list) and all(isinstance(pattern, str) for pattern in patterns)):
            yield f"{name}.{key} must be a list of patterns"
