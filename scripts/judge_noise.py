"""Measure the noise of the judges: how much a take's scores change with an inaudible change of its audio.

    python scripts/judge_noise.py prepared/preferences-0123456789 60

Each take is judged as it is and after a shift of 2.5 ms, half a decibel less, and white noise at -70 dBFS.
The table has the standard deviation of each term of one judging: that of the difference by the square root of
2. dia/evaluation/rewards.py holds the values that decide which pairs are within the judges' noise.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dia.audio.files import waveform_from_bytes
from dia.config.judges import JudgesConfig
from dia.data.prepared import open_prepared
from dia.dialogue import Script
from dia.evaluation.cache import open_cache
from dia.evaluation.clip_scorer import open_metrics
from dia.evaluation.metrics.protocol import Context
from dia.evaluation.prompts import Prompt
from dia.evaluation.rewards import TERMS, metrics_of_terms, score_take
from dia.home import in_home
from dia.judges.recording import Recording
from dia.pipelines.evaluation.calibration_data import load_calibration_data

SHIFT_SECONDS, GAIN, NOISE = 0.0025, 10 ** (-0.5 / 20), 10 ** (-70 / 20)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("preferences", type=Path, help="a prepared preference data set with its audio")
    parser.add_argument("takes", type=int, help="number of takes to judge")
    parser.add_argument("--recordings", type=Path, help="a prepared data set that calibrates the detector")
    arguments = parser.parse_args()
    names = list(TERMS)
    splits = open_prepared(arguments.recordings) if arguments.recordings else None
    labelled = load_calibration_data(splits, open_cache(in_home("outputs/.cache")))
    needed = metrics_of_terms(names)
    metrics = [
        metric for metric in open_metrics(JudgesConfig(), labelled.calibration, []) if metric.name in needed
    ]
    differences: dict[str, list[float]] = {name: [] for name in names}
    for number, recording in enumerate(takes_of(arguments.preferences, arguments.takes)):
        context = Context(Prompt(recording.prompt_id, recording.script.render()), labelled.voices)
        first, second = (
            score_take(metrics, names, labelled.calibration, each, context).terms
            for each in (recording, changed(recording, number))
        )
        for name in first.keys() & second.keys():
            differences[name].append(second[name] - first[name])
    print(f"{'term':16s} {'noise':>8s} {'changed':>9s} {'takes':>6s}")
    for name, values in differences.items():
        if values:
            noise = float(np.sqrt(np.mean(np.square(values)) / 2))
            share = float(np.mean(np.abs(values) > 1e-9))
            print(f"{name:16s} {noise:8.3f} {share:8.0%} {len(values):6d}")


def takes_of(folder: Path, count: int) -> Iterator[Recording]:
    """Yield preferred and rejected takes of a preference data set in turn, at most ``count``."""
    rows: Any = open_prepared(folder)["train"]
    for index in range(min(count, 2 * len(rows))):
        row = rows[index // 2]
        flac = row[("audio", "rejected_audio")[index % 2]]["bytes"]
        waveform, rate = waveform_from_bytes(flac)
        yield Recording(str(row["prompt_id"]), "take", Script.parse(row["script"]), waveform, rate, index)


def changed(recording: Recording, seed: int) -> Recording:
    """Return a recording with an inaudible change."""
    shift = np.zeros(round(SHIFT_SECONDS * recording.sample_rate), np.float32)
    waveform = np.concatenate([shift, recording.waveform * np.float32(GAIN)])
    noise = np.random.default_rng(seed).standard_normal(len(waveform)).astype(np.float32)
    return replace(recording, waveform=waveform + np.float32(NOISE) * noise)


if __name__ == "__main__":
    main()
