"""The rewards of `objective=grpo`: takes of prepared scripts, judged by the metrics of the evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from dia.config.judges import JudgesConfig
from dia.config.rewards import RewardConfig
from dia.dialogue import Script
from dia.evaluation.cache import ContentCache
from dia.evaluation.clip_scorer import open_metrics
from dia.evaluation.metrics.protocol import Context
from dia.evaluation.prompts import Prompt
from dia.evaluation.rewards import group_rewards, metrics_of_terms, score_take
from dia.inference import Speech
from dia.judges.recording import Recording
from dia.pipelines.evaluation.calibration_data import load_calibration_data

SYSTEM = "take"


class GroupJudge:
    """Judges takes of the scripts in ``rows``; the voices and the calibration are those of ``splits``.

    ``cache`` holds the calibration. Takes are not cached: none is generated twice.
    """

    def __init__(
        self, splits: Mapping[str, Dataset], config: RewardConfig, judges: JudgesConfig, cache: ContentCache
    ) -> None:
        labelled = load_calibration_data(splits, cache, judges.events)
        needed = metrics_of_terms(list(config.weights))
        metrics = open_metrics(judges, labelled.calibration, [])
        self.config, self.labelled = config, labelled
        self.metrics = [metric for metric in metrics if metric.name in needed]
        self.scripts: Sequence[str] = splits["train"]["script"]

    def __call__(self, rows: Sequence[int], takes: list[Speech]) -> list[float]:
        """Return the reward of each take; takes of one row are one group."""
        scores = [self._score(row, take) for row, take in zip(rows, takes, strict=True)]
        rewards: dict[int, list[float]] = {
            row: group_rewards(
                [score for other, score in zip(rows, scores, strict=True) if other == row],
                self.config.weights,
                self.config.vetoes,
                self.config.veto_penalty,
            )
            for row in dict.fromkeys(rows)
        }
        return [rewards[row].pop(0) for row in rows]

    def _score(self, row: int, take: Speech) -> Any:
        prompt = Prompt(str(row), str(self.scripts[row]))
        recording = Recording(
            prompt.id,
            SYSTEM,
            Script.parse(prompt.script),
            take.waveform,
            take.sample_rate,
            take.seed,
            ended=take.ended,
        )
        context = Context(prompt, self.labelled.voices)
        terms = list(self.config.weights)
        return score_take(self.metrics, terms, self.labelled.calibration, recording, context)
