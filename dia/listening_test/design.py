"""Who hears what in which order.

A trial is two sounds of one prompt. Trials are dealt to blocks small enough for one listener, pairs of
systems evenly; each block has forms of its own order, and every second form swaps left and right. Listener
``n`` has form ``(n - 1) % forms``. So every trial is heard in both orders by listeners that follow each
other, and within a form either system of a pair stands on the left equally often (give or take one).
"""

import random
from dataclasses import dataclass
from itertools import combinations

ORDERS = 4  # forms of a block: two orders of its trials, each with left and right swapped


@dataclass(frozen=True)
class Trial:
    """Two sounds of one prompt; ``first`` stands on the left in even forms. ``check`` marks an attention
    check.
    """

    prompt_id: str
    first: str
    second: str
    check: bool = False


Form = list[tuple[Trial, bool]]  # in the order of hearing; True: ``second`` on the left


def comparisons(heard: dict[str, list[str]], source: random.Random) -> list[Trial]:
    """Return a trial for every pair of systems that a prompt has sounds of: ``heard`` names the systems of
    each prompt.

    Which system is called first alternates over the prompts of a pair, so that either is as often on the
    left.
    """
    by_pair: dict[tuple[str, str], list[str]] = {}
    for prompt, systems in heard.items():
        for pair in combinations(systems, 2):
            by_pair.setdefault(pair, []).append(prompt)
    made = []
    for (one, other), prompts in by_pair.items():
        begin = source.randrange(2)
        for place, prompt in enumerate(source.sample(prompts, len(prompts))):
            swapped = (begin + place) % 2
            made.append(Trial(prompt, *((other, one) if swapped else (one, other))))
    return made


def blocks(made: list[Trial], size: int) -> list[list[Trial]]:
    """Deal trials, in their order (pair by pair), to as few blocks of at most ``size`` as hold them, as cards
    are dealt.
    """
    count = -(-len(made) // size)
    return [_balanced(made[place::count]) for place in range(count)]


def forms(dealt: list[list[Trial]], checks: list[Trial], source: random.Random) -> list[Form]:
    """Return the forms of all blocks, each with all checks, block after block and then the other orders.

    Forms 2 n and 2 n + 1 are the same trials with left and right swapped, each in an order of its own. Half
    of the checks have the good clip on the left.
    """
    made: list[Form] = []
    for _ in range(ORDERS // 2):
        for block in dealt:
            for swapped in (False, True):
                form = [(one, swapped) for one in block]
                form += [(one, swapped != bool(place % 2)) for place, one in enumerate(checks)]
                made.append(_apart(source.sample(form, len(form))))
    return made


def _balanced(block: list[Trial]) -> list[Trial]:
    """Turn trials round where a pair would stand in one order more than once too often within the block."""
    leads: dict[tuple[str, str], int] = {}
    turned = []
    for one in block:
        pair = (min(one.first, one.second), max(one.first, one.second))
        lead = leads.get(pair, 0)
        ahead = one.first == pair[0]
        if (lead > 0 and ahead) or (lead < 0 and not ahead):
            one, ahead = Trial(one.prompt_id, one.second, one.first, one.check), not ahead
        leads[pair] = lead + (1 if ahead else -1)
        turned.append(one)
    return turned


def _apart(form: Form) -> Form:
    """Move trials so that one prompt is not heard twice in a row, as far as there are other prompts."""
    waiting, ordered = list(form), list[tuple[Trial, bool]]()
    while waiting:
        before = ordered[-1][0].prompt_id if ordered else None
        place = next((number for number, (one, _) in enumerate(waiting) if one.prompt_id != before), 0)
        ordered.append(waiting.pop(place))
    return ordered
