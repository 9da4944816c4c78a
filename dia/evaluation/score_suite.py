"""Score all systems of one suite: every take by every metric, then results per system, then comparisons."""

from collections.abc import Iterator, Sequence

from dia.engines.run import Workers
from dia.evaluation.clip_scorer import ClipJob, ClipResult, ClipScorer, metrics_of_suite
from dia.evaluation.metrics.protocol import ClipScore, Context
from dia.evaluation.missing_takes import with_left_out
from dia.evaluation.results import SuiteResult
from dia.evaluation.scoring import ScoredClip, compare_systems, summarise_system
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.suites import Suite
from dia.evaluation.takes import SystemTakes
from dia.progress import Progress


def score_suite(
    suite: Suite,
    items: Sequence[PromptItem],
    systems: Sequence[SystemTakes],
    scorer: ClipScorer,
    workers: Workers[ClipJob, ClipResult],
) -> SuiteResult:
    """Return the scores of ``systems`` and their comparisons. Takes that a system lacks count as failed.

    ``workers`` apply ``scorer``. A clip is compared with the voice prompt of its prompt, where there is one,
    else with the voices of the data; recorded systems have other voices and are not compared with these.
    Results do not depend on the order in which clips are scored.
    """
    prompts = tuple(item.prompt for item in items)
    systems = [with_left_out(system, prompts) for system in systems]
    jobs = list(_jobs(suite, items, systems))
    scores: dict[int, dict[str, ClipScore]] = {}
    with Progress(f"scoring {suite.name}", len(jobs), unit="takes") as progress:
        for result in scorer.score(jobs, workers):
            scores[result.number] = dict(result.scores)
            progress.advance()
    metrics = metrics_of_suite(scorer.metrics, suite)
    clips = (ScoredClip(job.recording, scorer.context_of(job), scores[job.number]) for job in jobs)
    results = [
        summarise_system(system.name, [next(clips) for _ in system.recordings], system.failures, metrics)
        for system in systems
    ]
    return SuiteResult(suite, prompts, tuple(results), tuple(compare_systems(results, suite.primary)))


def _jobs(suite: Suite, items: Sequence[PromptItem], systems: Sequence[SystemTakes]) -> Iterator[ClipJob]:
    """Yield a job for each take, system by system."""
    by_id = {item.prompt.id: item for item in items}
    takes = [(system, recording) for system in systems for recording in system.recordings]
    for number, (system, recording) in enumerate(takes):
        item = by_id[recording.prompt_id]
        context = Context(item.prompt, (item.voice,) if item.voice else (), item.reference)
        yield ClipJob(number, suite, recording, context, item.voice is None and system.in_voices_of_data)
