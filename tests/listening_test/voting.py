"""Listeners who vote by the model: known strengths, readiness for ties, and tastes that listeners and prompts
have.
"""

from itertools import combinations

import numpy as np

from dia.listening_test.answers import Vote


def simulate(strengths, tie, listeners, prompts, random, taste=0.0, per_listener=None):
    """Return votes on all pairs. ``taste`` is the deviation of each listener's and each prompt's own liking
    of each system.
    """
    systems = sorted(strengths)
    liking = np.array([strengths[name] for name in systems])
    by_listener = taste * random.standard_normal((listeners, len(systems)))
    by_prompt = taste * random.standard_normal((prompts, len(systems)))
    votes = []
    for listener in range(listeners):
        asked = [(prompt, pair) for prompt in range(prompts) for pair in combinations(range(len(systems)), 2)]
        chosen = random.permutation(len(asked))[:per_listener]
        for prompt, (one, other) in (asked[place] for place in chosen):
            felt = liking + by_listener[listener] + by_prompt[prompt]
            weights = np.exp([felt[one], tie + (felt[one] + felt[other]) / 2, felt[other]])
            outcome = int(random.choice([1, 0, -1], p=weights / weights.sum()))
            votes.append(
                Vote(
                    str(listener),
                    f"p{prompt}",
                    systems[one],
                    systems[other],
                    outcome,
                    bool(random.integers(2)),
                )
            )
    return votes
