"""Simulated votes: known strengths, readiness for ties, and preferences of single listeners and prompts."""

from itertools import combinations

import numpy as np

from dia.listening_test.answers import Vote


def simulate(strengths, tie, listeners, prompts, rng, taste=0.0, per_listener=None):
    """Return votes on all pairs; ``taste`` is the deviation of each listener's and prompt's preferences."""
    systems = sorted(strengths)
    mean_utility = np.array([strengths[name] for name in systems])
    by_listener = taste * rng.standard_normal((listeners, len(systems)))
    by_prompt = taste * rng.standard_normal((prompts, len(systems)))
    votes = []
    for listener in range(listeners):
        trials = [
            (prompt, pair) for prompt in range(prompts) for pair in combinations(range(len(systems)), 2)
        ]
        chosen = rng.permutation(len(trials))[:per_listener]
        for prompt, (one, other) in (trials[index] for index in chosen):
            utility = mean_utility + by_listener[listener] + by_prompt[prompt]
            weights = np.exp([utility[one], tie + (utility[one] + utility[other]) / 2, utility[other]])
            outcome = int(rng.choice([1, 0, -1], p=weights / weights.sum()))
            votes.append(
                Vote(
                    str(listener),
                    f"p{prompt}",
                    systems[one],
                    systems[other],
                    outcome,
                    bool(rng.integers(2)),
                )
            )
    return votes
