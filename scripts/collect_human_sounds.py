"""Collect recorded nonverbal sounds of people under free licences into data/human_sounds.

    git clone https://github.com/fredbuhl/EmoGator EMOGATOR             # Apache-2.0
    git clone https://github.com/covid19-cough/dataset COUGHS           # CC0-1.0
    python scripts/collect_human_sounds.py score EMOGATOR COUGHS SCORES.json   # three minutes on two cores
    python scripts/collect_human_sounds.py choose SCORES.json data/human_sounds

EmoGator's recordings are labelled with emotions, not with sounds: a recording has a tag when the emotion
suits it and YAMNet's score of the tag is high. Recordings of much noise or little level are left out.
"""

import io
import json
import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from dia.audio.files import read_audio, resample
from dia.data.sources.demo_scripts import split_of
from dia.files import write_bytes
from dia.judges.events import EventDetector
from dia.judges.prosody import FRAMES, contour, energy_of
from dia.types import Waveform

RATE, SCORING_RATE = 24_000, 16_000
HELD_OUT = {"test": 0.25, "validation": 0.1}  # shares of the people
PER_PERSON, PER_SPLIT = 2, {"train": 120, "validation": 12, "test": 40}  # at most, for each tag
EMOTIONS = {  # EmoGator's numbers of the emotions that suit a tag, and the least score of YAMNet
    "laughs": ((2, 12, 13), 0.3),
    "sighs": ((7, 9, 22), 0.4),
    "groans": ((9, 10, 11, 19), 0.4),
    "gasps": ((4, 15, 27, 28), 0.3),
    "humming": ((7, 17, 25), 0.1),
    "screams": ((15, 19, 27), 0.2),
}
LEAST_COUGH = 0.7
LEAST_LEVEL, LEAST_RANGE = -40.0, 30.0  # dBFS of the loud frames, dB between loud and quiet frames
LONGEST, SHORTEST, MARGIN = 2.4, 0.15, 0.04  # seconds of a trimmed sound, and of silence at its ends
SOURCES = {
    "emogator": ("github.com/fredbuhl/EmoGator", "Apache-2.0"),
    "coughs": ("github.com/covid19-cough/dataset", "CC0-1.0"),
}


@cache
def detector() -> EventDetector:
    """Return YAMNet, once in each process."""
    return EventDetector()


def score(item: tuple[str, str, str, list[str]]) -> dict[str, Any] | None:
    """Return scores, level, range and pitch of a recording, or ``None`` where it is too short."""
    source, person, path, tags = item
    waveform = read_audio(path, SCORING_RATE)
    if len(waveform) < SCORING_RATE // 4:
        return None
    starts, classes = detector().class_scores(waveform)
    scores = detector().of_tags(classes)
    energy, sounding = energy_of(waveform), contour(waveform)
    pitches = sounding.pitch[sounding.voiced]
    return {
        "source": source,
        "person": person,
        "path": path,
        "tags": tags,
        "scores": {tag: round(float(scores[tag].max()), 4) for tag in tags},
        "best": {tag: round(float(starts[scores[tag].argmax()]), 3) for tag in tags},
        "level": round(float(np.percentile(energy, 95)), 1),
        "range": round(float(np.percentile(energy, 95) - np.percentile(energy, 5)), 1),
        "pitch": round(float(np.median(pitches)), 1) if len(pitches) >= 10 else None,
    }


def recordings(emogator: Path, coughs: Path) -> list[tuple[str, str, str, list[str]]]:
    """Return (source, person, path, tags that suit) of every recording to score."""
    by_emotion = defaultdict(list)
    for tag, (numbers, _) in EMOTIONS.items():
        for number in numbers:
            by_emotion[number].append(tag)
    items = []
    for path in sorted((emogator / "data/mp3").glob("*.mp3")):
        person, emotion, _ = path.stem.split("-")
        if tags := by_emotion.get(int(emotion)):
            items.append(("emogator", f"emogator {person}", str(path), tags))
    for entry in json.loads((coughs / "metadata.json").read_text(encoding="utf-8")):
        if entry["source"] == "telegram":  # the others are telephone calls of 8 kHz
            path = coughs / "raw" / entry["filename"]
            items.append(("coughs", f"coughs {path.stem[:8]}", str(path), ["coughs"]))
    return items


def write_scores(emogator: Path, coughs: Path, out: Path) -> None:
    """Score all recordings in two processes."""
    items = recordings(emogator, coughs)
    with ProcessPoolExecutor(2) as pool:
        rows = [row for row in pool.map(score, items, chunksize=50) if row is not None]
    write_bytes(out, json.dumps(rows).encode())
    print(f"{len(rows)} of {len(items)} recordings scored in {out}")


def suited_tag(row: dict[str, Any]) -> str | None:
    """Return the tag of a recording, or ``None`` where it is too noisy, too faint, or of no tag."""
    if row["level"] < LEAST_LEVEL or row["range"] < LEAST_RANGE:
        return None
    least = {tag: EMOTIONS[tag][1] if tag in EMOTIONS else LEAST_COUGH for tag in row["tags"]}
    ratios = {tag: row["scores"][tag] / least[tag] for tag in row["tags"]}
    tag = max(ratios, key=ratios.__getitem__)
    return tag if ratios[tag] >= 1 else None


def choose(rows: list[dict[str, Any]]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return (tag, recording) by split: those with the highest scores, a few of each person."""
    tagged = [(tag, row) for row in rows if (tag := suited_tag(row)) is not None]
    tagged.sort(key=lambda item: (item[0], -item[1]["scores"][item[0]], item[1]["path"]))
    of_person: Counter[tuple[str, str]] = Counter()
    of_split: Counter[tuple[str, str]] = Counter()
    chosen = defaultdict(list)
    for tag, row in tagged:
        split = split_of(row["person"], HELD_OUT)
        if of_person[tag, row["person"]] < PER_PERSON and of_split[split, tag] < PER_SPLIT[split]:
            of_person[tag, row["person"]] += 1
            of_split[split, tag] += 1
            chosen[split].append((tag, row))
    return chosen


def pitches(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median pitch in hertz of each person with at least three voiced recordings."""
    by_person = defaultdict(list)
    for row in rows:
        if row["pitch"] is not None and row["source"] == "emogator":
            by_person[row["person"]].append(row["pitch"])
    return {person: float(np.median(values)) for person, values in by_person.items() if len(values) >= 3}


def trimmed(path: str, best: float) -> Waveform | None:
    """Return the sound at 24 kHz around the window that starts at ``best`` seconds, without silent ends.

    ``None`` where less than .15 seconds remain.
    """
    waveform = read_audio(path, RATE)
    energy = energy_of(resample(waveform, RATE, SCORING_RATE))
    loud = np.flatnonzero(energy > np.percentile(energy, 98) - LEAST_RANGE) / FRAMES
    first, last = max(0.0, best - (LONGEST - 1.0) / 2), best + LONGEST - (LONGEST - 1.0) / 2
    loud = loud[(loud >= first) & (loud <= last)]
    if not len(loud) or loud[-1] - loud[0] < SHORTEST:
        return None
    start, end = (round(place * RATE) for place in (loud[0] - MARGIN, loud[-1] + MARGIN))
    sound = waveform[max(0, start) : end]
    return sound / max(float(np.abs(sound).max()), 1e-6) * np.float32(0.9)


def table(items: list[tuple[str, dict[str, Any]]], pitch: dict[str, float]) -> pa.Table:
    """Return the rows of one split with their audio as Ogg Opus."""
    rows = []
    for tag, row in items:
        if (sound := trimmed(row["path"], row["best"][tag])) is None:
            continue
        buffer = io.BytesIO()
        soundfile.write(buffer, sound, RATE, format="OGG", subtype="OPUS")
        name = f"{row['source']}-{Path(row['path']).stem}"
        origin, licence = SOURCES[row["source"]]
        rows.append(
            {
                "id": name,
                "tag": tag,
                "person": row["person"],
                "pitch": pitch.get(row["person"]),
                "score": row["scores"][tag],
                "source": origin,
                "licence": licence,
                "audio": {"bytes": buffer.getvalue(), "path": f"{name}.ogg"},
            }
        )
    features = datasets.Features(
        {
            **{key: datasets.Value("string") for key in ("id", "tag", "person")},
            **{key: datasets.Value("float32") for key in ("pitch", "score")},
            **{key: datasets.Value("string") for key in ("source", "licence")},
            "audio": datasets.Audio(sampling_rate=RATE),
        }
    )
    return pa.Table.from_pylist(rows, schema=features.arrow_schema)


def write_sets(scores: Path, out: Path) -> None:
    """Write a Parquet file for each split, and print how many recordings and people each tag has."""
    rows = json.loads(scores.read_text(encoding="utf-8"))
    pitch = pitches(rows)
    for split, items in choose(rows).items():
        buffer = io.BytesIO()
        pq.write_table(written := table(items, pitch), buffer)
        write_bytes(out / f"{split}.parquet", buffer.getvalue())
        of_tag = defaultdict(list)
        for row in written.to_pylist():
            of_tag[row["tag"]].append(row["person"])
        print(split, {tag: (len(people), len(set(people))) for tag, people in of_tag.items()})


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["score", emogator, coughs, out]:
            write_scores(Path(emogator), Path(coughs), Path(out))
        case ["choose", scores, out]:
            write_sets(Path(scores), Path(out))
        case _:
            sys.exit(__doc__)
