"""The page of a run: what the model speaks at each validation, so that one can hear how it learns.

Audio and attention lie below `samples/` of the run folder, one folder a step; `samples.html` shows them. Of
many validations some are removed, so that the steps of those that remain grow by about equal factors.
"""

import base64
import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dia.audio.files import flac_bytes
from dia.documents import read_json_object
from dia.files import make_folder, write_bytes, write_text
from dia.html import render_page
from dia.inference import Speech

SAMPLES, INDEX, PAGE = "samples", "samples.json", "samples.html"
MOST = 24  # validations that are stored
LARGEST_SIDE = 640  # pixels of a stored picture


@dataclass(frozen=True)
class StoredTake:
    """A take of a script: its audio file and picture, beside the index of its step."""

    script: str
    seed: int
    seconds: float
    ended: bool
    audio: str
    picture: str


def store_samples(
    folder: Path,
    step: int,
    scripts: Sequence[str],
    speech: Sequence[Speech],
    pictures: Sequence[NDArray[np.uint8]],
    metrics: Mapping[str, float],
) -> Path:
    """Store the takes of one validation, and return the page, which is written anew.

    Args:
        folder: The run folder.
        step: Optimizer steps so far; an earlier validation at this step is replaced.
        scripts: The scripts.
        speech: The take of each script.
        pictures: The attention (bytes, frames) of each take over its text.
        metrics: Scores by name.

    Raises:
        StorageError: When a file cannot be written.
    """
    place = folder / SAMPLES / f"{step:08d}"
    make_folder(place)
    takes = []
    for number, (script, take, picture) in enumerate(zip(scripts, speech, pictures, strict=True), start=1):
        audio, image = f"{number}.flac", f"{number}.png"
        waveform = take.waveform if len(take.waveform) else np.zeros(1, dtype=np.float32)
        write_bytes(place / audio, flac_bytes(waveform, take.sample_rate))
        write_bytes(place / image, _png(picture))
        seconds = len(take.waveform) / take.sample_rate
        takes.append(asdict(StoredTake(script, take.seed, seconds, take.ended, audio, image)))
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    write_text(place / INDEX, json.dumps({"step": step, "metrics": finite, "takes": takes}, indent=1) + "\n")
    for number in superfluous(sorted(stored_steps(folder))):
        shutil.rmtree(folder / SAMPLES / f"{number:08d}", ignore_errors=True)
    write_text(folder / PAGE, render_samples(folder))
    return folder / PAGE


def stored_steps(folder: Path) -> list[int]:
    """Return the steps whose samples a run folder holds, in order."""
    return sorted(int(path.parent.name) for path in (folder / SAMPLES).glob(f"*/{INDEX}"))


def superfluous(steps: Sequence[int], most: int = MOST) -> list[int]:
    """Return which of sorted steps to remove, so that ``most`` remain, among them the first and the last.

    Repeatedly the step whose neighbours are nearest by their ratio is removed.
    """
    left, removed = list(steps), []
    while len(left) > most:
        gaps = [math.log((left[place + 1] + 1) / (left[place - 1] + 1)) for place in range(1, len(left) - 1)]
        removed.append(left.pop(1 + gaps.index(min(gaps))))
    return removed


def render_samples(folder: Path) -> str:
    """Return the page of the stored samples, by script, the latest first."""
    takes_of: dict[str, list[dict[str, Any]]] = {}
    for step in reversed(stored_steps(folder)):
        place = folder / SAMPLES / f"{step:08d}"
        stored = read_json_object(place / INDEX)
        for values in stored["takes"]:
            take = StoredTake(**values)
            takes_of.setdefault(take.script, []).append(
                {
                    "step": step,
                    "seconds": take.seconds,
                    "ended": take.ended,
                    "seed": take.seed,
                    "audio": f"{SAMPLES}/{place.name}/{take.audio}",
                    "picture": _data_url(place / take.picture),
                }
            )
    steps = stored_steps(folder)
    latest = read_json_object(folder / SAMPLES / f"{steps[-1]:08d}" / INDEX) if steps else {"metrics": {}}
    return render_page(
        "samples.html.j2",
        styles=("samples.css",),
        media="'self' file:",
        title=f"{folder.name}: what the model speaks",
        steps=steps,
        metrics=sorted(latest["metrics"].items()),
        takes_of=takes_of,
    )


def _png(picture: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(picture if picture.size else np.zeros((1, 1), dtype=np.uint8))
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
