"""Train for a given number of minutes: measure the speed in a short run, then run as many steps as fit.

    python scripts/train_for_minutes.py 10 +recipe=open trainer=single data.keep_audio=false

The learning rate follows the whole schedule, because the number of steps is known before the run begins. The
minutes count from the start of this program. Arguments after the minutes are those of `python -m dia.train`;
``trainer.steps`` and ``run_name`` are set here unless ``run_name`` is given.
"""

import argparse
import re
import subprocess
import sys
import time

PROBE_STEPS = 60
SHARE = 0.9  # of the remaining time; the rest is for validation, checkpoints and the start
RATE = re.compile(rf"training: {PROBE_STEPS} of {PROBE_STEPS} steps.*?([\d.]+) steps/s")


def main() -> None:
    """Run the command line."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("minutes", type=float, help="minutes for everything")
    arguments, overrides = parser.parse_known_args()
    name = next((item for item in overrides if item.startswith("run_name=")), "run_name=timed")
    overrides = [item for item in overrides if not item.startswith("run_name=")]
    output = train([*overrides, f"{name}_probe", "resume=false", *steps_of(PROBE_STEPS)])
    match = RATE.search(output)
    if match is None:
        sys.exit(f"the short run printed no speed after {PROBE_STEPS} steps:\n{output[-2000:]}")
    left = 60 * arguments.minutes - (time.monotonic() - begin)
    steps = int(SHARE * left * float(match[1]))
    if steps < PROBE_STEPS:
        sys.exit(f"{left:.0f} seconds are left, in which only {steps} steps fit; give more minutes")
    print(f"{match[1]} steps/s: {steps} steps in the {left:.0f} seconds that are left", flush=True)
    train([*overrides, name, *steps_of(steps)])


def steps_of(steps: int) -> list[str]:
    """The overrides of a run of this length: eight validations, four checkpoints."""
    return [
        f"trainer.steps={steps}",
        f"trainer.validate_every={max(1, steps // 8)}",
        f"trainer.checkpoint_every={max(1, steps // 4)}",
    ]


def train(overrides: list[str]) -> str:
    """Run `python -m dia.train`, show its output and return it; leave with its exit code when it fails."""
    command = [sys.executable, "-m", "dia.train", *overrides]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line)
            print(line, end="", flush=True)
    if process.returncode:
        sys.exit(process.returncode)
    return "".join(lines)


if __name__ == "__main__":
    main()
