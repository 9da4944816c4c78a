"""Choose pairs of takes: the best and the worst of each script, apart by more than the judges' noise."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class JudgedTake:
    """A take of a prompt with its scores by term (higher is better) and what rules it out as preferred."""

    prompt_id: str
    seed: int
    scores: Mapping[str, float]
    vetoes: tuple[str, ...] = ()

    def reward(self, weights: Mapping[str, float]) -> float:
        """Return the weighted sum of the scores; a term that is not measured counts as 0."""
        return sum(weight * self.scores.get(name, 0.0) for name, weight in weights.items())


@dataclass(frozen=True)
class TakePair:
    """A preferred and a rejected take of one prompt, and the difference of their rewards."""

    chosen: JudgedTake
    rejected: JudgedTake
    margin: float


@dataclass(frozen=True)
class PairRule:
    """Which takes make a pair.

    ``noise`` is the deviation of a term's scores for the same take judged again; a pair must be apart by
    ``deviations`` times the noise of the difference of two rewards. At most ``most`` pairs of a prompt.
    """

    weights: Mapping[str, float]
    noise: Mapping[str, float]
    deviations: float = 2.0
    most: int = 1

    @property
    def least_margin(self) -> float:
        """The margin that a pair must exceed."""
        own = (weight * self.noise.get(name, 0.0) for name, weight in self.weights.items())
        return self.deviations * sqrt(2 * sum(value**2 for value in own))


def choose_pairs(takes: Sequence[JudgedTake], rule: PairRule) -> tuple[list[TakePair], Counter[str]]:
    """Return the pairs of all prompts, and the number of prompts by what became of them.

    The first pair of a prompt is its best take without a veto and its worst take, the second its second best
    and second worst, and so on.
    """
    by_prompt: dict[str, list[JudgedTake]] = {}
    for take in takes:
        by_prompt.setdefault(take.prompt_id, []).append(take)
    pairs: list[TakePair] = []
    outcomes = Counter[str]()
    for own in by_prompt.values():
        chosen, outcome = _pairs_of_prompt(own, rule)
        pairs += chosen
        outcomes[outcome] += 1
    return pairs, outcomes


def _pairs_of_prompt(takes: Sequence[JudgedTake], rule: PairRule) -> tuple[list[TakePair], str]:
    ranked = sorted(takes, key=lambda take: (-take.reward(rule.weights), take.seed))
    good = [take for take in ranked if not take.vetoes]
    if not good:
        return [], "prompts: every take has a veto"
    pairs: list[TakePair] = []
    for best, worst in zip(good, reversed(ranked), strict=False):
        margin = best.reward(rule.weights) - worst.reward(rule.weights)
        if margin <= rule.least_margin or len(pairs) == rule.most:
            break
        pairs.append(TakePair(best, worst, margin))
    if pairs:
        return pairs, "prompts: with a pair"
    rewards = {take.reward(rule.weights) for take in ranked}
    return [], "prompts: equal takes" if len(rewards) == 1 else "prompts: within the judges' noise"
