"""Score all systems of one suite: every take by every metric, then results per system, then comparisons."""

from collections.abc import Sequence
from dataclasses import replace

from dia.evaluation.cache import ContentCache
from dia.evaluation.metrics.protocol import Context, Metric
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.results import SuiteResult
from dia.evaluation.scoring import ScoredClip, compare_systems, score_clip, summarise_system
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.suites import Suite
from dia.evaluation.takes import IN_VOICES_OF_DATA, SystemTakes
from dia.judges.recording import Recording
from dia.progress import Progress


def score_suite(
    suite: Suite,
    items: Sequence[PromptItem],
    systems: Sequence[SystemTakes],
    metrics: Sequence[Metric],
    voices: tuple[Recording, ...],
    cache: ContentCache,
) -> SuiteResult:
    """Return the scores of ``systems`` and their comparisons.

    ``voices`` are those of the data; recorded systems have other voices and are not compared with them.
    """
    metrics = metrics_of_suite(metrics, suite)
    contexts = {item.prompt.id: Context(item.prompt, voices, item.reference) for item in items}
    results = []
    takes = sum(len(system.recordings) for system in systems)
    with Progress(f"scoring {suite.name}", takes, unit="takes") as progress:
        for system in systems:
            clips: list[ScoredClip] = []
            for recording in system.recordings:
                context = contexts[recording.prompt_id]
                if system.name not in IN_VOICES_OF_DATA:
                    context = replace(context, voices=())
                clips.append(score_clip(metrics, recording, context, cache))
                progress.advance()
            results.append(summarise_system(system.name, clips, system.failures, metrics))
    prompts = tuple(item.prompt for item in items)
    return SuiteResult(suite, prompts, tuple(results), tuple(compare_systems(results)))


def metrics_of_suite(metrics: Sequence[Metric], suite: Suite) -> list[Metric]:
    """Return the metrics, with placeholders for those that the suite leaves out."""
    reason = f"suite {suite.name} leaves it out, to be quick"
    return [
        UnavailableMetric(metric.name, reason) if metric.name in suite.without else metric
        for metric in metrics
    ]
