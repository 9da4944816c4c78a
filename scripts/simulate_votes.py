"""Make a listening test of two takes of each script, answered by simulated listeners who prefer slow speech.

    python scripts/simulate_votes.py dia_nano prepared/nano-0123456789 150 votes

The two takes are the shortest and the longest of four that ended. Writes two recorded runs, the test with its
key, and the answers of three listeners to the folder; the last lines are the keys of `data=preferences` that
read them. It shows on any checkpoint that votes of a known preference move a model that way
(recipes/preference.md). Needs the checkout with the development tools.
"""

import argparse
import hashlib
import json
import math
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dia import Dia
from dia.audio.files import write_audio
from dia.config.listening_test import ListenConfig
from dia.data.prepared import open_prepared
from dia.inference.synthesizer import Speech
from dia.listening_test.commands import write_test
from tests.listening_test.test_answers import answer

LISTENERS = 3
STEEPNESS = 12.0  # of the odds to prefer the longer take, per unit of the log ratio of durations
BATCH = 8
TAKES = 4
SYSTEMS = ("take-a", "take-b")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("scripts", type=Path, help="a prepared data set, whose training scripts are spoken")
    parser.add_argument("count", type=int, help="number of scripts")
    parser.add_argument("folder", type=Path, help="where everything is written")
    arguments = parser.parse_args()
    rows = open_prepared(arguments.scripts)["train"].select(range(arguments.count))
    scripts = dict(zip(rows["id"], rows["script"], strict=True))
    dia = Dia.from_pretrained(arguments.checkpoint, device="cpu")
    pairs = extreme_takes(dia, scripts)
    scripts = {prompt: scripts[prompt] for prompt in pairs}
    runs, seconds = [], dict[tuple[str, str], float]()
    for number, system in enumerate(SYSTEMS):
        takes = [pair[number] for pair in pairs.values()]
        runs.append(str(write_run(arguments.folder / system, system, scripts, takes)))
        for prompt, take in zip(pairs, takes, strict=True):
            seconds[prompt, system] = len(take.waveform) / take.sample_rate
    config = ListenConfig(runs, str(arguments.folder / "page.html"), trials=len(scripts))
    write_test(config)
    for number in range(1, LISTENERS + 1):
        path = arguments.folder / f"answers-{number}.json"
        path.write_text(json.dumps(vote(Path(config.key), number, seconds)))
    files = ",".join(str(arguments.folder / f"answers-{number}.json") for number in range(1, LISTENERS + 1))
    print("data=preferences data.preferences.origin=votes")
    print(f"'data.preferences.votes=[{files}]' data.preferences.key={config.key}")
    print(f"'data.preferences.runs=[{','.join(runs)}]'")


def extreme_takes(dia: Dia, scripts: dict[str, str]) -> dict[str, tuple[Speech, Speech]]:
    """Return the shortest and the longest of the takes that ended, in random order, by script."""
    rng = random.Random(0)
    by_seed = [speak(dia, list(scripts.values()), seed) for seed in range(TAKES)]
    chosen = dict[str, tuple[Speech, Speech]]()
    for prompt, *takes in zip(scripts, *by_seed, strict=True):
        ended = sorted((take for take in takes if take.ended), key=lambda take: len(take.waveform))
        if len(ended) > 1:
            first, second = rng.sample((ended[0], ended[-1]), 2)
            chosen[prompt] = (first, second)
    return chosen


def speak(dia: Dia, scripts: list[str], seed: int) -> list[Speech]:
    """Return a take of each script."""
    takes: list[Speech] = []
    for begin in range(0, len(scripts), BATCH):
        part = scripts[begin : begin + BATCH]
        takes += dia.synthesizer.synthesize(part, [seed] * len(part), dia.default_sampling)
    return takes


def write_run(folder: Path, system: str, scripts: dict[str, str], takes: list[Speech]) -> Path:
    """Write takes as a recorded run and return its folder."""
    (folder / "wav").mkdir(parents=True)
    lines = []
    for (prompt, script), take in zip(scripts.items(), takes, strict=True):
        path = folder / "wav" / f"{prompt}.wav"
        write_audio(path, take.waveform, take.sample_rate)
        row = {
            "prompt_id": prompt,
            "take": 0,
            "system": system,
            "script": script,
            "wav_path": f"wav/{path.name}",
            "wav_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "error_kind": None,
        }
        lines.append(json.dumps(row) + "\n")
    (folder / "outputs.jsonl").write_text("".join(lines))
    (folder / "manifest.json").write_text(json.dumps({"system": system}))
    return folder


def vote(key_path: Path, listener: int, seconds: dict[tuple[str, str], float]) -> dict[str, object]:
    """Return a listener's answers: the longer take of a script is probably preferred."""
    rng, key = random.Random(listener), json.loads(key_path.read_text())
    prompts = iter(())

    def choose(left: str | None, right: str | None) -> str:
        prompt = next(prompts)
        if left is None or right is None:
            return "left" if right is None else "right"
        ratio = math.log(seconds[prompt, left] / seconds[prompt, right])
        return "left" if rng.random() < 1 / (1 + math.exp(-STEEPNESS * ratio)) else "right"

    form = key["forms"][(listener - 1) % len(key["forms"])]
    prompts = iter([key["trials"][trial]["prompt_id"] for trial in form])
    return answer(key_path, listener, choose)


if __name__ == "__main__":
    main()
