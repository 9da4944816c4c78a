"""Count on simulated systems how often intervals contain the truth, and how often verdicts are right.

    python scripts/simulate_statistics.py intervals 2000       # coverage of one system's intervals
    python scripts/simulate_statistics.py verdicts 400         # errors and power with five systems

Needs the checkout: the simulated systems are those of the tests, which run the same with smaller numbers.
"""

import argparse
import sys
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dia.evaluation import comparison
from dia.evaluation.comparison import compare_all
from dia.evaluation.paired import influence
from dia.evaluation.power import POWER, prompts_needed
from tests.evaluation.simulated import (
    coverage_of,
    five_systems,
    single_hits,
    single_mos,
    single_word_errors,
)

PROMPTS = (6, 8, 12, 24, 60, 100)
FAMILY = 30  # ten pairs of five systems by three scores


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("intervals", "verdicts"))
    parser.add_argument("experiments", type=int, help="number of simulated experiments of each kind")
    arguments = parser.parse_args()
    (print_intervals if arguments.what == "intervals" else print_verdicts)(arguments.experiments)


def print_intervals(experiments: int) -> None:
    """Print in percent how often the 95 % interval contains the truth, and on which side it misses it."""
    singles = [
        single
        for prompts in PROMPTS
        for single in (
            *(single_word_errors(prompts, seeds, rate) for rate in (0.06, 0.15, 0.3) for seeds in (1, 3)),
            single_word_errors(prompts, 1, 0.02),
            single_word_errors(prompts, 3, 0.06, loops=0.05),
            single_hits(prompts, 1, 0.7),
            single_hits(prompts, 3, 0.9),
            single_hits(prompts, 4, 0.5, 3),
            single_mos(prompts, 1),
            single_mos(prompts, 3),
        )
    ]
    for single in singles:
        below, inside, above = coverage_of(single, experiments)
        print(f"{single.name:45} {inside:5.1f} %  (below {below:.1f}, above {above:.1f})", flush=True)


def print_verdicts(experiments: int) -> None:
    """Print how often any of the differences of five equal systems is shown, and how often a true one is."""
    # verdicts need no intervals, which cost most of the time
    with mock.patch.object(comparison, "interval", lambda *_: None):
        for prompts, seeds in ((12, 3), (24, 1), (48, 2)):
            wrong = sum(_any_shown(prompts, seeds, seed) for seed in range(experiments))
            share = 100 * wrong / experiments
            print(
                f"five equal systems, {prompts} x {seeds}: a difference is shown in {share:.1f} %", flush=True
            )
            wrong = sum(_any_shown(prompts, seeds, seed, better=0.4) for seed in range(experiments))
            share = 100 * wrong / experiments
            print(
                f"four equal systems and a better one, {prompts} x {seeds}: "
                f"a difference of the equal ones is shown in {share:.1f} %",
                flush=True,
            )
        for better in (0.7, 0.5, 0.4):
            prompts = _prompts_needed(better)
            right = sum(_is_found(prompts, better, seed) for seed in range(experiments))
            print(
                f"{better:.0%} fewer word errors need {prompts} prompts for {POWER:.0%}; "
                f"found with these in {100 * right / experiments:.1f} %",
                flush=True,
            )


def _any_shown(prompts: int, seeds: int, seed: int, better: float = 0.0) -> bool:
    """Return whether a difference of two equal systems is shown; with ``better``, `a` is not one of them."""
    values = five_systems(prompts, seeds, np.random.default_rng(seed), better)
    compared = compare_all(values, seed)
    return any(item.shown for item in compared if not better or "a" not in (item.first, item.second))


def _prompts_needed(better: float) -> int:
    """Return the announced number of prompts, from the spread of a large pilot experiment."""
    first, second = [
        item.per_prompt()
        for item in five_systems(20_000, 1, np.random.default_rng(0), better)
        if item.score == "wer" and item.system in "ab"
    ]
    needed = prompts_needed(0.1 * better, float(influence(first, second).std(ddof=1)), tests=FAMILY)
    assert needed is not None
    return needed


def _is_found(prompts: int, better: float, seed: int) -> bool:
    values = five_systems(prompts, 1, np.random.default_rng(seed), better)
    (found,) = [
        item
        for item in compare_all(values, seed)
        if (item.score, item.first, item.second) == ("wer", "a", "b")
    ]
    return found.shown and found.difference < 0


if __name__ == "__main__":
    main()
