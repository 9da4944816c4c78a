"""Rewards of takes: the evaluation's scores of one clip as terms, higher is better, and what rules it out.

They turn what an evaluation measures into what preference training learns from: pairs of takes
(`dia/pipelines/preferences`) and groups of takes (`objective=grpo`). Terms come from the values of metrics,
so that they are those of a report.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dia.evaluation.metrics.protocol import ClipScore, Context, Metric
from dia.evaluation.scoring import score_clip
from dia.judges.events import Calibration
from dia.judges.recording import Recording

Values = Mapping[str, Any]
FAILURES = "failures"  # the metric that vetoes read


@dataclass(frozen=True)
class RewardTerm:
    """One term: the metric that measures it, and its value of a clip (None where it does not apply).

    ``noise`` is the standard deviation of the term when the same take is judged again after an inaudible
    change: measured on 40 takes of `dia_nano` (`scripts/judge_noise.py`), and not below .01.
    """

    name: str
    metric: str
    value: Callable[[Values, Mapping[str, Calibration]], float | None]
    noise: float


def _words(values: Values, calibration: Mapping[str, Calibration]) -> float:
    """Minus the word error rate, at least -1."""
    return -min(1.0, float(values["errors"] / values["words"]))


def _complete(values: Values, calibration: Mapping[str, Calibration]) -> float:
    """0 for a clip without failures, -1 for one with any."""
    return -float(bool(values["found"]))


def _tags(values: Values, calibration: Mapping[str, Calibration]) -> float | None:
    """The share of the script's tags that are detected, less the share of other tags that are.

    Only of tags that the detector can measure.
    """
    measurable = {tag: item for tag, item in calibration.items() if item.measurable}
    own = {item["tag"] for item in values["asked"]}
    if not measurable:
        return None
    present, absent = own & measurable.keys(), measurable.keys() - own
    return _share(values, present, measurable) - _share(values, absent, measurable)


def _insertions(values: Values, calibration: Mapping[str, Calibration]) -> float | None:
    """Minus the share of measurable tags that are detected without being in the script."""
    measurable = {tag: item for tag, item in calibration.items() if item.measurable}
    absent = measurable.keys() - {item["tag"] for item in values["asked"]}
    if not absent:
        return None
    return -_share(values, absent, measurable)


def _share(values: Values, tags: Collection[str], calibration: Mapping[str, Calibration]) -> float:
    """Return the share of tags that are detected, 0 of none."""
    hits = [max(values["scores"].get(tag, [0.0])) >= calibration[tag].threshold for tag in tags]
    return sum(hits) / len(hits) if hits else 0.0


def _right_speaker(values: Values, calibration: Mapping[str, Calibration]) -> float | None:
    """The share of the turns that are nearest to the right voice; a turn that was not located is wrong."""
    if values["voices"] < 2:
        return None
    pairs = list(zip(values["speakers"], values["nearest"], values["found"], strict=True))
    judged = [nearest == speaker for speaker, nearest, located in pairs if nearest is not None or not located]
    return sum(map(float, judged)) / len(judged) if judged else None


def _similarity(values: Values, calibration: Mapping[str, Calibration]) -> float | None:
    """The mean similarity of the turns to the right voice."""
    known = [turn["right"] for turn in values["compared"] if turn["right"] is not None]
    return sum(known) / len(known) if known else None


def _mos(values: Values, calibration: Mapping[str, Calibration]) -> float:
    """The predicted opinion score, 1 to 5."""
    return float(values["score"])


def _plain(key: str) -> Callable[[Values, Mapping[str, Calibration]], float | None]:
    return lambda values, calibration: None if values[key] is None else float(values[key])


TERMS = {
    term.name: term
    for term in (
        RewardTerm("words", "wer", _words, 0.033),
        RewardTerm("complete", "failures", _complete, 0.02),
        RewardTerm("tags", "nonverbals", _tags, 0.265),
        RewardTerm("insertions", "nonverbals", _insertions, 0.098),
        RewardTerm("right_speaker", "turns", _right_speaker, 0.01),
        RewardTerm("similarity", "similarity", _similarity, 0.013),
        RewardTerm("mos", "mos", _mos, 0.204),
        RewardTerm("pitch_spread", "prosody", _plain("pitch_spread"), 0.602),
        RewardTerm("energy_spread", "prosody", _plain("energy_spread"), 0.109),
        RewardTerm("pace", "prosody", _plain("rate"), 0.028),
    )
}
"""All terms by name. `pitch_spread` is in semitones, `energy_spread` in decibels, `pace` in words per
second."""


@dataclass(frozen=True)
class TakeScores:
    """The terms of a take that were measured, and its failures (`no_end` among them)."""

    terms: Mapping[str, float]
    failures: tuple[str, ...]

    @classmethod
    def of(
        cls,
        scores: Mapping[str, ClipScore],
        terms: Sequence[str],
        calibration: Mapping[str, Calibration],
        *,
        ended: bool,
    ) -> "TakeScores":
        """Return terms and failures from the scores of metrics by name."""
        measured: dict[str, float] = {}
        for name in terms:
            score = scores[TERMS[name].metric]
            value = TERMS[name].value(score.values, calibration) if score.measured else None
            if value is not None:
                measured[name] = value
        failures = list(scores[FAILURES].values["found"]) if scores[FAILURES].measured else []
        return cls(measured, tuple(dict.fromkeys([*failures, *([] if ended else ["no_end"])])))


def metrics_of_terms(names: Sequence[str]) -> list[str]:
    """Return the names of the metrics that terms need, and that of failures, which vetoes read."""
    return sorted({*(TERMS[name].metric for name in names), FAILURES})


def score_take(
    metrics: Sequence[Metric],
    terms: Sequence[str],
    calibration: Mapping[str, Calibration],
    recording: Recording,
    context: Context,
) -> TakeScores:
    """Return the scores of a take by those ``metrics`` that its ``terms`` need, and by that of failures."""
    scores = score_clip(metrics, recording, context).scores
    return TakeScores.of(scores, terms, calibration, ended=recording.ended)


def group_rewards(
    takes: Sequence[TakeScores], weights: Mapping[str, float], vetoes: Collection[str], penalty: float
) -> list[float]:
    """Return the rewards of takes of one script: weighted sums of terms, 0 for a term that is not measured.

    A take with a failure of ``vetoes`` gets the lowest sum of the group less ``penalty``.
    """
    sums = [sum(weight * take.terms.get(name, 0.0) for name, weight in weights.items()) for take in takes]
    lowest = min(sums) - penalty
    return [
        lowest if set(take.failures) & set(vetoes) else total for take, total in zip(takes, sums, strict=True)
    ]
