"""95 % confidence intervals of one system's scores over prompts: of ratios of counts, of rates, and of means.

The takes of one prompt are not independent, so prompts are what is counted. Which interval, and why
(`scripts/simulate_statistics.py` counts how often each contains a known value): a percentile bootstrap of
skewed word errors contains it 73 to 88 times in 100 for 6 to 24 prompts, and states no uncertainty at all
where three hits are three of three. An interval never excludes its estimate, and never leaves the range of
its score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
# of Student's quantile for ratios: word errors are skewed even on a logarithmic scale
LEVEL_OF_RATIOS = 0.977
FEWEST_PROMPTS = 3  # of a ratio or a mean with an interval; two prompts say next to nothing of their spread
NEGLIGIBLE = 1e-12  # relative standard error of prompts that are alike but for rounding

Floats = NDArray[np.float64]
Ends = tuple[float | None, float | None]
NO_INTERVAL: Ends = None, None


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, and the number of clips and prompts behind it.

    ``low`` and ``high`` are None where too few prompts, or prompts that are all alike, show no spread.
    """

    value: float
    low: float | None
    high: float | None
    clips: int
    prompts: int


@dataclass(frozen=True)
class PromptSums:
    """Sums over the takes of each prompt, arrays (prompts,), and the number of clips."""

    numerators: Floats
    denominators: Floats
    clips: int

    @classmethod
    def of(
        cls, numerators: Sequence[float], denominators: Sequence[float], prompts: Sequence[str]
    ) -> "PromptSums":
        """Return the sums. Raises ``ValueError`` without clips or when the denominators sum to zero."""
        if not numerators or not sum(denominators) > 0:
            raise ValueError("an estimate needs at least one clip with a denominator above 0")
        _, prompt = np.unique(prompts, return_inverse=True)
        return cls(
            np.bincount(prompt, weights=numerators).astype(np.float64),
            np.bincount(prompt, weights=denominators).astype(np.float64),
            len(numerators),
        )

    @property
    def prompts(self) -> int:
        """The number of prompts."""
        return len(self.numerators)

    @property
    def value(self) -> float:
        """The ratio of the sums."""
        return float(self.numerators.sum() / self.denominators.sum())

    @property
    def standard_error(self) -> float:
        """The standard error of the ratio over prompts, by linearisation; infinite for one prompt."""
        if self.prompts < 2:
            return float("inf")
        moves = (self.numerators - self.value * self.denominators) / self.denominators.mean()
        return float(np.sqrt((moves**2).sum() / (self.prompts * (self.prompts - 1))))

    def estimate(self, ends: Ends) -> Estimate:
        """Return the value with an interval, which is widened to the value where rounding left it outside."""
        low, high = ends
        return Estimate(
            self.value,
            None if low is None else min(low, self.value),
            None if high is None else max(high, self.value),
            self.clips,
            self.prompts,
        )


def estimate_ratio(
    numerators: Sequence[float], denominators: Sequence[float], prompts: Sequence[str]
) -> Estimate:
    """Return sum(numerators) / sum(denominators) of values of 0 or more, such as errors per word.

    The interval is Student's on a logarithmic scale, on which skewed errors are nearly symmetric, at a level
    that simulated word errors need. Where both are counts it contains the interval of as many independent
    counts, which is what remains of few or no errors. Source of the latter: F. Garwood, "Fiducial limits for
    the Poisson distribution", 1936.
    """
    sums = PromptSums.of(numerators, denominators, prompts)
    if sums.prompts < FEWEST_PROMPTS:
        return sums.estimate(NO_INTERVAL)
    are_counts = all(float(value).is_integer() for value in (*numerators, *denominators))
    ends = [_logarithmic(sums)] + ([_poisson(sums)] if are_counts else [])
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    if not known:
        return sums.estimate(NO_INTERVAL)
    return sums.estimate((min(low for low, _ in known), max(high for _, high in known)))


def _logarithmic(sums: PromptSums) -> Ends:
    if sums.value <= 0 or sums.standard_error <= NEGLIGIBLE * sums.value:
        return NO_INTERVAL
    quantile = float(stats.t.ppf((1 + LEVEL_OF_RATIOS) / 2, sums.prompts - 1))
    reach = float(np.exp(quantile * sums.standard_error / sums.value))
    return sums.value / reach, sums.value * reach


def _poisson(sums: PromptSums) -> Ends:
    count, exposure = float(sums.numerators.sum()), float(sums.denominators.sum())
    tail = (1 - LEVEL) / 2
    low = float(stats.chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low / exposure, float(stats.chi2.ppf(1 - tail, 2 * count + 2)) / 2 / exposure


def estimate_rate(
    hits: Sequence[float], prompts: Sequence[str], weights: Sequence[float] | None = None
) -> Estimate:
    """Return the share of ``hits``, each 0 to 1 (to its weight, where there are ``weights``).

    The interval is Wilson's, which is valid at 0 and 1, with as many trials as the takes are worth: the
    prompts where the takes of a prompt are alike, more where they differ. Sources: E. B. Wilson, "Probable
    inference, the law of succession, and statistical inference", 1927; of the trials: E. L. Korn, B. I.
    Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", 1998. Raises ``ValueError`` without clips.
    """
    if not hits:
        raise ValueError("a rate needs at least one clip")
    sums = PromptSums.of(hits, [1.0] * len(hits) if weights is None else weights, prompts)
    return sums.estimate(wilson(sums.value, _trials(sums)))


def wilson(rate: float, trials: float) -> tuple[float, float]:
    """Return Wilson's interval of a rate; the number of trials may be fractional."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    center = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    reach = z / (1 + z**2 / trials) * float(np.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2)))
    return max(0.0, center - reach), min(1.0, center + reach)


def _trials(sums: PromptSums) -> float:
    """Return how many independent trials the hits are worth: between the prompts and the clips."""
    fewest = float(sums.denominators.sum() ** 2 / (sums.denominators**2).sum())
    error, rate = sums.standard_error, sums.value
    if not 0 < rate < 1 or not NEGLIGIBLE < error < np.inf:
        return fewest
    student = float(stats.t.ppf((1 + LEVEL) / 2, sums.prompts - 1) / stats.norm.ppf((1 + LEVEL) / 2))
    return float(np.clip(rate * (1 - rate) / (error * student) ** 2, fewest, max(fewest, sums.clips)))


def difference_of_rates(first: Estimate, second: Estimate) -> Estimate:
    """Return ``first`` minus ``second``, rates of different prompts, with an interval from theirs.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions", 1998,
    method 10.
    """
    value = first.value - second.value
    if first.low is None or first.high is None or second.low is None or second.high is None:
        raise ValueError("a rate has an interval")
    down = np.hypot(first.value - first.low, second.high - second.value)
    up = np.hypot(first.high - first.value, second.value - second.low)
    return Estimate(
        value,
        float(value - down),
        float(value + up),
        first.clips + second.clips,
        first.prompts + second.prompts,
    )


def estimate_mean(
    values: Sequence[float],
    prompts: Sequence[str],
    bounds: tuple[float, float] | None = None,
    weights: Sequence[float] | None = None,
) -> Estimate:
    """Return the mean of values on a scale, or sum(values) / sum(weights), with Student's interval.

    Between ``bounds`` (1 to 5 for a MOS) the interval is computed on the logit of the scale, so that it stays
    inside of them. Raises ``ValueError`` without clips.
    """
    sums = PromptSums.of(values, [1.0] * len(values) if weights is None else weights, prompts)
    error, value = sums.standard_error, sums.value
    if sums.prompts < FEWEST_PROMPTS or error <= NEGLIGIBLE * max(1.0, abs(value)):
        return sums.estimate(NO_INTERVAL)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, sums.prompts - 1)) * error
    if bounds is None:
        return sums.estimate((value - reach, value + reach))
    low, high = bounds
    place = (value - low) / (high - low)
    if not 0 < place < 1:
        return sums.estimate(NO_INTERVAL)
    logit, reach = float(np.log(place / (1 - place))), reach / ((high - low) * place * (1 - place))
    ends = [low + (high - low) / (1 + float(np.exp(-end))) for end in (logit - reach, logit + reach)]
    return sums.estimate((ends[0], ends[1]))
