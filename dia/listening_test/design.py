"""The design of a listening test: the trials of each listener, their order, and which clip is on the left.

A trial compares two clips of one prompt. Trials are dealt into blocks small enough for one listener, pairs of
systems evenly; each block has several forms with their own orders, and every second form swaps left and
right. Listener ``n`` gets form ``(n - 1) % forms``. So consecutive listeners get each trial in both orders,
and within a form each system of a pair is on the left equally often (within one).
"""

import random
from dataclasses import dataclass
from itertools import combinations

ORDERS = 4  # forms of a block: two orders of its trials, each with left and right swapped


@dataclass(frozen=True)
class Trial:
    """Two clips of one prompt; ``first`` is on the left in even forms. ``check`` marks an attention check."""

    prompt_id: str
    first: str
    second: str
    check: bool = False


Form = list[tuple[Trial, bool]]  # in the order of presentation; True: ``second`` is on the left


def pairwise_trials(systems_by_prompt: dict[str, list[str]], rng: random.Random) -> list[Trial]:
    """Return a trial for each prompt and each pair of its systems.

    The first system of a pair alternates over the prompts, so that each is on the left equally often.
    """
    by_pair: dict[tuple[str, str], list[str]] = {}
    for prompt, systems in systems_by_prompt.items():
        for pair in combinations(systems, 2):
            by_pair.setdefault(pair, []).append(prompt)
    trials = []
    for (one, other), prompts in by_pair.items():
        offset = rng.randrange(2)
        for index, prompt in enumerate(rng.sample(prompts, len(prompts))):
            swapped = (offset + index) % 2
            trials.append(Trial(prompt, *((other, one) if swapped else (one, other))))
    return trials


def split_into_blocks(trials: list[Trial], size: int) -> list[list[Trial]]:
    """Deal trials in turn to the smallest number of blocks of at most ``size``."""
    count = -(-len(trials) // size)
    return [_balance_sides(trials[index::count]) for index in range(count)]


def build_forms(blocks: list[list[Trial]], checks: list[Trial], rng: random.Random) -> list[Form]:
    """Return the forms of all blocks, each with all checks: the first order of every block, then the second.

    Forms 2 n and 2 n + 1 hold the same trials with left and right swapped, in different orders. Half of the
    checks have the original clip on the left.
    """
    forms: list[Form] = []
    for _ in range(ORDERS // 2):
        for block in blocks:
            for swapped in (False, True):
                form = [(trial, swapped) for trial in block]
                form += [(trial, swapped != bool(index % 2)) for index, trial in enumerate(checks)]
                forms.append(_separate_prompts(rng.sample(form, len(form))))
    return forms


def _balance_sides(block: list[Trial]) -> list[Trial]:
    """Swap trials so that within the block neither system of a pair is first more than once too often."""
    leads: dict[tuple[str, str], int] = {}
    balanced = []
    for trial in block:
        pair = (min(trial.first, trial.second), max(trial.first, trial.second))
        lead = leads.get(pair, 0)
        ahead = trial.first == pair[0]
        if (lead > 0 and ahead) or (lead < 0 and not ahead):
            trial, ahead = Trial(trial.prompt_id, trial.second, trial.first, trial.check), not ahead
        leads[pair] = lead + (1 if ahead else -1)
        balanced.append(trial)
    return balanced


def _separate_prompts(form: Form) -> Form:
    """Reorder trials so that no prompt follows itself, as far as there are other prompts."""
    waiting = list(form)
    ordered: Form = []
    while waiting:
        previous = ordered[-1][0].prompt_id if ordered else None
        index = next((i for i, (trial, _) in enumerate(waiting) if trial.prompt_id != previous), 0)
        ordered.append(waiting.pop(index))
    return ordered
