"""Time an evaluation with one and with two local workers and on Dask, and compare the scores byte for byte.

    python scripts/time_workers.py dia_nano suite=full             # takes more than two hours on two cores
    python scripts/time_workers.py dia_nano suite=quick prompts=8

The arguments are those of `dia-eval`. Each evaluation begins with an empty cache. Exits with 1 when the
scores differ.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENGINES = (("local", 1), ("local", 2), ("dask", 2))


def main() -> None:
    """Run the command line."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    seconds, scores = [], []
    with tempfile.TemporaryDirectory(prefix="time-workers-") as folder:
        for engine, workers in ENGINES:
            begin = time.monotonic()
            scores.append(evaluate(sys.argv[1:], engine, workers, Path(folder) / f"{engine}-{workers}"))
            seconds.append(time.monotonic() - begin)
            print(
                f"engine={engine} engine.workers={workers}: {seconds[-1]:.0f} s, "
                f"{seconds[-1] / seconds[0]:.2f} of the time of one local worker, "
                f"scores.json {'the same' if scores[-1] == scores[0] else 'DIFFERENT'}",
                flush=True,
            )
    sys.exit(len(set(scores)) > 1)


def evaluate(arguments: list[str], engine: str, workers: int, folder: Path) -> bytes:
    """Return scores.json of an evaluation. Exits when it fails."""
    command = [sys.executable, "-m", "dia.eval", *arguments, f"engine={engine}", f"engine.workers={workers}"]
    done = subprocess.run([*command, f"cache={folder}/cache", f"out={folder}/report", "timing=false"])
    if done.returncode not in (0, 3):  # 3: takes failed, which counts in the scores
        sys.exit(done.returncode)
    return (folder / "report" / "scores.json").read_bytes()


if __name__ == "__main__":
    main()
