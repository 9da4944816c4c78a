"""A detector's sensitivity and specificity on real recordings whose sounds are known, tag by tag.

Demo corpora and synthesizers laugh as nobody does; what a detector is worth shows on people. Copies of a
recording count once, thresholds are chosen on other recordings than those they are judged on, and whatever
cannot be read is named.
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

from dia.audio.files import ENDINGS, read_sound
from dia.dialogue import Script
from dia.dialogue.tags import known_tags
from dia.errors import UserError, one_line
from dia.evaluation.statistics import Estimate, estimate_rate
from dia.judges.events import Calibration, EventDetector, calibrate
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from dia.resources import resource

KEYS = {"source", "licence", "left_out", "tags", "speech"}


@dataclass(frozen=True)
class Labelled:
    """A sound file: its source, and the tags it holds (none: speech)."""

    source: str
    path: Path
    tags: frozenset[str]


@dataclass
class Reading:
    """What became of the files: scores and tags of those that were read, and why others were not."""

    files: list[Labelled] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    copies: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def calibrate_on_real(folder: str | Path, labels: str = "eval/detectors/real.yaml") -> dict[str, Any]:
    """Return the calibration as plain JSON: the detector, the recordings by source, and each tag's figures
    with intervals.

    Raises :class:`UserError` when the folder, its sounds, the labels or the detector are missing or wrong.
    """
    declared = read_labels(labels)
    files, left_out = find_labelled(Path(folder), declared)
    try:
        detector = EventDetector()
    except JudgeUnavailable as missing:
        raise UserError(f"nothing can be calibrated: {missing}") from missing
    read = _read(detector, files)
    found = calibrate(read.scores, [set(item.tags) for item in read.files])
    return {
        "detector": asdict(detector.provenance),
        "labels_sha256": hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest(),
        "sources": {name: _source(name, source, read) for name, source in declared.items()},
        "left_out": left_out, "copies": read.copies, "unreadable": read.unreadable,
        "tags": {tag: _tag(tag, known, read) for tag, known in found.items()},
    }  # fmt: skip


def read_labels(labels: str) -> dict[str, Any]:
    """Read a declaration of labels. Raises :class:`UserError` with all that is wrong at once."""
    path = Path(labels)
    try:
        content = yaml.safe_load((path if path.is_file() else resource(labels)).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"the labels {labels} cannot be read ({one_line(error)}); name a YAML file"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(source, dict) for source in content.values()):
        raise UserError(
            f"the labels {labels} hold no sources; write NAME: {{source, licence, tags, speech, left_out}}"
        )
    problems = [problem for name, source in content.items() for problem in _problems(name, source)]
    if problems:
        raise UserError(
            f"the labels {labels} have problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return content


def find_labelled(folder: Path, declared: dict[str, Any]) -> tuple[list[Labelled], int]:
    """Return the labelled files below the sources' folders, and how many others there are.

    Raises :class:`UserError` when there is not one.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give folder=FOLDER that holds {', '.join(declared)}")
    found, left_out = [], 0
    for name, source in declared.items():
        for path in sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in ENDINGS):
            tags = tags_of(path.relative_to(folder / name).as_posix(), source)
            left_out += tags is None
            found += [] if tags is None else [Labelled(name, path, tags)]
    if not any(item.tags for item in found):
        wanted = ", ".join(str(folder / name) for name in declared)
        raise UserError(
            f"no labelled sound lies in {wanted}; scripts/recordings/sounds.sh puts Debian's there"
        )
    return found, left_out


def tags_of(path: str, source: dict[str, Any]) -> frozenset[str] | None:
    """Return the tags of a path inside its source, none for speech; None when it is to be left out."""
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
    """Return the calibration of each tag from what :func:`calibrate_on_real` returned, or its JSON."""
    names = [item.name for item in fields(Calibration)]
    return {
        tag: Calibration(**{name: found[name] for name in names}) for tag, found in result["tags"].items()
    }


def load_calibration(path: str | Path) -> dict[str, Any]:
    """Read what `python -m dia.eval calibrate` wrote. Raises :class:`UserError` for a file that is none."""
    try:
        content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        calibration_of(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} holds no calibration ({one_line(error)}); make one: python -m dia.eval calibrate"
        ) from error
    return content


def _read(detector: EventDetector, files: list[Labelled]) -> Reading:
    read, seen = Reading(), set()
    for item in files:
        content = hashlib.sha256(item.path.read_bytes()).hexdigest()
        if content in seen:
            read.copies += 1
            continue
        seen.add(content)
        try:
            waveform, rate = read_sound(item.path)
        except UserError as error:
            read.unreadable[str(item.path)] = str(error)
            continue
        read.files.append(item)
        read.scores.append(
            detector.scores(Recording(item.path.name, item.source, Script(()), waveform, rate))
        )
    return read


def _source(name: str, source: dict[str, Any], read: Reading) -> dict[str, Any]:
    own = [item for item in read.files if item.source == name]
    counts = Counter(tag for item in own for tag in item.tags)
    return {
        "source": source["source"], "licence": source["licence"], "files": len(own),
        "tags": dict(sorted(counts.items())), "speech": sum(not item.tags for item in own),
    }  # fmt: skip


def _tag(tag: str, known: Calibration, read: Reading) -> dict[str, Any]:
    """A tag's calibration with 95 % intervals, and how often it is heard in the speech of each source at the
    threshold.
    """
    speech = [
        (item.source, scores[tag] >= known.threshold)
        for item, scores in zip(read.files, read.scores, strict=True)
        if not item.tags
    ]
    by_source = {
        name: [heard for own, heard in speech if own == name] for name in sorted({own for own, _ in speech})
    }
    alarms = {name: {"heard": sum(heard), "recordings": len(heard)} for name, heard in by_source.items()}
    return asdict(known) | {
        "measurable": known.measurable, "informedness": known.sensitivity + known.specificity - 1,
        "sensitivity_interval": _interval(known.sensitivity, known.with_tag),
        "specificity_interval": _interval(known.specificity, known.without_tag), "false_alarms_in_speech": alarms,
    }  # fmt: skip


def _interval(share: float, count: int) -> list[float]:
    """Wilson's interval of a share of so many recordings."""
    right = round(share * count)
    found: Estimate = estimate_rate(
        [1.0] * right + [0.0] * (count - right), [str(number) for number in range(count)]
    )
    return [found.low, found.high]


def _problems(name: str, source: dict[str, Any]) -> Iterator[str]:
    for key in sorted(map(str, source.keys() - KEYS)):
        yield f"{name} has the unknown key {key}"
    for key in ("source", "licence"):
        if not isinstance(source.get(key), str):
            yield f"{name} lacks {key}"
    for tag in source.get("tags", {}):
        if tag not in known_tags():
            yield f"{name}.tags.{tag} is not a tag; there are: {', '.join(known_tags())}"
    lists = {key: source.get(key, []) for key in ("speech", "left_out")} | {
        f"tags.{tag}": one for tag, one in source.get("tags", {}).items()
    }
    for key, patterns in lists.items():
        if not (isinstance(patterns, list) and all(isinstance(pattern, str) for pattern in patterns)):
            yield f"{name}.{key} must be a list of patterns"
