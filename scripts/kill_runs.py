"""Kill commands at random moments, run them again, and compare the results with those of unbroken runs.

    python scripts/kill_runs.py 40 10                 # 40 SIGKILLs and 10 SIGTERMs of every command
    python scripts/kill_runs.py 5 2 train record      # fewer, of these commands only

Needs the checkout with the development tools: the inputs are the tiny ones of the tests. Exits with 1 when a
result differs.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.interruptions import Outcome, interrupt_door

COMMANDS = ("prepare", "train", "eval", "record", "sweep", "dpo", "grpo")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kills", type=int, help="number of SIGKILLs of each command")
    parser.add_argument("terminations", type=int, help="number of SIGTERMs of each command")
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.commands) - set(COMMANDS):
        parser.error(f"unknown commands: {', '.join(sorted(unknown))}")
    failed = False
    print("| command | signal | interruptions | runs compared | problems | seconds |")
    print("|---|---|---|---|---|---|")
    for command in arguments.commands or COMMANDS:
        for number, count in (
            (signal.SIGKILL, arguments.kills),
            (signal.SIGTERM, arguments.terminations),
        ):
            begin = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="kill-runs-") as folder:
                outcome = interrupt_door(command, number, count, Path(folder)) if count else Outcome()
            print(
                f"| {command} | {number.name} | {outcome.interruptions} | {outcome.runs} | "
                f"{len(outcome.problems)} | {time.monotonic() - begin:.0f} |",
                flush=True,
            )
            for problem in outcome.problems:
                print(f"  {problem}", file=sys.stderr)
            failed |= bool(outcome.problems)
    sys.exit(failed)


if __name__ == "__main__":
    main()
